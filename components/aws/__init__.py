"""The shapes of ``components.shapes`` fulfilled by AWS."""

from components.aws.burst import BurstPool, BurstPoolArgs
from components.aws.database import Database, DatabaseArgs
from components.aws.identity import Identity, IdentityArgs
from components.aws.network import Network, NetworkArgs
from components.aws.nodes import BurstNodes, BurstNodesArgs
from components.aws.object_store import ObjectStore, ObjectStoreArgs
from components.aws.registry import Registry, RegistryArgs

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
]
