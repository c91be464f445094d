"""What every pod has in common: it passes the ``restricted`` Pod Security Standard.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s
from pydantic.alias_generators import to_camel

CONTAINER_SECURITY: k8s.core.v1.SecurityContextArgsDict = {
    "allow_privilege_escalation": False,
    "read_only_root_filesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


class PullPolicy(StrEnum):
    """When a node asks the registry for an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A folder a process may write to, empty in every new pod."""

    path: str
    size: str
    """Kubernetes quantity; the pod is evicted when it holds more."""
    memory: bool = False

    @property
    def name(self) -> str:
        """Volume name: the path as a DNS label."""
        return self.path.strip("/").replace("/", "-")


def container(  # noqa: PLR0913 - what a container is made of
    base: k8s.core.v1.ContainerArgsDict,
    *,
    requests: Mapping[str, str],
    memory_limit: str,
    scratch: Sequence[Scratch] = (),
    mounts: Sequence[k8s.core.v1.VolumeMountArgsDict] = (),
    extended: Mapping[str, str] | None = None,
) -> k8s.core.v1.ContainerArgsDict:
    """A container without privileges. No CPU limit: idle CPU is there to be used.

    ``extended`` resources, such as GPUs, are requested and limited in one.
    """
    more = extended or {}
    return {
        **base,
        "security_context": CONTAINER_SECURITY,
        "resources": {
            "requests": {**requests, **more},
            "limits": {"memory": memory_limit, **more},
        },
        "volume_mounts": [
            *({"name": folder.name, "mount_path": folder.path} for folder in scratch),
            *mounts,
        ],
    }


def pod(  # noqa: PLR0913 - what a pod is made of
    base: k8s.core.v1.PodSpecArgsDict,
    *,
    uid: int,
    account: pulumi.Input[str],
    scratch: Sequence[Scratch] = (),
    volumes: Sequence[k8s.core.v1.VolumeArgsDict] = (),
    token: bool = False,
) -> k8s.core.v1.PodSpecArgsDict:
    """A pod that runs as one unprivileged user; only with ``token`` the API server knows it."""
    return {
        **base,
        "service_account_name": account,
        "automount_service_account_token": token,
        # Variables such as MLFLOW_PORT=tcp://… would otherwise be injected for every Service.
        "enable_service_links": False,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": uid,
            "run_as_group": uid,
            "fs_group": uid,
            "fs_group_change_policy": "OnRootMismatch",
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "volumes": [*map(_empty, scratch), *volumes],
    }


def _empty(folder: Scratch) -> k8s.core.v1.VolumeArgsDict:
    source: k8s.core.v1.EmptyDirVolumeSourceArgsDict = {"size_limit": folder.size}
    if folder.memory:
        source["medium"] = "Memory"
    return {"name": folder.name, "empty_dir": source}


def http_probe(path: str, every: int, failures: int) -> k8s.core.v1.ProbeArgsDict:
    """Ask the port called ``http`` every so many seconds."""
    return {
        "http_get": {"path": path, "port": "http"},
        "period_seconds": every,
        "failure_threshold": failures,
        "timeout_seconds": 5,
    }


ABBREVIATIONS = {"downward_api": "downwardAPI"}
"""Kubernetes writes them large."""


def camel(value: Any) -> Any:
    """Arguments of Pulumi's SDK as Kubernetes spells them."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value)
        return {_spelt(name): camel(item) for name, item in items.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [camel(item) for item in cast("Sequence[Any]", value)]
    return value


def _spelt(name: str) -> str:
    if "/" in name:  # No name of the SDK's, but a key such as nvidia.com/gpu.
        return name
    # Names that Python keeps for itself, such as exec, have an underscore behind.
    return ABBREVIATIONS.get(name) or to_camel(name.rstrip("_"))


def spread(own: dict[str, str]) -> k8s.core.v1.TopologySpreadConstraintArgsDict:
    """Pods with these labels on different nodes, where there are several."""
    return {
        "max_skew": 1,
        "topology_key": "kubernetes.io/hostname",
        # One node must be enough for a laptop.
        "when_unsatisfiable": "ScheduleAnyway",
        "label_selector": {"match_labels": own},
    }
