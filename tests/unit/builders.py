"""One way to build each component, and the whole stack, for every test of this folder."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import yaml

from components import (
    FencedNamespace,
    FencedNamespaceArgs,
    Mlflow,
    MlflowArgs,
    network,
    onprem,
    shapes,
)
from components.mlflow import consumer

ROOT = Path(__file__).resolve().parents[2]
CLIENT: network.Peer = {"pod_selector": {"match_labels": {"app": "client"}}}


def namespace(name: str = "platform", **changes: Any) -> FencedNamespace:
    return FencedNamespace(name, FencedNamespaceArgs(**{"namespace": name, **changes}))


def database(name: str = "database", **changes: Any) -> onprem.Database:
    defaults = {
        "namespace": "spillway",
        "image": "localhost/spillway/postgres:1",
        "database": "mlflow",
        "consumers": [CLIENT],
        "size": "5Gi",
    }
    return onprem.Database(name, onprem.DatabaseArgs(**{**defaults, **changes}))


def guest(**changes: Any) -> shapes.Guest:
    defaults = {
        "consumers": [{"pod_selector": {"match_labels": {"app": "hub"}}}],
        "namespace": "spillway",
        "image": "localhost/spillway/hub:1",
        "python": "/opt/hub/bin/python",
        "uid": 10002,
    }
    return shapes.Guest(**{**defaults, **changes})


def object_store(name: str = "object-store", **changes: Any) -> onprem.ObjectStore:
    defaults = {
        "namespace": "spillway",
        "image": "localhost/spillway/object-store:1",
        "bucket": "mlflow",
        "consumers": [CLIENT],
        "size": "20Gi",
    }
    return onprem.ObjectStore(name, onprem.ObjectStoreArgs(**{**defaults, **changes}))


class Cloud:
    """A managed service as a cloud would offer it: a shape of which nothing is a pod."""

    ready = ()
    credentials: ClassVar[dict[str, str]] = {}

    def __init__(self, address: str, port: int, environment: dict[str, str], **outputs: Any):
        self.egress = [network.egress([{"ip_block": {"cidr": address}}], port)]
        self.environment = environment
        for name, value in outputs.items():
            setattr(self, name, value)


def cloud_database() -> Cloud:
    url = "postgresql://mlflow@db.example.com:5432/mlflow?sslmode=require"
    secret = {"SPILLWAY_DATABASE_SECRET": "arn:aws:secretsmanager:eu-central-1:1:secret:db"}
    return Cloud("10.64.0.9/32", 5432, secret, url=pulumi.Output.secret(url))


def cloud_store() -> Cloud:
    uri = pulumi.Output.from_input("s3://artifacts/mlflow")
    return Cloud("0.0.0.0/0", 443, {"AWS_DEFAULT_REGION": "eu-central-1"}, uri=uri)


def cloud_mlflow(name: str = "mlflow", **changes: Any) -> Mlflow:
    """The server alone: what it uses is somewhere else."""
    return mlflow(name, **{"database": cloud_database(), "store": cloud_store(), **changes})


def mlflow(name: str = "mlflow", **changes: Any) -> Mlflow:
    given = {"namespace": "spillway", "image": "localhost/spillway/mlflow:1", **changes}
    client = consumer("spillway", name)
    if "database" not in given:
        given["database"] = database(f"{name}-db", consumers=[client])
    if "store" not in given:
        given["store"] = object_store(f"{name}-s3", consumers=[client])
    return Mlflow(name, MlflowArgs(**given))


BUILDERS = {
    "spillway:index:FencedNamespace": namespace,
    "spillway:onprem:Database": database,
    "spillway:onprem:ObjectStore": object_store,
    "spillway:index:Mlflow": mlflow,
}
"""Public contract: a token that changes replaces what users have."""


def everything() -> list[pulumi.Output[str]]:
    """One of each (MLflow brings a database and a store), node port included."""
    return [
        namespace().urn,
        mlflow(node_port=30500, pod_network="10.42.0.0/16", hosts=["mlflow.example.com"]).urn,
    ]


def stack_config(stack: str) -> dict[str, str]:
    """A stack file as the engine hands it to the program: text, with the project's defaults."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    own = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    defaults = {f"spillway:{key}": value["default"] for key, value in project.items()}
    return {key: as_text(value) for key, value in {**defaults, **own}.items()}


def as_text(value: Any) -> str:
    """An empty value reaches the program as empty text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
