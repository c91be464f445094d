"""Machines that are not there: the company's own, and the groups of a cloud that makes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from components.cluster.nodes import NodePool
from rig.control_plane import FakeNode
from rig.simulation.stages import BOOT, FAULT

NAMESPACE = "kube-system"
"""Of what the autoscaler's provider reads."""
_GPU_LABEL = "simulation.spillway.dev/accelerator"
"""As each cloud has one: with it the autoscaler knows a node whose GPUs are not there yet."""
_GROUP_LABEL = "simulation.spillway.dev/group"
_COUNT = "cluster-autoscaler.kwok.nodegroup"


class Fault(StrEnum):
    """What can be wrong with a machine."""

    NEVER_READY = "never-ready"
    """It boots and boots."""
    NO_GPUS = "no-gpus"
    """It is Ready, and its driver is not there."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Machines that a cloud makes and takes back as the autoscaler says."""

    pool: NodePool
    most: int
    cpu: str = "8"
    memory: str = "32Gi"
    boot_seconds: float = 0
    fault: Fault | None = None
    running: int = 0
    """Machines that it has already: a cloud remembers, the autoscaler does not."""

    @property
    def name(self) -> str:
        """The pool's."""
        return self.pool.name

    @property
    def template(self) -> dict[str, Any]:
        """One of its nodes, not booted yet."""
        pool = self.pool
        node = FakeNode(
            name=self.name,
            labels=pool.labels,
            resources=_resources(pool, self.cpu, self.memory),
            taints=[{"key": t.key, "value": t.value, "effect": t.effect} for t in pool.taints],
            annotations=self._annotations,
        )
        manifest = node.manifest
        labels: dict[str, str] = manifest["metadata"]["labels"]
        # The autoscaler names its nodes, and compares their labels but for the host's.
        del labels["kubernetes.io/hostname"]
        labels[_GROUP_LABEL] = self.name
        labels[_GPU_LABEL] = self.pool.accelerator
        return manifest

    @property
    def _annotations(self) -> dict[str, str]:
        counts = {"min-count": 0, "max-count": self.most, "desired-count": self.running}
        annotations = {f"{_COUNT}/{name}": str(count) for name, count in counts.items()}
        annotations[BOOT] = f"{self.boot_seconds:g}s"
        return {**annotations, **({FAULT: self.fault.value} if self.fault else {})}


def onprem(
    pool: NodePool, names: Sequence[str], *, cpu: str = "32", memory: str = "128Gi"
) -> list[FakeNode]:
    """The company's own machines that a pool names, as they are before a stack labels them."""
    resources = _resources(pool, cpu, memory)
    return [FakeNode(name=name, resources=resources) for name in names]


def config_maps(groups: Sequence[Group]) -> Iterator[dict[str, Any]]:
    """What the autoscaler's provider reads: its settings, and a node of each group."""
    kinds: dict[str, dict[str, str]] = {group.pool.accelerator: {} for group in groups}
    settings = {
        "apiVersion": "v1alpha1",
        "readNodesFrom": "configmap",
        "nodegroups": {"fromNodeLabelKey": _GROUP_LABEL},
        "nodes": {
            # The pools' own taints keep others away.
            "skipTaint": True,
            "gpuConfig": {"gpuLabelKey": _GPU_LABEL, "availableGPUTypes": kinds},
        },
        "configmap": {"name": "kwok-provider-templates"},
    }
    templates = {"apiVersion": "v1", "kind": "List", "items": [g.template for g in groups]}
    for name, key, content in (
        ("kwok-provider-config", "config", settings),
        ("kwok-provider-templates", "templates", templates),
    ):
        yield {"metadata": {"name": name}, "data": {key: yaml.safe_dump(content)}}


def _resources(pool: NodePool, cpu: str, memory: str) -> dict[str, str]:
    return {"cpu": cpu, "memory": memory, "pods": "110", **pool.resources}
