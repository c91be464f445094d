"""Machines that come and go: launch templates and the groups that Cluster Autoscaler scales.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from rig.plugins.aws.ec2 import GROUP, SUBNET
from rig.plugins.aws.iam import PROFILE
from rig.plugins.aws.names import MOST_TAGS, arn, drawn, ec2, named
from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Ref
from rig.plugins.cloud.rules import among, between, exclusive, some, text

TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
_LONGEST_DATA: Final = 16384


def _user_data(given: Given) -> Iterator[Failure]:
    data = given.get("userData")
    if data is None:
        return
    try:
        size = len(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        yield Failure("userData", "must be base64")
        return
    if size > _LONGEST_DATA:
        yield Failure("userData", f"has {size} bytes; EC2 takes {_LONGEST_DATA}")


def _interfaces(given: Given) -> Iterator[Failure]:
    if given.get("networkInterfaces") and "vpcSecurityGroupIds" in given:
        yield Failure("vpcSecurityGroupIds", "belongs into networkInterfaces, where there are any")


def _sizes(given: Given) -> Iterator[Failure]:
    least, most, wanted = (given.get(n) for n in ("minSize", "maxSize", "desiredCapacity"))
    if least is not None and most is not None and least > most:
        yield Failure("minSize", f"{least} is above maxSize {most}")
    if wanted is not None:
        if least is not None and wanted < least:
            yield Failure("desiredCapacity", f"{wanted} is below minSize {least}")
        if most is not None and wanted > most:
            yield Failure("desiredCapacity", f"{wanted} is above maxSize {most}")


_TAINT: Final = "k8s.io/cluster-autoscaler/node-template/taint/"


def _tags(given: Given) -> Iterator[Failure]:
    """A list here: a key counts once, and who reads taints wants an effect."""
    tags = [tag for _, tag in given.each("tags[*]")]
    keys = [str(tag.get("key")) for tag in tags]
    if len(keys) > MOST_TAGS:
        yield Failure("tags", f"has {len(keys)} tags; AWS takes {MOST_TAGS}")
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield Failure("tags", f"has {key} twice")
    for tag in tags:
        taint = str(tag.get("key")).startswith(_TAINT)
        if taint and not str(tag.get("value")).endswith(_EFFECTS):
            yield Failure("tags", f"{tag.get('value')!r} must be value:effect")


_EFFECTS: Final = (":NoSchedule", ":PreferNoSchedule", ":NoExecute")
_DISTRIBUTION: Final = "mixedInstancesPolicy.instancesDistribution"

KINDS: Final = [
    Kind(
        type=TEMPLATE,
        called="launch template",
        identify=drawn("lt"),
        name="name",
        instead=("namePrefix",),
        unique=("name",),
        replaces=frozenset({"name", "namePrefix", "region"}),
        unordered=frozenset({"vpcSecurityGroupIds"}),
        rules=[
            text("name", r"[\w().@/-]{3,128}", "3 to 128 letters, digits or ().-/_"),
            text("imageId", r"ami-[0-9a-f]{8,17}|resolve:ssm:.+", "ami-… or resolve:ssm:…"),
            text("instanceType", r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "such as g6.xlarge"),
            among("metadataOptions.httpTokens", "required", "optional"),
            between("metadataOptions.httpPutResponseHopLimit", 1, 64),
            among(
                "blockDeviceMappings[*].ebs.volumeType",
                *("gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"),
            ),
            between("blockDeviceMappings[*].ebs.volumeSize", 1, 65536, "GiB"),
            _user_data,
            _interfaces,
        ],
        refs=[
            Ref("vpcSecurityGroupIds[*]", GROUP),
            Ref("networkInterfaces[*].securityGroups[*]", GROUP),
            Ref("iamInstanceProfile.arn", PROFILE),
        ],
        outputs=lambda made: {
            "arn": ec2("launch-template")(made)["arn"],
            "defaultVersion": 1,
            "latestVersion": 1,
        },
    ),
    Kind(
        type="aws:autoscaling/group:Group",
        called="Auto Scaling group",
        identify=named("name"),
        name="name",
        instead=("namePrefix",),
        replaces=frozenset({"name", "namePrefix", "region"}),
        kept=frozenset({"desiredCapacity"}),
        unordered=frozenset({"vpcZoneIdentifiers", "suspendedProcesses", "tags"}),
        rules=[
            between("minSize", 0, 10000),
            between("maxSize", 0, 10000),
            _sizes,
            _tags,
            some("mixedInstancesPolicy", "launchTemplate", "launchConfiguration"),
            exclusive("mixedInstancesPolicy", "launchTemplate", "launchConfiguration"),
            some("vpcZoneIdentifiers", "availabilityZones"),
            between(f"{_DISTRIBUTION}.onDemandPercentageAboveBaseCapacity", 0, 100, "per cent"),
            among(
                f"{_DISTRIBUTION}.spotAllocationStrategy",
                *("lowest-price", "capacity-optimized", "capacity-optimized-prioritized"),
                "price-capacity-optimized",
            ),
        ],
        refs=[
            Ref("vpcZoneIdentifiers[*]", SUBNET),
            Ref("launchTemplate.id", TEMPLATE),
            Ref(
                "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.launchTemplateId",
                TEMPLATE,
            ),
        ],
        outputs=lambda made: {
            "arn": arn("autoscaling", "autoScalingGroup:x:autoScalingGroupName/{id}")(made),
            "name": made.id,
            "desiredCapacity": made.get("minSize") or 0,
        },
    ),
]
