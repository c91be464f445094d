"""Objects of Kueue 0.19.2 and of the cluster, as their API servers write them.

Written by hand from Kueue's sources (apis/kueue/v1beta2, pkg/workload/workload.go and
pkg/scheduler/flavorassigner), not recorded on a cluster.
"""

from typing import Any

GPU = "nvidia.com/gpu"
MINE = "5d0c6ff4-6c62-4c0a-8f1e-0a4d3c1b2a01"
"""UID of the pod of the person who waits."""
CREATED = "2026-11-02T09:30:00Z"
NO_ROOM = (
    "couldn't assign flavors to pod set main: flavor cloud-l4 doesn't match node affinity, "
    "insufficient unused quota for nvidia.com/gpu in flavor own, 1 more needed"
)
NEVER = (
    "couldn't assign flavors to pod set main: flavor own doesn't match node affinity, insufficient "
    "quota for nvidia.com/gpu in flavor cloud-l4, previously considered podsets requests (0) + "
    "current podset request (1) > maximum capacity (0)"
)


def condition(kind: str, status: bool, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "lastTransitionTime": "2026-11-02T09:30:01Z",
        "message": message,
        "observedGeneration": 1,
        "reason": reason,
        "status": str(status),
        "type": kind,
    }


def pending(message: str = NO_ROOM, reason: str = "Pending") -> list[dict[str, Any]]:
    return [condition("QuotaReserved", False, reason, message)]


def workload(  # noqa: PLR0913 - what tests tell Workloads apart by
    uid: str = MINE,
    conditions: list[dict[str, Any]] | None = None,
    *,
    accelerator: str | None = "a100-80gb",
    gpus: int = 1,
    created: str = CREATED,
    priority: int = 1000,
) -> dict[str, Any]:
    resources: dict[str, Any] = {"limits": {"memory": "16Gi"}, "requests": {"cpu": "400m"}}
    if gpus:
        resources = {kind: {**of, GPU: str(gpus)} for kind, of in resources.items()}
    pod: dict[str, Any] = {"containers": [{"name": "notebook", "resources": resources}]}
    if accelerator:
        pod["nodeSelector"] = {"spillway.dev/accelerator": accelerator}
    owner = {"apiVersion": "v1", "controller": True, "kind": "Pod", "blockOwnerDeletion": True}
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "Workload",
        "metadata": {
            "creationTimestamp": created,
            "finalizers": ["kueue.x-k8s.io/resource-in-use"],
            "generation": 1,
            "labels": {"kueue.x-k8s.io/job-uid": uid},
            "name": f"pod-notebook-{uid[-4:]}-1f0e3",
            "namespace": "vision",
            "ownerReferences": [{**owner, "name": f"notebook-{uid[-4:]}", "uid": uid}],
            "resourceVersion": "7001",
            "uid": f"w-{uid}",
        },
        "spec": {
            "active": True,
            "podSets": [{"count": 1, "name": "main", "template": {"metadata": {}, "spec": pod}}],
            "priority": priority,
            "priorityClassRef": {
                "group": "kueue.x-k8s.io",
                "kind": "WorkloadPriorityClass",
                "name": "notebook",
            },
            "queueName": "default",
        },
        "status": {"conditions": pending() if conditions is None else conditions},
    }


def admitted(flavor: str, **changes: Any) -> dict[str, Any]:
    found = workload(conditions=RESERVED, **changes)
    found["status"]["admission"] = {
        "clusterQueue": "vision",
        "podSetAssignments": [
            {
                "count": 1,
                "flavors": {GPU: flavor},
                "name": "main",
                "resourceUsage": {GPU: "1"},
            }
        ],
    }
    return found


RESERVED = [
    condition("QuotaReserved", True, "QuotaReserved", "Quota reserved in ClusterQueue vision"),
    condition("Admitted", True, "Admitted", "The workload is admitted"),
]


def evicted(reason: str) -> dict[str, Any]:
    message = "Exceeded the PodsReady timeout vision/pod-notebook-2a01-1f0e3"
    conditions = [condition("Evicted", True, reason, message), *pending(message)]
    return workload(conditions=conditions)


def local_queue(namespace: str, **used: int) -> dict[str, Any]:
    flavors = [
        {"name": name.replace("_", "-"), "resources": [{"name": GPU, "total": str(gpus)}]}
        for name, gpus in used.items()
    ]
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "LocalQueue",
        "metadata": {"name": "default", "namespace": namespace},
        "spec": {"clusterQueue": namespace},
        "status": {
            "admittedWorkloads": sum(used.values()),
            "conditions": [condition("Active", True, "Ready", "Can submit new workloads")],
            "flavorsReservation": flavors,
            "flavorsUsage": flavors,
            "pendingWorkloads": 0,
            "reservingWorkloads": sum(used.values()),
        },
    }


def pod(node: str | None = None, pool: str | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"nodeSelector": {"spillway.dev/accelerator": "a100-80gb"}}
    if pool:
        spec["nodeSelector"]["spillway.dev/pool"] = pool
    if node:
        spec["nodeName"] = node
    metadata = {"name": "notebook-ada", "namespace": "vision", "uid": MINE}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def event(reason: str, message: str = "", kind: str = "Normal") -> dict[str, Any]:
    return {"reason": reason, "message": message, "type": kind}


STARTING = event("TriggeredScaleUp", "pod triggered scale-up: [{l4 0->1 (max: 8)}]")
FULL = event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")
BACKOFF = event(
    "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff after failed scale-up"
)


def no_gpu(machines: int) -> dict[str, Any]:
    """The scheduler's, where so many machines of the pool are up."""
    message = (
        f"0/6 nodes are available: {machines} Insufficient nvidia.com/gpu, 5 node(s) didn't match "
        "Pod's node affinity/selector. preemption: 0/6 nodes are available."
    )
    return event("FailedScheduling", message, "Warning")
