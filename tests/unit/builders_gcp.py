"""One way to build each component of Google Cloud."""

from typing import Any

from components import gcp
from components.shapes import Peer, Subject

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


BUILDERS = {
    "spillway:gcp:Network": network,
    "spillway:gcp:Database": database,
    "spillway:gcp:ObjectStore": object_store,
    "spillway:gcp:Identity": identity,
    "spillway:gcp:Registry": registry,
}
