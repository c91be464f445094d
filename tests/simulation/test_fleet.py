"""A fleet in small: own machines first, then rented ones, and back to none."""

from collections.abc import Iterator
from typing import Any

import pytest

from components.cluster.nodes import BURST_TAINT, GPU, TIER_LABEL, NodePool
from components.cluster.queue import PARENT_ANNOTATION
from rig.control_plane.api import Api
from rig.errors import RigError
from rig.node.machine import wait_for
from rig.simulation import Fleet, Group
from rig.simulation.stages import WORK
from rig.simulation.stand import pools_of, standing

OWN = NodePool(name="own", tier="onprem", accelerator="l4", gpus=1)
RENTED = NodePool(name="rented", tier="burst", accelerator="l4", gpus=1)
FLAGS = [
    "--scan-interval=1s",
    "--scale-down-unneeded-time=3s",
    "--scale-down-delay-after-add=1s",
    "--scale-down-delay-after-delete=1s",
    "--v=2",
]
SECONDS = 90
QUEUED = {"kueue.x-k8s.io/queue-name": "default"}
JOBS = "/apis/batch/v1/namespaces/team/jobs"
PODS = "/api/v1/namespaces/team/pods"
NODES = "/api/v1/nodes"


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
    pools, counts, _ = pools_of(CONFIG)
    assert pools == [OWN, RENTED]
    with standing(tmp_path_factory.mktemp("fleet"), CONFIG, pools, counts) as fleet:
        yield fleet


def job(name: str, seconds: int) -> dict[str, Any]:
    resources = {"limits": {GPU: "1"}, "requests": {"cpu": "1"}}
    image = "nowhere.example/nothing:1"
    container: dict[str, Any] = {"name": "main", "image": image, "resources": resources}
    # As a tenant's namespace asks for.
    container["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pod = {
        "metadata": {"annotations": {WORK: f"{seconds}s"}},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }
    return {"metadata": {"name": name, "labels": dict(QUEUED)}, "spec": {"template": pod}}


def submit(api: Api, name: str, seconds: int) -> None:
    api.create(JOBS, job(name, seconds))


def node_of(api: Api, name: str) -> dict[str, Any]:
    """Where a job's pod has started."""

    def started() -> str | None:
        pods = api.get(f"{PODS}?labelSelector=job-name%3D{name}")["items"]
        return next(
            (p["spec"]["nodeName"] for p in pods if p["status"]["phase"] != "Pending"), None
        )

    return api.get(f"{NODES}/{wait_for(started, SECONDS, f'the pod of {name}')}")


def workloads(api: Api) -> set[str]:
    """Names of the jobs that the queue knows."""
    found = api.get("/apis/kueue.x-k8s.io/v1beta2/namespaces/team/workloads")["items"]
    return {owner["name"] for one in found for owner in one["metadata"]["ownerReferences"]}


def rented(api: Api) -> list[str]:
    found = api.get(f"{NODES}?labelSelector={TIER_LABEL}%3Dburst")["items"]
    return [node["metadata"]["name"] for node in found]


def await_rented(api: Api, count: int) -> None:
    wait_for(lambda: len(rented(api)) == count or None, SECONDS, f"{count} rented nodes")


def test_work_goes_to_own_machines_then_to_rented_ones_which_go_when_it_is_done(fleet):
    fleet.start_autoscaler([Group(pool=RENTED, most=2, boot_seconds=1)], FLAGS)
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
