"""One way to build each component of AWS."""

import json
from typing import Any

from computed_aws import REGION

from components import aws
from components.shapes import Peer, Subject

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


BUILDERS = {
    "spillway:aws:Network": network,
    "spillway:aws:Database": database,
    "spillway:aws:ObjectStore": object_store,
    "spillway:aws:Identity": identity,
    "spillway:aws:Registry": registry,
}
"""Public contract: a token that changes replaces what users have."""
