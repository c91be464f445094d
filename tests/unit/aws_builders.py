"""One way to build each component of AWS."""

import json
from typing import Any

from computed_aws import REGION

from components import aws
from components.cluster.nodes import NodePool
from components.shapes import Join, Machines, Peer, Subject

PEER = Peer(address="203.0.113.10", asn=65010, networks=["10.10.0.0/16"])
JWKS = json.dumps({"keys": [{"kty": "RSA", "kid": "test", "alg": "RS256", "n": "AQ", "e": "AQAB"}]})
SERVER = Subject(namespace="spillway", account="mlflow-server")
MIGRATION = Subject(namespace="spillway", account="mlflow-migration")
AUTOSCALER = Subject(namespace="spillway", account="cluster-autoscaler")


def network(name: str = "network", **changes: Any) -> aws.Network:
    defaults = {
        "region": REGION,
        "zones": [f"{REGION}a", f"{REGION}b", f"{REGION}c"],
        "cidr": "10.64.0.0/16",
        "peer": PEER,
    }
    return aws.Network(name, aws.NetworkArgs(**{**defaults, **changes}))


def database(name: str = "database", **changes: Any) -> aws.Database:
    defaults = {
        "region": REGION,
        "clients": ["10.10.0.0/16", "10.64.0.0/16"],
        "database": "mlflow",
        "machine": "db.t4g.medium",
        "size_gib": 50,
    }
    if "network" not in changes:
        changes["network"] = network(f"{name}-network")
    return aws.Database(name, aws.DatabaseArgs(**{**defaults, **changes}))


def object_store(name: str = "object-store", **changes: Any) -> aws.ObjectStore:
    return aws.ObjectStore(name, aws.ObjectStoreArgs(**{"region": REGION, **changes}))


def identity(name: str = "identity", **changes: Any) -> aws.Identity:
    defaults = {
        "region": REGION,
        "issuer": f"https://{name}-oidc-example.s3.{REGION}.amazonaws.com",
        "jwks": JWKS,
        "tracking": [SERVER, MIGRATION],
        "autoscaler": AUTOSCALER,
        "tenants": ["vision", "vision2"],
        "cluster": "prod",
        "namespace": "spillway",
    }
    if "store" not in changes:
        changes["store"] = object_store(f"{name}-store")
    if "database" not in changes:
        changes["database"] = database(f"{name}-database")
    return aws.Identity(name, aws.IdentityArgs(**{**defaults, **changes}))


def registry(name: str = "registry", **changes: Any) -> aws.Registry:
    return aws.Registry(name, aws.RegistryArgs(**{"images": ["mlflow", "postgres"], **changes}))


TOKEN = "hunter2joins"
JOIN = Join(server="https://10.10.0.5:6443", version="v1.36.2+k3s1")


def machines(**changes: Any) -> Machines:
    pool = NodePool(name="l4", tier="burst", accelerator="l4", gpus=1)
    defaults = {
        "pool": pool,
        "machine": "g6.xlarge",
        "image": "ami-0123456789abcdef0",
        "maximum": 5,
        "join": JOIN,
    }
    return Machines(**{**defaults, **changes})


def burst_nodes(name: str = "nodes", **changes: Any) -> aws.BurstNodes:
    given = {"region": REGION, "company": ["10.10.0.0/16"], "token": TOKEN, **changes}
    if "network" not in given:
        given["network"] = network(f"{name}-network")
    if "registry" not in given:
        given["registry"] = registry(f"{name}-registry")
    return aws.BurstNodes(name, aws.BurstNodesArgs(**given))


def burst_pool(name: str = "pool-l4", **changes: Any) -> aws.BurstPool:
    given = {"region": REGION, "cluster": "prod", "machines": machines(), **changes}
    if "network" not in given:
        given["network"] = network(f"{name}-network")
    if "nodes" not in given:
        given["nodes"] = burst_nodes(f"{name}-nodes", network=given["network"])
    return aws.BurstPool(name, aws.BurstPoolArgs(**given))


BUILDERS = {
    "spillway:aws:BurstNodes": burst_nodes,
    "spillway:aws:BurstPool": burst_pool,
    "spillway:aws:Network": network,
    "spillway:aws:Database": database,
    "spillway:aws:ObjectStore": object_store,
    "spillway:aws:Identity": identity,
    "spillway:aws:Registry": registry,
}
"""Public contract: a token that changes replaces what users have."""
