"""One server and the volume it keeps its data on."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.labels import metadata

DATA = "data"
"""Name of the pod's volume that holds the data."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """How the volume is made."""

    size: str
    class_name: str | None
    """StorageClass; None is the cluster's default."""
    protect: bool


def claim(
    name: str,
    namespace: pulumi.Input[str],
    marks: dict[str, str],
    disk: Disk,
    parent: pulumi.Resource,
) -> k8s.core.v1.PersistentVolumeClaim:
    """The volume as an object of its own: it can be protected, and it can grow in place.

    A StatefulSet's volumeClaimTemplates offer neither: they are immutable, and Pulumi never sees
    the volumes they make.
    """
    spec: k8s.core.v1.PersistentVolumeClaimSpecArgsDict = {
        "access_modes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": disk.size}},
    }
    if disk.class_name is not None:
        spec["storage_class_name"] = disk.class_name
    meta = metadata(namespace, marks, f"{name}-data")
    # Many classes bind a volume only when its first pod is scheduled; the server's own readiness
    # says more than "Bound".
    meta["annotations"] = {"pulumi.com/skipAwait": "true"}
    return k8s.core.v1.PersistentVolumeClaim(
        f"{name}-data",
        metadata=meta,
        spec=spec,
        # A named object cannot be created before the old one has gone.
        opts=pulumi.ResourceOptions(
            parent=parent, protect=disk.protect, delete_before_replace=True
        ),
    )


def single_server(
    name: str,
    *,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    chosen: dict[str, str],
    template: k8s.core.v1.PodTemplateSpecArgsDict,
    parent: pulumi.Resource,
) -> k8s.apps.v1.StatefulSet:
    """Exactly one pod, never two at a time on the same volume.

    No PodDisruptionBudget: with one replica it could only block every drain of a node.
    """
    return k8s.apps.v1.StatefulSet(
        f"{name}-server",
        metadata=metadata,
        spec={
            "replicas": 1,
            "service_name": name,
            "selector": {"match_labels": chosen},
            "template": template,
        },
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
