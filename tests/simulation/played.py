"""Work for simulated fleets, and what tests look at."""

from collections.abc import Mapping
from typing import Any

from components.cluster.nodes import GPU, TIER_LABEL
from rig.control_plane.api import Api
from rig.node.machine import wait_for
from rig.simulation.stages import WORK
from rig.simulation.work import RESTRICTED

FLAGS = [
    "--scan-interval=1s",
    "--scale-down-unneeded-time=3s",
    "--scale-down-delay-after-add=1s",
    "--scale-down-delay-after-delete=1s",
    "--scale-down-unready-time=5s",
    "--v=2",
]
"""Over the stack's: nobody wants to wait for minutes."""
SECONDS = 90
QUEUED = {"kueue.x-k8s.io/queue-name": "default"}
JOBS = "/apis/batch/v1/namespaces/team/jobs"
PODS = "/api/v1/namespaces/team/pods"
NODES = "/api/v1/nodes"


def job(name: str, seconds: int, where: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A Job of one GPU, on nodes with these labels."""
    container: dict[str, Any] = {
        "name": "main",
        "image": "nowhere.example/nothing:1",
        "resources": {"limits": {GPU: "1"}, "requests": {"cpu": "1"}},
        "securityContext": RESTRICTED,
    }
    pod = {
        "metadata": {"annotations": {WORK: f"{seconds}s"}},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "nodeSelector": dict(where or {}),
        },
    }
    spec = {"template": pod, "backoffLimit": 20}
    return {"metadata": {"name": name, "labels": dict(QUEUED)}, "spec": spec}


def submit(api: Api, name: str, seconds: int, where: Mapping[str, str] | None = None) -> None:
    api.create(JOBS, job(name, seconds, where))


def node_of(api: Api, name: str, tenant: str = "team") -> dict[str, Any]:
    """Where a job's pod has started."""
    path = f"/api/v1/namespaces/{tenant}/pods?labelSelector=job-name%3D{name}"

    def started() -> str | None:
        pods = api.get(path)["items"]
        return next(
            (p["spec"]["nodeName"] for p in pods if p["status"]["phase"] != "Pending"), None
        )

    return api.get(f"{NODES}/{wait_for(started, SECONDS, f'the pod of {name}')}")


def await_done(api: Api, name: str, seconds: int = SECONDS) -> None:
    wait_for(
        lambda: api.get(f"{JOBS}/{name}")["status"].get("completionTime"),
        seconds,
        f"the end of {name}",
    )


def rented(api: Api, selector: str = "") -> list[str]:
    """Names of a cloud's nodes."""
    found = api.get(f"{NODES}?labelSelector={TIER_LABEL}%3Dburst{selector}")["items"]
    return [node["metadata"]["name"] for node in found]


def await_rented(api: Api, count: int) -> None:
    wait_for(lambda: len(rented(api)) == count or None, SECONDS, f"{count} rented nodes")
