"""Every setting of a stack: the only reader of the stack's config.

The models are the reference: the JSON Schema for editors, the table in docs/config.md and the
error texts come from them (``python -m infra.settings`` prints the schema, ``--write`` updates
both files). How a wrong value is reported lives in ``config_errors``.
"""

import ipaddress
import json
import re
from enum import StrEnum
from typing import Annotated, Any

import pulumi
import yaml
from pulumi.runtime import config as engine
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from components.mlflow_env import MAX_CONNECTIONS
from components.pods import PullPolicy
from infra.config_errors import (
    Problem,
    allowed,
    foreign_key,
    from_validation,
    refuse,
    section,
    unknown_key,
)

PROJECT = "spillway"
LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
"""RFC 1123 label: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""
HOST = rf"{LABEL}(\.{LABEL})*"
GIB = 2**30
UNITS = {"": 1, **{u: 1000**i for i, u in enumerate("kMGTPE", 1)}} | {
    f"{u}i": 1024**i for i, u in enumerate("KMGTPE", 1)
}


def _volume_size(quantity: str) -> str:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGTPE]i|[kMGTPE])?", quantity)
    if match is None or float(match[1]) * UNITS[match[2] or ""] < GIB:
        raise ValueError("not a volume size")
    return quantity


def _own_namespace(name: str) -> str:
    # The stack creates this namespace, fences it and deletes it on destroy.
    if name == "default" or name.startswith("kube-"):
        raise ValueError("belongs to the cluster")
    return name


def _cidr(network: str) -> str:
    return str(ipaddress.ip_network(network))


VolumeSize = Annotated[
    str,
    AfterValidator(_volume_size),
    Field(json_schema_extra={"pattern": r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE])?$"}),
]
HostName = Annotated[str, StringConstraints(pattern=rf"^{HOST}$", max_length=253)]
Origin = Annotated[str, StringConstraints(pattern=rf"^https://{HOST}(:[0-9]{{1,5}})?$")]
Cidr = Annotated[str, AfterValidator(_cidr)]
NamespaceName = Annotated[
    str, StringConstraints(pattern=rf"^{LABEL}$"), AfterValidator(_own_namespace)
]
SIZES = "a Kubernetes quantity of at least 1Gi, such as 5Gi"


def setting(default: Any, what: str, allowed: str, **limits: Any) -> Any:
    """A field with its description for people and the rule an error message quotes."""
    return Field(default, description=what, json_schema_extra={"allowed": allowed}, **limits)


class Section(BaseModel):
    """A group of settings; a key it does not know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Cloud(StrEnum):
    """Where work goes when the machines of the company are full."""

    NONE = "none"


class ClusterNetwork(Section):
    """Addresses the cluster uses."""

    pods: Cidr | None = setting(
        None,
        "Pod addresses, so that pods do not pass as callers from outside the cluster.",
        "a network such as 10.42.0.0/16",
    )


class Cluster(Section):
    """Which cluster the stack is installed in."""

    context: str | None = setting(
        None,
        "Context of the kubeconfig on this machine; without it, its current context.",
        "the name of a context",
        min_length=1,
    )
    network: ClusterNetwork = setting(
        ClusterNetwork(), "Addresses the cluster uses.", "a map with: pods"
    )


class Images(Section):
    """Where pods get their images from."""

    registry: str = setting(
        "localhost/spillway",
        "Registry and path in front of every image name.",
        "registry/path in lower case, without scheme and tag, such as localhost/spillway",
        pattern=r"^[a-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$",
    )
    pull_policy: PullPolicy = setting(
        PullPolicy.IF_NOT_PRESENT,
        "When a node asks the registry for an image.",
        "one of Always, IfNotPresent, Never",
    )
    tag: str | None = setting(
        None,
        "One tag for all images; without it, each image's tag follows from its content.",
        "an image tag: letters, digits, '.', '_', '-', at most 128",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$",
    )


class Storage(Section):
    """How volumes are made."""

    class_name: str | None = setting(
        None,
        "StorageClass of all volumes; without it, the cluster's default.",
        "the name of a StorageClass",
        pattern=rf"^{HOST}$",
    )


class Database(Section):
    """The database for metadata."""

    size: VolumeSize = setting("5Gi", "Size of its volume; may grow later, never shrink.", SIZES)


class ObjectStore(Section):
    """The S3 store for artifacts."""

    size: VolumeSize = setting("20Gi", "Size of its volume; may grow later, never shrink.", SIZES)


class Mlflow(Section):
    """The tracking server."""

    replicas: StrictInt = setting(
        2, "How many servers share the work.", "a whole number from 1 to 32", ge=1, le=32
    )
    workers: StrictInt = setting(
        2, "Processes in each server.", "a whole number from 1 to 32", ge=1, le=32
    )
    hosts: tuple[HostName, ...] = setting(
        (),
        "Names, besides those inside the cluster, under which clients reach the server.",
        "a list of host names without scheme, port or path, such as mlflow.example.com",
    )
    origins: tuple[Origin, ...] = setting(
        (),
        "Web origins, besides those of its own hosts, that may call the API from a browser.",
        "a list of origins such as https://ds.example.com",
    )
    node_port: StrictInt | None = setting(
        None,
        "Port on every node that leads to the server; needs cluster.network.pods.",
        "a whole number from 30000 to 32767",
        ge=30000,
        le=32767,
    )


class Settings(Section):
    """Everything a stack can be told."""

    cloud: Cloud = setting(
        Cloud.NONE,
        "Where work goes when the machines are full; aws and gcp are not available yet.",
        "none; aws and gcp are not yet available: only none today",
    )
    namespace: NamespaceName = setting(
        "spillway",
        "Namespace the stack makes for the platform's own pods.",
        "lower-case letters, digits and '-', at most 63, not default and not kube-…",
    )
    protect: StrictBool = setting(
        True,
        "Refuse every plan that deletes or replaces a volume, its keys or its namespace.",
        "true or false",
    )
    kubeconfig: SecretStr | None = setting(
        None,
        "Text of a kubeconfig, instead of the file on this machine: a secret.",
        "the text of a kubeconfig, stored with: pulumi config set --secret spillway:kubeconfig",
    )
    cluster: Cluster = setting(
        Cluster(), "Which cluster the stack is installed in.", "a map with: context, network"
    )
    images: Images = setting(
        Images(), "Where pods get their images from.", "a map with: registry, pullPolicy, tag"
    )
    storage: Storage = setting(Storage(), "How volumes are made.", "a map with: className")
    database: Database = setting(Database(), "The database for metadata.", "a map with: size")
    object_store: ObjectStore = setting(
        ObjectStore(), "The S3 store for artifacts.", "a map with: size"
    )
    mlflow: Mlflow = setting(
        Mlflow(),
        "The tracking server.",
        "a map with: replicas, workers, hosts, origins, nodePort",
    )


def load() -> Settings:
    """Read and check the whole config of the stack; a ``RunError`` of one line if it is wrong."""
    config = {**engine.get_config_env(), **engine.CONFIG.get()}
    own: dict[str, Any] = {}
    for key in sorted(config):
        space, _, name = key.partition(":")
        if space == PROJECT:
            own[name] = _decode(name, str(config[key]))
        else:
            foreign_key(key)
    if unknown := sorted(own.keys() - _keys()):
        raise unknown_key((unknown[0],), own[unknown[0]], Settings)
    try:
        settings = Settings.model_validate(own)
    except ValidationError as error:
        # `from None`: pydantic's own text would print the value, secret or not.
        raise from_validation(error, Settings) from None
    _check_together(settings)
    return settings


def _keys() -> set[str]:
    return {to_camel(name) for name in Settings.model_fields}


def _decode(name: str, text: str) -> Any:
    """The engine hands every value over as text: give sections and booleans their shape back."""
    field = next((f for n, f in Settings.model_fields.items() if to_camel(n) == name), None)
    if name == "protect" or section(field) or (field is None and text[:1] in ("{", "[")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _check_together(settings: Settings) -> None:
    """Rules that need more than one key."""
    mlflow, config = settings.mlflow, settings.kubeconfig
    if config is not None:
        _check_kubeconfig(config.get_secret_value())
        if settings.cluster.context is not None:
            raise refuse(
                Problem(
                    ("cluster", "context"),
                    settings.cluster.context,
                    "left out when spillway:kubeconfig is set, whose current context is used",
                )
            )
    if mlflow.node_port is not None and settings.cluster.network.pods is None:
        raise refuse(
            Problem(
                ("mlflow", "nodePort"),
                mlflow.node_port,
                "left out, or go with spillway:cluster.network.pods",
            )
        )
    most = MAX_CONNECTIONS // mlflow.workers - 1
    if mlflow.replicas > most:
        raise refuse(
            Problem(
                ("mlflow", "replicas"),
                mlflow.replicas,
                f"at most {most} with {mlflow.workers} workers each, or the database runs out of "
                "connections during a roll-out",
            )
        )


def _check_kubeconfig(text: str) -> None:
    problem = Problem(("kubeconfig",), "", allowed(("kubeconfig",), Settings))
    if not engine.is_config_secret(f"{PROJECT}:kubeconfig"):
        raise refuse(problem)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        raise refuse(problem) from None
    if not isinstance(content, dict) or "clusters" not in content:
        raise refuse(problem)


def kubeconfig(settings: Settings) -> pulumi.Output[str] | None:
    """The kubeconfig as the engine should keep it: encrypted."""
    secret = settings.kubeconfig
    return pulumi.Output.secret(secret.get_secret_value()) if secret else None


if __name__ == "__main__":
    from infra.schema import main

    main()
