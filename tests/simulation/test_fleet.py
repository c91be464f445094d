"""A fleet in small: own machines first, then rented ones, and back to none."""

from collections.abc import Iterator
from typing import Any

import pytest
from played import (
    FLAGS,
    JOBS,
    NODES,
    PODS,
    QUEUED,
    SECONDS,
    await_rented,
    job,
    node_of,
    rented,
    submit,
)

from components.cluster.nodes import BURST_TAINT, TIER_LABEL, NodePool
from components.cluster.queue import PARENT_ANNOTATION
from rig.control_plane.api import Api
from rig.errors import RigError
from rig.node.machine import wait_for
from rig.simulation import Fleet, Group
from rig.simulation.stand import machines_of, standing

OWN = NodePool(name="own", tier="onprem", accelerator="l4", gpus=1)
RENTED = NodePool(name="rented", tier="burst", accelerator="l4", gpus=1)
CONFIG = {
    "spillway:protect": False,
    "spillway:cluster": {
        "pools": {
            "own": {"tier": "onprem", "nodes": ["own-0"], "accelerator": "l4"},
            "rented": {"tier": "burst", "accelerator": "l4", "maxNodes": 2},
        }
    },
    "spillway:tenants": {
        "team": {"members": ["a@example.com"], "quota": {"gpu": {"onprem": 1, "burst": 2}}}
    },
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One whose queue is what the platform's own program has applied."""
    assert machines_of(CONFIG).pools == [OWN, RENTED]
    with standing(tmp_path_factory.mktemp("fleet"), CONFIG) as fleet:
        yield fleet


def workloads(api: Api) -> set[str]:
    """Names of the jobs that the queue knows."""
    found = api.get("/apis/kueue.x-k8s.io/v1beta2/namespaces/team/workloads")["items"]
    return {owner["name"] for one in found for owner in one["metadata"]["ownerReferences"]}


def test_own_machines_are_labelled_and_tainted_by_the_stack(fleet):
    node = fleet.api.get(f"{NODES}/own-0")

    assert node["metadata"]["labels"] | OWN.labels == node["metadata"]["labels"]
    assert {taint["key"] for taint in node["spec"]["taints"]} >= {t.key for t in OWN.taints}


def test_work_goes_to_own_machines_then_to_rented_ones_which_go_when_it_is_done(fleet):
    fleet.start_autoscaler([Group(pool=RENTED, most=2, boot_seconds=1)], FLAGS, factor=20)
    api = fleet.api
    submit(api, "first", seconds=60)
    assert node_of(api, "first")["metadata"]["labels"][TIER_LABEL] == "onprem"
    assert rented(api) == []
    submit(api, "second", seconds=2)
    node = node_of(api, "second")
    assert node["metadata"]["labels"] | RENTED.labels == node["metadata"]["labels"]
    assert {taint["key"] for taint in node["spec"]["taints"]} >= {t.key for t in RENTED.taints}
    await_rented(api, 0)


def test_the_queue_takes_up_its_work_after_a_restart(fleet):
    fleet.restart_queue()
    api = fleet.api
    api.delete(f"{JOBS}/first?propagationPolicy=Background")
    # Else its GPU is still counted, and the next goes to a rented one.
    wait_for(lambda: "first" not in workloads(api) or None, SECONDS, "the end of first")
    submit(api, "third", seconds=1)
    assert node_of(api, "third")["metadata"]["labels"][TIER_LABEL] == "onprem"
    assert fleet.plane.failure is None


TOLL = {"key": BURST_TAINT, "operator": "Exists", "effect": "NoSchedule"}
EVERYTHING = {"operator": "Exists"}
BY_HAND = "is tolerated by what the queue admits"
UNHELD = "is held by the queue"


def tried(api: Api, path: str, document: dict[str, Any]) -> str:
    """What the cluster says; of what it would make, the queue that it is in."""
    try:
        made = api.create(f"{path}?dryRun=All", document)
    except RigError as error:
        return str(error)
    labels = made["metadata"].get("labels", {})
    return "queued" if labels | QUEUED == labels else "made"


def pod(labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    template = job("x", seconds=1)["spec"]["template"]
    return {
        "metadata": {"name": "x", "labels": labels},
        "spec": {**template["spec"], **spec},
    }


def test_nobody_has_a_gpu_but_through_the_queue(fleet):
    api = fleet.api
    assert tried(api, PODS, pod(QUEUED)) == "queued"
    # Who forgets it is in his team's queue all the same.
    assert tried(api, PODS, pod({})) == "queued"
    assert BY_HAND in tried(api, PODS, pod(QUEUED, tolerations=[TOLL]))
    assert BY_HAND in tried(api, PODS, pod(QUEUED, tolerations=[EVERYTHING]))

    assert tried(api, JOBS, job("x", seconds=1)) == "queued"
    unqueued = job("x", seconds=1)
    del unqueued["metadata"]["labels"]
    assert tried(api, JOBS, unqueued) == "queued"
    paid = job("x", seconds=1)
    paid["spec"]["template"]["spec"]["tolerations"] = [TOLL]
    assert BY_HAND in tried(api, JOBS, paid)
    every_night = {"schedule": "0 1 * * *", "jobTemplate": {"spec": paid["spec"]}}
    cron = {"metadata": {"name": "x"}, "spec": every_night}
    assert "denied" in tried(api, JOBS.replace("/jobs", "/cronjobs"), cron)

    template = {"metadata": {"labels": {"app": "x"}}, "spec": {**pod({})["spec"]}}
    template["spec"] |= {"restartPolicy": "Always", "tolerations": [TOLL]}
    spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template}
    deployment = {"metadata": {"name": "x"}, "spec": spec}
    assert BY_HAND in tried(api, "/apis/apps/v1/namespaces/team/deployments", deployment)
    del template["spec"]["tolerations"]
    made = tried(api, "/apis/apps/v1/namespaces/team/deployments", deployment)
    assert made in ("made", "queued"), made


def test_what_a_notebook_owns_waits_for_its_gpu_as_everything_does(fleet):
    api = fleet.api
    driver = pod({})
    driver["metadata"]["name"] = "driver"
    driver["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    uid = api.create(PODS, driver)["metadata"]["uid"]
    try:
        executor = pod(QUEUED)
        # As Spark makes them.
        executor["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "Pod", "name": "driver", "uid": uid, "controller": True}
        ]
        wait_for(lambda: UNHELD in tried(api, PODS, executor) or None, SECONDS, "a refusal")

        executor["metadata"]["annotations"] = {PARENT_ANNOTATION: "spark"}
        executor["metadata"]["labels"] = {**QUEUED, "kueue.x-k8s.io/managed": "true"}
        assert tried(api, PODS, executor) == "queued"
    finally:
        api.delete(f"{PODS}/driver")
