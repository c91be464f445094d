"""One server and the volume it keeps its data on."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.labels import AT_ONCE, DNS_LABEL, labels, metadata, selector
from components.pods import Scratch, pod

DATA = "data"
"""Name of the pod's volume that holds the data."""
ROLE = "server"
"""The role, in its labels, of the pod that serves."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """How the volume is made."""

    size: str
    class_name: str | None
    """StorageClass; None is the cluster's default."""
    protect: bool


@dataclass(frozen=True, kw_only=True)
class Server:
    """The one pod that serves, as its own image and probes make it."""

    app: str
    uid: int
    container: k8s.core.v1.ContainerArgsDict
    scratch: Sequence[Scratch]
    grace: int
    """Seconds it may take to end."""
    port: int
    port_name: str


def on_volume(
    name: str,
    server: Server,
    disk: Disk,
    namespace: pulumi.Input[str],
    parent: pulumi.Resource,
) -> tuple[k8s.apps.v1.StatefulSet, k8s.core.v1.Service]:
    """The server with its account, its volume and the Service that clients call it by.

    Exactly one pod, never two at a time on the same volume. No PodDisruptionBudget: with one
    replica it could only block every drain of a node.
    """
    marks, chosen = labels(server.app, name, ROLE), selector(server.app, name, ROLE)
    named = pulumi.ResourceOptions(parent=parent, delete_before_replace=True)
    account = k8s.core.v1.ServiceAccount(
        f"{name}-account",
        metadata=metadata(namespace, marks),
        automount_service_account_token=False,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    volume = _claim(name, namespace, marks, disk, parent)
    spec = pod(
        {"termination_grace_period_seconds": server.grace, "containers": [server.container]},
        uid=server.uid,
        account=account.metadata.name,
        scratch=server.scratch,
        volumes=[
            {"name": DATA, "persistent_volume_claim": {"claim_name": volume.metadata.name}},
        ],
    )
    stateful = k8s.apps.v1.StatefulSet(
        f"{name}-server",
        metadata=metadata(namespace, marks, name),
        spec={
            "replicas": 1,
            "service_name": name,
            "selector": {"match_labels": chosen},
            "template": {"metadata": {"labels": {**marks, DNS_LABEL: "denied"}}, "spec": spec},
        },
        opts=named,
    )
    port = server.port_name
    service = k8s.core.v1.Service(
        f"{name}-service",
        metadata={**metadata(namespace, marks, name), "annotations": AT_ONCE},
        spec={
            "selector": chosen,
            "ports": [{"name": port, "port": server.port, "target_port": port}],
        },
        opts=named,
    )
    return stateful, service


def _claim(
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
    return k8s.core.v1.PersistentVolumeClaim(
        f"{name}-data",
        # Many classes bind a volume only when its first pod is scheduled; the server's own
        # readiness says more than "Bound".
        metadata={**metadata(namespace, marks, f"{name}-data"), "annotations": AT_ONCE},
        spec=spec,
        # A named object cannot be created before the old one has gone.
        opts=pulumi.ResourceOptions(
            parent=parent, protect=disk.protect, delete_before_replace=True
        ),
    )
