"""A pod that runs once and must succeed before those who depend on it start."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from components import network
from components.labels import metadata
from components.pods import Scratch, container, pod

TRIES = 5
DEADLINE = 600
"""Seconds after which ``pulumi up`` fails instead of waiting on."""
RETRY = {"pulumi.com/replaceUnready": "true"}
"""A Job that failed stays failed; the next ``pulumi up`` runs another one in its place."""
SCRATCH = (Scratch(path="/tmp", size="256Mi"),)  # noqa: S108 - a volume of the pod's own


def run_once(  # noqa: PLR0913 - what a job is made of
    name: str,
    *,
    namespace: pulumi.Input[str],
    marks: dict[str, str],
    uid: int,
    container: k8s.core.v1.ContainerArgsDict,
    egress: Sequence[network.Egress],
    opts: pulumi.ResourceOptions,
    volumes: Sequence[k8s.core.v1.VolumeArgsDict] = (),
    mounts: Sequence[k8s.core.v1.VolumeMountArgsDict] = (),
    memory: str = "256Mi",
) -> k8s.batch.v1.Job:
    """The Job, and with it the account it runs as and the policy that lets it reach what it needs.

    Autonamed and immutable: another image or another Secret makes a new Job, which runs before
    the old one is removed. It has no time to live, or a refresh would miss it.
    """
    child = pulumi.ResourceOptions(parent=opts.parent)
    account = k8s.core.v1.ServiceAccount(
        f"{name}-account",
        # Fixed: a cloud's trust in it goes by its name.
        metadata=metadata(namespace, marks, name),
        automount_service_account_token=False,
        opts=pulumi.ResourceOptions.merge(
            child, pulumi.ResourceOptions(delete_before_replace=True)
        ),
    )
    policy = network.policy(
        f"{name}-policy",
        namespace=namespace,
        marks=marks,
        pods=marks,
        outgoing=egress,
        opts=child,
    )
    spec: k8s.core.v1.PodSpecArgsDict = {
        "restart_policy": "Never",
        "containers": [_hardened(container, mounts, memory)],
    }
    return k8s.batch.v1.Job(
        name,
        metadata={**metadata(namespace, marks), "annotations": RETRY},
        spec={
            "backoff_limit": TRIES,
            "active_deadline_seconds": DEADLINE,
            "template": {
                "metadata": {"labels": marks},
                "spec": pod(
                    spec,
                    uid=uid,
                    account=account.metadata.name,
                    scratch=SCRATCH,
                    volumes=volumes,
                ),
            },
        },
        # Without its policy it could not reach what it works on.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[policy])),
    )


def _hardened(
    base: k8s.core.v1.ContainerArgsDict,
    mounts: Sequence[k8s.core.v1.VolumeMountArgsDict],
    memory: str,
) -> k8s.core.v1.ContainerArgsDict:
    return container(
        base,
        requests={"cpu": "50m", "memory": "64Mi"},
        memory_limit=memory,
        scratch=SCRATCH,
        mounts=mounts,
    )
