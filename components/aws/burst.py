"""A pool of burst machines in AWS: a launch template, and a group that the autoscaler scales.

The group's tags tell the autoscaler what a machine would be like while there is none; the boot
script makes the node be like that. Both are from the pool's ``NodePool``.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.boot import CLOUD
from components.aws.network import Network
from components.aws.nodes import BurstNodes
from components.cluster.boot import script
from components.cluster.nodes import MACHINE_LABEL, NodePool
from components.shapes import Machines

AUTOSCALER = "k8s.io/cluster-autoscaler"
TEMPLATE = f"{AUTOSCALER}/node-template"
"""https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md"""
GPU_LABEL = "k8s.amazonaws.com/accelerator"
"""On nodes with it the autoscaler waits for the GPUs to appear, and starts no second machine."""
LARGEST_DATA = 16384
"""Of user data: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html"""
ROOT_DEVICE = "/dev/sda1"
"""As Ubuntu's images call it, and those made from them; any other name adds a second disk."""
DISK_GIB = 200
DISK_FREE = "180Gi"
"""What pods can ask for of it: the rest is where the kubelet puts pods out."""
DISK_SPEED = 500
"""MiB/s, as images are read from it at once. https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html"""


@dataclass(frozen=True, kw_only=True)
class BurstPoolArgs:
    """What machines, where, and for which cluster."""

    region: str
    cluster: str
    """Name in the tags by which the autoscaler finds its groups, and may touch no others."""
    network: Network
    nodes: BurstNodes
    machines: Machines


class BurstPool(pulumi.ComponentResource):
    """Machines in AWS that are there while work needs them; fulfils ``shapes.BurstPool``."""

    groups: pulumi.Output[Mapping[str, int]]
    maximum: pulumi.Output[int]

    def __init__(
        self, name: str, args: BurstPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:aws:BurstPool", name, None, opts)
        self._name, self._args = name, args
        maximum = args.machines.maximum
        group = self._group(self._template())

        self.groups = group.name.apply(lambda group: {group: maximum})
        self.maximum = pulumi.Output.from_input(maximum)
        self.register_outputs({"groups": self.groups, "maximum": self.maximum})

    def _template(self) -> aws.ec2.LaunchTemplate:
        args = self._args
        marks = {**marked(), "Name": f"{pulumi.get_stack()}-{args.machines.pool.name}"}
        return aws.ec2.LaunchTemplate(
            f"{self._name}-template",
            image_id=args.machines.image,
            instance_type=args.machines.machine,
            user_data=args.nodes.secret.apply(self._user_data),
            update_default_version=True,
            iam_instance_profile={"arn": args.nodes.profile},
            # Sessions only, and answers that no container's network lets through.
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            network_interfaces=[
                {
                    "device_index": 0,
                    "associate_public_ip_address": "false",
                    "delete_on_termination": "true",
                    "security_groups": [args.nodes.group],
                }
            ],
            block_device_mappings=[
                {
                    "device_name": ROOT_DEVICE,
                    "ebs": {
                        "volume_type": "gp3",
                        "volume_size": DISK_GIB,
                        "throughput": DISK_SPEED,
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            # The provider's own tags are on the template, not on what is made by it.
            tag_specifications=[
                {"resource_type": what, "tags": marks}
                for what in ("instance", "volume", "network-interface")
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _user_data(self, secret: str) -> str:
        args = self._args
        text = script(
            args.machines,
            CLOUD,
            region=args.region,
            secret=secret,
            labels=gpu_label(args.machines.pool),
        ).encode()
        if len(text) > LARGEST_DATA:
            raise ValueError(f"{self._name}: {len(text)} bytes of user data: EC2 takes no more")
        return base64.b64encode(text).decode()

    def _group(self, template: aws.ec2.LaunchTemplate) -> aws.autoscaling.Group:
        args, spot = self._args, self._args.machines.spot
        return aws.autoscaling.Group(
            f"{self._name}-group",
            min_size=0,
            max_size=args.machines.maximum,
            vpc_zone_identifiers=args.network.subnets,
            mixed_instances_policy={
                "launch_template": {
                    "launch_template_specification": {
                        "launch_template_id": template.id,
                        "version": "$Latest",
                    },
                    "overrides": [{"instance_type": args.machines.machine}],
                },
                "instances_distribution": {
                    "on_demand_base_capacity": 0,
                    "on_demand_percentage_above_base_capacity": 0 if spot else 100,
                    "spot_allocation_strategy": "price-capacity-optimized",
                },
            },
            # It would end a machine with work on it, to have as many in each zone.
            suspended_processes=["AZRebalance"],
            protect_from_scale_in=False,
            # There is no capacity to wait for, and machines never keep the stack from going.
            wait_for_capacity_timeout="0",
            force_delete=True,
            tags=[
                {"key": key, "value": value, "propagate_at_launch": False}
                for key, value in {**marked(), **self._tags()}.items()
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                # The autoscaler's.
                ignore_changes=["desiredCapacity"],
                depends_on=args.nodes.ready,
            ),
        )

    def _tags(self) -> Mapping[str, str]:
        machines = self._args.machines
        pool = machines.pool
        labels = {**pool.labels, **gpu_label(pool), MACHINE_LABEL: machines.machine}
        resources = {**pool.resources, "ephemeral-storage": DISK_FREE}
        return {
            # Those that ``policies.scale`` asks for.
            f"{AUTOSCALER}/enabled": "true",
            f"{AUTOSCALER}/{self._args.cluster}": "owned",
            **{f"{TEMPLATE}/label/{key}": value for key, value in labels.items()},
            **{f"{TEMPLATE}/taint/{taint.key}": taint.text for taint in pool.taints},
            **{f"{TEMPLATE}/resources/{name}": amount for name, amount in resources.items()},
        }


def gpu_label(pool: NodePool) -> Mapping[str, str]:
    """The label by which the autoscaler's AWS side knows nodes with GPUs."""
    return {GPU_LABEL: f"nvidia-{pool.accelerator}"}


def marked() -> dict[str, str]:
    """The stack's tags where the provider's default ones do not reach."""
    return {
        "project": pulumi.get_project(),
        "stack": pulumi.get_stack().lower(),
        "managed-by": "pulumi",
    }
