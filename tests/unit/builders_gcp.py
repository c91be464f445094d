"""One way to build each component of Google Cloud."""

from typing import Any

from components import gcp
from components.cluster.nodes import NodePool
from components.shapes import Join, Machines, Peer, Subject

PROJECT, REGION = "example-ds", "europe-west3"
PEER = Peer(address="203.0.113.10", asn=65010, networks=["10.10.0.0/16"])
SERVER = Subject(namespace="spillway", account="mlflow")
MIGRATION = Subject(namespace="spillway", account="mlflow-migration")
AUTOSCALER = Subject(namespace="spillway", account="cluster-autoscaler")
TENANTS = ["vision", "language"]
ISSUER, JWKS = "https://issuer.example.com", '{"keys":[]}'


def network(name: str = "network", **changes: Any) -> gcp.Network:
    defaults = {
        "project": PROJECT,
        "region": REGION,
        "zones": [f"{REGION}-a", f"{REGION}-b"],
        "cidr": "10.96.0.0/20",
        "services": "10.97.0.0/20",
        "peer": PEER,
    }
    return gcp.Network(name, gcp.NetworkArgs(**{**defaults, **changes}))


def database(name: str = "database", **changes: Any) -> gcp.Database:
    defaults = {
        "project": PROJECT,
        "region": REGION,
        "clients": ["10.10.0.0/16", "10.96.0.0/20"],
        "database": "mlflow",
        "machine": "db-custom-2-8192",
        "size_gib": 50,
    }
    given = {**defaults, **changes}
    if "network" not in given:
        given["network"] = network(f"{name[:36]}-net")
    return gcp.Database(name, gcp.DatabaseArgs(**given))


def object_store(name: str = "object-store", **changes: Any) -> gcp.ObjectStore:
    defaults = {"project": PROJECT, "region": REGION}
    return gcp.ObjectStore(name, gcp.ObjectStoreArgs(**{**defaults, **changes}))


def identity(name: str = "identity", **changes: Any) -> gcp.Identity:
    defaults = {
        "project": PROJECT,
        "issuer": ISSUER,
        "jwks": JWKS,
        "tracking": [SERVER, MIGRATION],
        "autoscaler": AUTOSCALER,
        "tenants": TENANTS,
        "cluster": "prod",
        "namespace": "spillway",
    }
    given = {**defaults, **changes}
    if "store" not in given:
        given["store"] = object_store(f"{name[:37]}-s3")
    if "database" not in given:
        given["database"] = database(f"{name[:36]}-db")
    return gcp.Identity(name, gcp.IdentityArgs(**given))


def registry(name: str = "registry", **changes: Any) -> gcp.Registry:
    defaults = {"project": PROJECT, "region": REGION, "images": ["mlflow", "postgres"]}
    return gcp.Registry(name, gcp.RegistryArgs(**{**defaults, **changes}))


TOKEN = "hunter2joins"
JOIN = Join(server="https://10.10.0.5:6443", version="v1.36.2+k3s1")


def machines(**changes: Any) -> Machines:
    pool = NodePool(name="l4", tier="burst", accelerator="l4", gpus=1)
    defaults = {
        "pool": pool,
        "machine": "g2-standard-4",
        "image": "projects/example-ds/global/images/family/gpu-node",
        "maximum": 5,
        "join": JOIN,
    }
    return Machines(**{**defaults, **changes})


def burst_nodes(name: str = "nodes", **changes: Any) -> gcp.BurstNodes:
    defaults = {
        "project": PROJECT,
        "region": REGION,
        "cidr": "10.96.0.0/20",
        "company": ["10.10.0.0/16"],
        "token": TOKEN,
    }
    given = {**defaults, **changes}
    if "network" not in given:
        given["network"] = network(f"{name[:36]}-net")
    if "registry" not in given:
        given["registry"] = registry(f"{name[:33]}-images")
    return gcp.BurstNodes(name, gcp.BurstNodesArgs(**given))


def burst_pool(name: str = "pool-l4", **changes: Any) -> gcp.BurstPool:
    defaults = {
        "project": PROJECT,
        "region": REGION,
        "zones": [f"{REGION}-a", f"{REGION}-b"],
        "machines": machines(),
    }
    given = {**defaults, **changes}
    if "network" not in given:
        given["network"] = network(f"{name[:36]}-net")
    if "nodes" not in given:
        given["nodes"] = burst_nodes(f"{name[:34]}-nodes", network=given["network"])
    return gcp.BurstPool(name, gcp.BurstPoolArgs(**given))


BUILDERS = {
    "spillway:gcp:BurstNodes": burst_nodes,
    "spillway:gcp:BurstPool": burst_pool,
    "spillway:gcp:Network": network,
    "spillway:gcp:Database": database,
    "spillway:gcp:ObjectStore": object_store,
    "spillway:gcp:Identity": identity,
    "spillway:gcp:Registry": registry,
}
