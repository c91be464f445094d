"""A pool of burst machines in Google Cloud: a template, and a group in each zone.

The template's metadata tells the autoscaler what a machine would be like while there is none; the
boot script makes the node be like that. Both are from the pool's ``NodePool``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_gcp import compute

from components.cluster.boot import script
from components.cluster.nodes import MACHINE_LABEL, NodePool
from components.gcp.boot import CLOUD
from components.gcp.kube_env import kube_env
from components.gcp.names import fitting, labels
from components.gcp.network import Network
from components.gcp.nodes import BurstNodes
from components.shapes import Machines

GPU_LABEL = "cloud.google.com/gke-accelerator"
"""On nodes with it the autoscaler waits for the GPUs to appear, and starts no second machine."""
GPUS: Mapping[str, str] = {
    "t4": "nvidia-tesla-t4",
    "l4": "nvidia-l4",
    "a100-40gb": "nvidia-tesla-a100",
    "a100-80gb": "nvidia-a100-80gb",
    "h100": "nvidia-h100-80gb",
}
"""Google's names: https://cloud.google.com/compute/docs/gpus"""
GENERAL = "n1-"
"""The one series without GPUs of its own to which GPUs are added."""
DISK_GB = 200


@dataclass(frozen=True, kw_only=True)
class BurstPoolArgs:
    """What machines, and where."""

    project: str
    region: str
    zones: Sequence[str]
    """Full names. The autoscaler knows groups of one zone only, so each gets its own."""
    network: Network
    nodes: BurstNodes
    machines: Machines

    def __post_init__(self) -> None:
        if self.machines.pool.accelerator not in GPUS:
            raise ValueError(f"Google has no name for {self.machines.pool.accelerator}")


class BurstPool(pulumi.ComponentResource):
    """Machines in Google Cloud while work needs them; fulfils ``shapes.BurstPool``."""

    groups: pulumi.Output[Mapping[str, int]]
    maximum: pulumi.Output[int]

    def __init__(
        self, name: str, args: BurstPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:gcp:BurstPool", fitting(name), None, opts)
        self._name, self._args = name, args
        template = self._template()
        parts = shared_out(args.machines.maximum, args.zones)
        made = [self._group(template, zone) for zone in parts]

        most = list(parts.values())
        self.groups = pulumi.Output.all(*[group.instance_group for group in made]).apply(
            lambda urls: dict(zip(urls, most, strict=True))
        )
        self.maximum = pulumi.Output.from_input(args.machines.maximum)
        self.register_outputs({"groups": self.groups, "maximum": self.maximum})

    def _template(self) -> compute.InstanceTemplate:
        args, machines = self._args, self._args.machines
        return compute.InstanceTemplate(
            f"{self._name}-template",
            project=args.project,
            machine_type=machines.machine,
            guest_accelerators=added(machines),
            scheduling=scheduling(spot=machines.spot),
            disks=[
                {
                    "boot": True,
                    "auto_delete": True,
                    "source_image": machines.image,
                    "disk_type": "pd-balanced",
                    "disk_size_gb": DISK_GB,
                    "labels": labels(),
                }
            ],
            # Without an access configuration there is no public address.
            network_interfaces=[{"subnetwork": args.network.subnets[0]}],
            service_account={"email": args.nodes.identity, "scopes": ["cloud-platform"]},
            shielded_instance_config={
                # The driver's modules carry nobody's signature that the firmware knows.
                "enable_secure_boot": False,
                "enable_vtpm": True,
                "enable_integrity_monitoring": True,
            },
            metadata={
                "kube-env": self._kube_env(),
                "startup-script": args.nodes.secret.apply(self._script),
                "block-project-ssh-keys": "true",
            },
            labels=labels(),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _kube_env(self) -> str:
        machines = self._args.machines
        pool = machines.pool
        given = {**pool.labels, **gpu_label(pool), MACHINE_LABEL: machines.machine}
        return kube_env(given, pool.taints, pool.resources)

    def _script(self, secret: str) -> str:
        args = self._args
        return script(
            args.machines,
            CLOUD,
            region=args.region,
            secret=secret,
            labels=gpu_label(args.machines.pool),
        )

    def _group(self, template: compute.InstanceTemplate, zone: str) -> compute.InstanceGroupManager:
        args = self._args
        return compute.InstanceGroupManager(
            f"{self._name}-{zone}",
            project=args.project,
            zone=zone,
            base_instance_name=self._name,
            versions=[{"instance_template": template.self_link_unique}],
            target_size=0,
            # Whatever runs may finish; the next machine is of the new kind.
            update_policy={
                "type": "OPPORTUNISTIC",
                "minimal_action": "REPLACE",
                "max_surge_fixed": 0,
                "max_unavailable_fixed": 1,
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                # The autoscaler's.
                ignore_changes=["targetSize"],
                depends_on=args.nodes.ready,
            ),
        )


def autoscaler_config(project: str, zone: str) -> str:
    """What Cluster Autoscaler would ask the metadata server for, which a pod on-prem has not."""
    return f"[Global]\nproject-id = {project}\nlocal-zone = {zone}\n"


def shared_out(maximum: int, zones: Sequence[str]) -> Mapping[str, int]:
    """The most machines of each zone, of which none has no machine at all.

    A group on Google Cloud has no limit of its own, and the autoscaler knows one a group: the
    whole of it in every zone would be more than may be spent.
    """
    used = zones[:maximum]
    least, rest = divmod(maximum, len(used))
    return {zone: least + (1 if index < rest else 0) for index, zone in enumerate(used)}


def gpu_label(pool: NodePool) -> Mapping[str, str]:
    """The label by which the autoscaler's Google side knows nodes with GPUs."""
    return {GPU_LABEL: GPUS[pool.accelerator]}


def added(machines: Machines) -> list[Any]:
    """GPUs that are no part of the machine type: Google refuses to add those that are."""
    if not machines.machine.startswith(GENERAL):
        return []
    return [{"type": GPUS[machines.pool.accelerator], "count": machines.pool.gpus}]


def scheduling(*, spot: bool) -> Any:
    """When a machine ends. One with GPUs never moves to another host."""
    if not spot:
        return {
            "provisioning_model": "STANDARD",
            "automatic_restart": True,
            "on_host_maintenance": "TERMINATE",
        }
    return {
        "provisioning_model": "SPOT",
        "preemptible": True,
        "automatic_restart": False,
        "on_host_maintenance": "TERMINATE",
        "instance_termination_action": "DELETE",
    }
