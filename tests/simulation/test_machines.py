"""How machines and work are played: what takes time, and what goes wrong."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from components.cluster.nodes import GPU, NodePool
from rig import toolchain
from rig.control_plane import PROGRAMS, FakeNode
from rig.control_plane.api import Api
from rig.node.machine import wait_for
from rig.simulation import Fault, Fleet, Group, onprem
from rig.simulation.groups import config_maps
from rig.simulation.stages import BOOT, FAULT, WORK

OWN = NodePool(name="own", tier="onprem", accelerator="l4", gpus=2)
RENTED = NodePool(name="rented", tier="burst", accelerator="l4", gpus=4, shares=2)
SECONDS = 30
NODES, JOBS = "/api/v1/nodes", "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(onprem(OWN, ["own-0"]), programs=toolchain.ensure_all(PROGRAMS)) as fleet:
        yield fleet


def ready(api: Api, name: str) -> dict[str, Any]:
    conditions = api.get(f"{NODES}/{name}")["status"]["conditions"]
    return next(c for c in conditions if c["type"] == "Ready")


def await_ready(api: Api, name: str) -> float:
    """Seconds that its machine took to come."""
    wait_for(lambda: ready(api, name)["status"] == "True" or None, SECONDS, f"{name} Ready")
    made = api.get(f"{NODES}/{name}")["metadata"]["creationTimestamp"]
    return seconds(ready(api, name)["lastTransitionTime"]) - seconds(made)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def job(name: str, *, work: str | None = None) -> dict[str, Any]:
    tolerations = [{"key": GPU, "operator": "Exists"}]
    container = {"name": "main", "image": "nowhere.example/nothing:1"}
    spec = {"containers": [container], "restartPolicy": "Never", "tolerations": tolerations}
    annotations = {WORK: work} if work else {}
    template = {"metadata": {"annotations": annotations}, "spec": spec}
    return {"metadata": {"name": name}, "spec": {"template": template}}


def done(api: Api, name: str) -> dict[str, Any]:
    path = f"{JOBS}/{name}"
    wait_for(lambda: api.get(path)["status"].get("completionTime"), SECONDS, f"the end of {name}")
    return api.get(path)["status"]


def test_an_own_machine_has_gpus_and_a_size_of_its_own_and_no_labels_of_a_stack(fleet):
    node = fleet.api.get(f"{NODES}/own-0")

    assert not OWN.labels.keys() & node["metadata"]["labels"].keys()
    assert node["status"]["allocatable"][GPU] == "2"
    assert node["status"]["allocatable"]["cpu"] == "32"


def test_a_machine_boots_as_long_as_it_says_and_work_takes_as_long_as_it_says(fleet):
    api = fleet.api
    fleet.add(FakeNode(name="slow", annotations={BOOT: "4s"}))
    api.create(JOBS, job("long", work="3s"))
    api.create(JOBS, job("at-once"))

    assert 3 <= await_ready(api, "slow") <= 8
    status = done(api, "long")
    assert seconds(status["completionTime"]) - seconds(status["startTime"]) >= 3
    status = done(api, "at-once")
    assert seconds(status["completionTime"]) - seconds(status["startTime"]) <= 3


def test_a_pod_of_no_job_runs_until_it_is_deleted(fleet):
    pod = job("x", work="1s")["spec"]["template"]
    fleet.api.create(PODS, {**pod, "metadata": {**pod["metadata"], "name": "server"}})
    fleet.api.create(JOBS, job("beside", work="3s"))
    done(fleet.api, "beside")

    assert fleet.api.get(f"{PODS}/server")["status"]["phase"] == "Running"
    fleet.api.delete(f"{PODS}/server")
    wait_for(lambda: fleet.api.get(f"{PODS}/server") is None or None, SECONDS, "its end")


def test_a_machine_can_fail_to_come_or_come_without_its_gpus(fleet):
    resources = {GPU: "4"}
    for fault in Fault:
        node = FakeNode(name=fault, resources=resources, annotations={FAULT: fault})
        fleet.add(node)
    fleet.add(FakeNode(name="good", resources=resources))

    await_ready(fleet.api, "good")
    await_ready(fleet.api, Fault.NO_GPUS)
    allocatable = {n: fleet.api.get(f"{NODES}/{n}")["status"]["allocatable"][GPU] for n in Fault}
    assert allocatable[Fault.NO_GPUS] == "0"
    assert ready(fleet.api, Fault.NEVER_READY)["status"] == "False"


def test_a_group_tells_the_autoscaler_of_a_node_that_is_not_there_yet():
    group = Group(pool=RENTED, most=3, boot_seconds=90, fault=Fault.NO_GPUS)
    template = group.template

    assert template["metadata"]["labels"].items() >= RENTED.labels.items()
    assert "kubernetes.io/hostname" not in template["metadata"]["labels"]
    assert template["metadata"]["annotations"][BOOT] == "90s"
    assert template["metadata"]["annotations"][FAULT] == "no-gpus"
    assert template["metadata"]["annotations"]["cluster-autoscaler.kwok.nodegroup/max-count"] == "3"
    assert template["status"]["capacity"][GPU] == "8"
    assert [c["status"] for c in template["status"]["conditions"] if c["type"] == "Ready"] == [
        "False"
    ]
    assert [config["metadata"]["name"] for config in config_maps([group])] == [
        "kwok-provider-config",
        "kwok-provider-templates",
    ]
