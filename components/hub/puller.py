"""Keeps the notebooks' images on every node, so that nobody waits for one to be fetched."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.hub.names import APP
from components.labels import AT_ONCE, DNS_LABEL, labels, metadata, selector
from components.pods import PullPolicy, container, pod

ROLE = "puller"
UID = 65534
ENDLESS = ["/usr/bin/sleep", "infinity"]


@dataclass(frozen=True, kw_only=True)
class PullerArgs:
    """Which images, each with a ``sleep`` in it."""

    namespace: pulumi.Input[str]
    images: Sequence[pulumi.Input[str]]
    pull_policy: PullPolicy


class Puller(pulumi.ComponentResource):
    """A DaemonSet whose containers do nothing: a node that runs it has their images."""

    def __init__(
        self, name: str, args: PullerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:Puller", name, None, opts)
        marks, own = labels(APP, name, ROLE), selector(APP, name, ROLE)
        child = pulumi.ResourceOptions(parent=self)
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=metadata(args.namespace, marks),
            automount_service_account_token=False,
            opts=child,
        )
        spec: k8s.core.v1.PodSpecArgsDict = {
            "termination_grace_period_seconds": 0,
            # Wherever a notebook may run, GPU nodes too.
            "tolerations": [{"operator": "Exists"}],
            "containers": [_holder(n, image, args) for n, image in enumerate(args.images)],
        }
        k8s.apps.v1.DaemonSet(
            f"{name}-images",
            metadata={
                **metadata(args.namespace, marks),
                # A node that is slow to fetch must not hold up the stack.
                "annotations": AT_ONCE,
            },
            spec={
                "selector": {"match_labels": own},
                "update_strategy": {"rolling_update": {"max_unavailable": "100%"}},
                "template": {
                    "metadata": {"labels": {**marks, DNS_LABEL: "denied"}},
                    "spec": pod(spec, uid=UID, account=account.metadata.name),
                },
            },
            opts=child,
        )
        self.register_outputs({})


def _holder(
    number: int, image: pulumi.Input[str], args: PullerArgs
) -> k8s.core.v1.ContainerArgsDict:
    return container(
        {
            "name": f"image-{number}",
            "image": image,
            "image_pull_policy": args.pull_policy,
            "command": ENDLESS,
        },
        requests={"cpu": "1m", "memory": "4Mi"},
        memory_limit="32Mi",
    )
