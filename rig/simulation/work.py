"""Pieces of work as Kubernetes objects: as a team hands them in, or as without any queue."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from components.cluster.gpu_pods import TOGETHER
from components.cluster.nodes import ACCELERATOR_LABEL, BURST_TAINT, GPU, GPUS_LABEL, TIER_LABEL
from components.cluster.queue import LOCAL_QUEUE, PRIORITY_LABEL, QUEUE_LABEL
from components.pods import camel
from rig.simulation.stages import WORK
from rig.simulation.trace import Kind, Work

NAME = "simulation.spillway.dev/name"
"""Label of a piece of work's objects."""
ELSEWHERE = "unqueued"
"""Namespace of work without a queue: no tenant's, so nothing there is guarded."""
IMAGE = "nowhere.example/nothing:1"
RESTRICTED: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""As a tenant's namespace asks of a container."""


class Mode(StrEnum):
    """How work finds its machine."""

    QUEUE = "queue"
    """The platform's way."""
    NO_QUEUE = "no-queue"
    """The autoscaler alone: on-prem is preferred, and what does not fit goes to the cloud."""
    CLOUD = "cloud"
    """Everything in the cloud."""


def manifest(work: Work, mode: Mode, seconds: float) -> dict[str, Any]:
    """A Job, or the pod of a notebook session; ``seconds`` is how long it runs."""
    queued = mode is Mode.QUEUE
    labels = {NAME: work.name}
    if queued:
        labels |= {QUEUE_LABEL: LOCAL_QUEUE, PRIORITY_LABEL: work.kind.value}
    meta = {"name": work.name, "labels": labels}
    pod = _pod(work, mode)
    if work.kind is Kind.NOTEBOOK:
        return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": pod}
    template = {
        "metadata": {"labels": {NAME: work.name}, "annotations": {WORK: f"{seconds:.1f}s"}},
        "spec": pod,
    }
    return {
        "kind": "Job",
        "apiVersion": "batch/v1",
        "metadata": meta,
        "spec": {
            "parallelism": work.pods,
            "completions": work.pods,
            # What loses its machine runs again.
            "backoffLimit": 1000,
            "template": template,
        },
    }


def path(work: Work, mode: Mode) -> str:
    """The collection its object is made in."""
    namespace = work.tenant if mode is Mode.QUEUE else ELSEWHERE
    if work.kind is Kind.NOTEBOOK:
        return f"/api/v1/namespaces/{namespace}/pods"
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def _pod(work: Work, mode: Mode) -> dict[str, Any]:
    resources: Mapping[str, Mapping[str, str]] = {
        "limits": {GPU: str(work.gpus)},
        "requests": {"cpu": "1", "memory": "1Gi"},
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "main",
                "image": IMAGE,
                "resources": resources,
                "securityContext": RESTRICTED,
            }
        ],
        "affinity": {"nodeAffinity": _affinity(work, mode)},
    }
    if mode is Mode.QUEUE:
        pod["affinity"]["podAffinity"] = camel(TOGETHER)
    else:
        pod["tolerations"] = [{"key": key, "operator": "Exists"} for key in (GPU, BURST_TAINT)]
    return pod


def _affinity(work: Work, mode: Mode) -> dict[str, Any]:
    # A machine has room for the pod's GPUs: without it the queue would send two GPUs to two
    # machines of one each, for it counts GPUs and knows no machines.
    terms = [
        {"key": ACCELERATOR_LABEL, "operator": "Exists"},
        {"key": GPUS_LABEL, "operator": "Gt", "values": [str(work.gpus - 1)]},
    ]
    if mode is Mode.CLOUD:
        terms.append({"key": TIER_LABEL, "operator": "In", "values": ["burst"]})
    required = {"nodeSelectorTerms": [{"matchExpressions": terms}]}
    found: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": required}
    if mode is Mode.NO_QUEUE:
        here = {"key": TIER_LABEL, "operator": "In", "values": ["onprem"]}
        found["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": 100, "preference": {"matchExpressions": [here]}}
        ]
    return found
