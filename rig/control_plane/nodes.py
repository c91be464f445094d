"""What a control plane has in place of machines: nodes and a StorageClass that kwok plays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ANNOTATION = ("kwok.x-k8s.io/node", "fake")
"""kwok plays the nodes that carry it, and no others."""
ROOMY = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "100Ti", "pods": "10000"}


@dataclass(frozen=True, kw_only=True)
class FakeNode:
    """A machine that is not there. Its pods become Ready, those of Jobs done."""

    name: str = "onprem-0"
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    resources: Mapping[str, str] = field(default_factory=dict[str, str])
    """Over ``ROOMY``, such as ``{"nvidia.com/gpu": "8"}``."""
    taints: Sequence[Mapping[str, str]] = ()
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the stages that play it read."""

    @property
    def manifest(self) -> dict[str, Any]:
        """The Node; not Ready, else pods would bind to it before kwok has seen it."""
        system = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
        labels = {**system, "kubernetes.io/hostname": self.name, **self.labels}
        resources = {**ROOMY, **self.resources}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": labels,
                "annotations": {**self.annotations, **dict([ANNOTATION])},
            },
            "spec": {"taints": [dict(taint) for taint in self.taints]},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": [{"type": "Ready", "status": "False", "reason": "Starting"}],
            },
        }


def storage_class(name: str, *, default: bool) -> dict[str, Any]:
    """A class like the rig's: a claim gets its volume when its first pod has got a node."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": name,
            "annotations": {"storageclass.kubernetes.io/is-default-class": str(default).lower()},
        },
        "provisioner": "spillway.dev/fake",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": False,
    }
