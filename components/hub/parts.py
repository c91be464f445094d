"""What the hub, its proxy and the experiments page have in common: one pod each, and a Service."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.hub.names import APP
from components.labels import AT_ONCE, labels, metadata, selector
from components.pods import Scratch, pod


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the three."""

    namespace: pulumi.Input[str]
    name: str
    """Of the hub it belongs to."""
    role: str
    uid: int
    priority: pulumi.Input[str]
    """PriorityClass: people's work must not push it off a machine."""

    @property
    def marks(self) -> dict[str, str]:
        """Its labels."""
        return labels(APP, self.name, self.role)

    @property
    def chosen(self) -> dict[str, str]:
        """What picks its pods."""
        return selector(APP, self.name, self.role)


def deployment(  # noqa: PLR0913 - what a part is made of
    part: Part,
    container: k8s.core.v1.ContainerArgsDict,
    *,
    scratch: Sequence[Scratch],
    opts: pulumi.ResourceOptions,
    volumes: Sequence[k8s.core.v1.VolumeArgsDict] = (),
    token: bool = False,
    metrics: int | None = None,
    path: str = "/metrics",
) -> k8s.apps.v1.Deployment:
    """One pod, never two at a time, with an account and a budget of its own."""
    name = f"{part.name}-{part.role}"
    child = pulumi.ResourceOptions(parent=opts.parent)
    account = k8s.core.v1.ServiceAccount(
        f"{name}-account",
        # Fixed: tenants' namespaces name it in what it may do there.
        metadata=metadata(part.namespace, part.marks, name),
        automount_service_account_token=False,
        opts=pulumi.ResourceOptions.merge(
            child, pulumi.ResourceOptions(delete_before_replace=True)
        ),
    )
    annotations = (
        {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(metrics),
            "prometheus.io/path": path,
        }
        if metrics
        else {}
    )
    k8s.policy.v1.PodDisruptionBudget(
        f"{name}-budget",
        metadata=metadata(part.namespace, part.marks),
        # A drain may move it; two budgets at once may not.
        spec={"max_unavailable": 1, "selector": {"match_labels": part.chosen}},
        opts=child,
    )
    spec: k8s.core.v1.PodSpecArgsDict = {
        "priority_class_name": part.priority,
        "termination_grace_period_seconds": 30,
        "containers": [container],
    }
    return k8s.apps.v1.Deployment(
        name,
        metadata=metadata(part.namespace, part.marks, name),
        spec={
            "replicas": 1,
            "selector": {"match_labels": part.chosen},
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": {"labels": part.marks, "annotations": annotations},
                "spec": pod(
                    spec,
                    uid=part.uid,
                    account=account.metadata.name,
                    scratch=scratch,
                    volumes=volumes,
                    token=token,
                ),
            },
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=True)),
    )


def service(  # noqa: PLR0913, PLR0917 - a Service is made of exactly these
    part: Part,
    name: str,
    port: int,
    target: str,
    parent: pulumi.Resource,
    node_port: int | None = None,
) -> k8s.core.v1.Service:
    """How others find it."""
    spec: k8s.core.v1.ServicePortArgsDict = {"name": target, "port": port, "target_port": target}
    if node_port is not None:
        spec["node_port"] = node_port
    return k8s.core.v1.Service(
        f"{name}-service",
        # The name is in everybody's configuration.
        metadata={**metadata(part.namespace, part.marks, name), "annotations": AT_ONCE},
        spec={
            "type": "ClusterIP" if node_port is None else "NodePort",
            "selector": part.chosen,
            "ports": [spec],
        },
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
