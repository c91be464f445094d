"""The shapes of ``components.shapes`` fulfilled by Google Cloud."""

from components.gcp.burst import BurstPool, BurstPoolArgs, autoscaler_config
from components.gcp.database import Database, DatabaseArgs
from components.gcp.identity import Identity, IdentityArgs
from components.gcp.network import Network, NetworkArgs
from components.gcp.nodes import BurstNodes, BurstNodesArgs
from components.gcp.object_store import ObjectStore, ObjectStoreArgs
from components.gcp.registry import Registry, RegistryArgs

__all__ = [
    "BurstNodes",
    "BurstNodesArgs",
    "BurstPool",
    "BurstPoolArgs",
    "Database",
    "DatabaseArgs",
    "Identity",
    "IdentityArgs",
    "Network",
    "NetworkArgs",
    "ObjectStore",
    "ObjectStoreArgs",
    "Registry",
    "RegistryArgs",
    "autoscaler_config",
]
