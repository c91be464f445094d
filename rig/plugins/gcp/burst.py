"""Machines that come and go: templates, and the zonal groups that Cluster Autoscaler scales."""

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Ref, at
from rig.plugins.cloud.rules import among, between, count, exclusive, text
from rig.plugins.gcp.names import RFC1035, SAID, ZONE, compute
from rig.plugins.gcp.network import SUBNET

TEMPLATE: Final = "gcp:compute/instanceTemplate:InstanceTemplate"
_VARIABLES: Final = "AUTOSCALER_ENV_VARS"


def _kube_env(given: Given) -> Iterator[Failure]:
    """As Cluster Autoscaler reads it: cloudprovider/gce/templates.go."""
    found = (given.values.get("metadata") or {}).get("kube-env")
    if not isinstance(found, str):
        return
    try:
        content: Any = yaml.safe_load(found)
    except yaml.YAMLError:
        yield Failure("metadata.kube-env", "must be YAML")
        return
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        yield Failure("metadata.kube-env", "must be a map of texts")
        return
    items = content.get(_VARIABLES, "os=linux").split(";")
    for item in items:
        if "=" not in item:
            said = f"{_VARIABLES} has {item!r}, which is no name=value: no semicolon at the end"
            yield Failure("metadata.kube-env", said)
        name, _, value = item.partition("=")
        keys = [one.partition("=")[0] for one in value.split(",")] if name == "node_taints" else []
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            yield Failure("metadata.kube-env", f"has two taints {key}: one is lost")


def _spot(given: Given) -> Iterator[Failure]:
    if given.get("scheduling.provisioningModel") == "SPOT":
        if given.get("scheduling.automaticRestart", True):
            yield Failure("scheduling.automaticRestart", "must be false for SPOT")
        if given.get("scheduling.preemptible") is False:
            yield Failure("scheduling.preemptible", "must be true for SPOT")
    migrates = given.get("scheduling.onHostMaintenance", "TERMINATE") == "MIGRATE"
    built_in = re.match(r"(g2|a2|a3)-", given.get("machineType", ""))
    if given.get("guestAccelerators") and built_in:
        yield Failure("guestAccelerators", f"{given.get('machineType')} has GPUs of its own")
    gpu = given.get("guestAccelerators") or built_in
    if gpu and migrates:
        yield Failure("scheduling.onHostMaintenance", "must be TERMINATE for machines with GPUs")


KINDS: Final = [
    Kind(
        type=TEMPLATE,
        called="instance template",
        identify=at("projects/{project}/global/instanceTemplates/{name}"),
        name="name",
        replaces=frozenset({"name", "namePrefix", "machineType", "disks", "networkInterfaces"})
        | {"metadata", "scheduling", "serviceAccount", "guestAccelerators", "labels", "tags"}
        | {"project", "region", "shieldedInstanceConfig"},
        handles=("name", "selfLink", "selfLinkUnique"),
        rules=[
            text("name", RFC1035, SAID),
            text("machineType", r"[a-z]\d[a-z]*-[a-z0-9-]+", "such as g2-standard-8"),
            count("disks", 1, 128, "disks"),
            among("scheduling.provisioningModel", "STANDARD", "SPOT"),
            among("scheduling.onHostMaintenance", "MIGRATE", "TERMINATE"),
            between("disks[*].diskSizeGb", 1, 65536, "GB"),
            _kube_env,
            _spot,
        ],
        refs=[Ref("networkInterfaces[*].subnetwork", SUBNET)],
        outputs=lambda made: {
            "selfLink": f"https://www.googleapis.com/compute/v1/{made.id}",
            "selfLinkUnique": f"https://www.googleapis.com/compute/v1/{made.id}"
            f"?uniqueId={made.number('unique', 10**18)}",
        },
    ),
    compute(
        "instance group",
        "InstanceGroupManager",
        "zones/{zone}/instanceGroupManagers",
        replaces={"baseInstanceName", "zone"},
        kept=frozenset({"targetSize"}),
        rules=[
            text("zone", ZONE, "a zone such as europe-west3-a"),
            text("baseInstanceName", r"[a-z]([-a-z0-9]{0,56}[a-z0-9#])?", "1 to 58 " + SAID[5:]),
            between("targetSize", 0, 1000),
            count("versions", 1, 2, "versions"),
            among("updatePolicy.type", "OPPORTUNISTIC", "PROACTIVE"),
            exclusive("statefulDisks", "autoHealingPolicies"),
        ],
        refs=[Ref("versions[*].instanceTemplate", TEMPLATE)],
        outputs=lambda made: {
            "instanceGroup": "https://www.googleapis.com/compute/v1/"
            + made.id.replace("instanceGroupManagers", "instanceGroups"),
            "targetSize": 0,
            "operation": "",
        },
    ),
]
