"""A big fleet: a hundred machines and thousands of pods through the real queue and scheduler."""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.bench_rig import BenchRig
from benchmarks.errors import BenchmarkError
from benchmarks.report import Report, Row
from components.cluster.nodes import GPU
from components.cluster.queue import QUEUE_LABEL
from rig.control_plane.api import Api
from rig.kube import condition
from rig.simulation.fleet import Fleet
from rig.simulation.stages import WORK
from rig.simulation.stand import standing
from rig.simulation.work import IMAGE, RESTRICTED
from rig.steps import console

NODES: Final = 100
GPUS: Final = 8
PODS: Final = 5000
TENANTS: Final = 4
PER_JOB: Final = 10
WORK_SECONDS: Final = 5
PATIENCE: Final = 1800
LOOK: Final = 5.0
WORKLOADS: Final = "/apis/kueue.x-k8s.io/v1beta2/workloads"


def fleet(_: BenchRig) -> Report:
    """Jobs of ten one-GPU pods, handed in at once by four tenants."""
    with (
        tempfile.TemporaryDirectory(prefix="spillway-fleet-") as folder,
        standing(Path(folder), config()) as stand,
    ):
        began = time.monotonic()
        submitted = _submit(stand.api) - began
        most: dict[str, int] = {}
        while (admitted := sum(1 for _ in _admissions(stand.api))) < PODS // PER_JOB:
            passed = time.monotonic() - began
            if passed > PATIENCE:
                raise BenchmarkError(f"only {admitted} jobs were admitted in {PATIENCE} s")
            console.print(f"{passed:.0f} s: {admitted} of {PODS // PER_JOB} jobs admitted")
            for name, mib in stand.memory().items():
                most[name] = max(mib, most.get(name, 0))
            time.sleep(LOOK)
        return _report(stand, submitted, most)


def config() -> dict[str, Any]:
    """Machines of the company's own, and a quarter of them for each tenant."""
    names = [f"gpu-{number:03}" for number in range(NODES)]
    pool = {"tier": "onprem", "nodes": names, "accelerator": "l4", "gpusPerNode": GPUS}
    quota = {"gpu": {"onprem": NODES * GPUS // TENANTS}}
    tenants = {
        f"team-{number}": {"members": ["a@example.com"], "quota": quota}
        for number in range(TENANTS)
    }
    return {
        "spillway:protect": False,
        "spillway:cluster": {"pools": {"own": pool}},
        "spillway:tenants": tenants,
    }


def _submit(api: Api) -> float:
    """Hand in all jobs; when that was done."""
    jobs = [(f"team-{n % TENANTS}", f"job-{n:04}") for n in range(PODS // PER_JOB)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: api.create(_jobs(one[0]), _job(one[1])), jobs))
    return time.monotonic()


def _jobs(tenant: str) -> str:
    return f"/apis/batch/v1/namespaces/{tenant}/jobs"


def _job(name: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": IMAGE,
        "resources": {"limits": {GPU: "1"}, "requests": {"cpu": "1"}},
        "securityContext": RESTRICTED,
    }
    template = {
        "metadata": {"annotations": {WORK: f"{WORK_SECONDS}s"}},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }
    spec = {"parallelism": PER_JOB, "completions": PER_JOB, "template": template}
    return {"metadata": {"name": name, "labels": {QUEUE_LABEL: "default"}}, "spec": spec}


def _admissions(api: Api) -> Iterator[float]:
    for workload in api.get(WORKLOADS)["items"]:
        admitted = condition(workload, "Admitted")
        if admitted and admitted["status"] == "True":
            yield _moment(admitted["lastTransitionTime"])


def _report(stand: Fleet, submitted: float, most: dict[str, int]) -> Report:
    workloads = stand.api.get(WORKLOADS)["items"]
    first = min(_moment(w["metadata"]["creationTimestamp"]) for w in workloads)
    admitted = sorted(_admissions(stand.api))
    bound = sorted(_bound(stand.api))
    seconds = max(1.0, bound[-1] - bound[0])
    rows = [
        Row(
            what=f"{PODS // PER_JOB} jobs of {PER_JOB} pods handed in", result=f"{submitted:.0f} s"
        ),
        Row(what="to the last admission", result=_s(admitted[-1] - first)),
        Row(what="pods bound by the scheduler", result=f"{len(bound) / seconds:.0f} a second"),
        Row(what="most pods bound in one second", result=str(_busiest(bound))),
        *(
            Row(what=f"memory of {name}, most", result=f"{mib} MiB")
            for name, mib in sorted(most.items(), key=lambda item: -item[1])
        ),
    ]
    note = (
        f"{NODES} machines with {GPUS} GPUs, {TENANTS} tenants; a pod works {WORK_SECONDS} s, so "
        "the GPUs are taken several times. Machines and work are played by kwok; API server, "
        "scheduler, controllers and Kueue are the real ones, on the same cores."
    )
    return Report(rows=rows, notes=[note])


def _s(seconds: float) -> str:
    return f"{seconds:.0f} s"


def _bound(api: Api) -> Iterator[float]:
    for number in range(TENANTS):
        for pod in api.get(f"/api/v1/namespaces/team-{number}/pods")["items"]:
            found = condition(pod, "PodScheduled")
            if found and found["status"] == "True":
                yield _moment(found["lastTransitionTime"])


def _busiest(moments: list[float]) -> int:
    return max(moments.count(moment) for moment in set(moments))


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
