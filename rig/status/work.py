"""Pieces of work in the queue: who, what, how many GPUs, where, since when."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from components.cluster.nodes import GPU
from components.labels import ROLE_LABEL
from rig.kube import Object, condition, holds, labels, moment, pod_gpus, whole
from rig.status.cluster import Seen
from rig.status.summary import Tenant, Work
from rig.status.why import waits

PERSON: Final = "hub.jupyter.org/username"
"""Annotation of a notebook's pod; the hub writes it."""
WORKLOAD: Final = "kueue.x-k8s.io/workload"
"""Annotation of a Job's pods: the name of its workload."""
ROLES: Final = {
    "notebook": "notebook",
    "job": "job",
    "model": "model",
    "spark-executor": "Spark",
}
OWNERS: Final = {"Job": "job", "CronJob": "job"}
CLASSES: Final = {"notebook": "notebook", "serving": "model", "job": "job"}
"""What work of a priority class is, when nothing says it better."""


class Pods:
    """Pods by the workload that they are of."""

    def __init__(self, pods: Iterable[Object]) -> None:
        self._by_uid: defaultdict[str, list[Object]] = defaultdict(list)
        self._by_name: defaultdict[tuple[str, str], list[Object]] = defaultdict(list)
        for pod in pods:
            meta = pod["metadata"]
            for uid in {meta["uid"], *_uids(pod)}:
                self._by_uid[uid].append(pod)
            if name := (meta.get("annotations") or {}).get(WORKLOAD):
                self._by_name[meta["namespace"], name].append(pod)

    def of(self, workload: Object) -> Sequence[Object]:
        """A pod owns its workload, or both have the same owner."""
        meta = workload["metadata"]
        found = [pod for uid in _uids(workload) for pod in self._by_uid[uid]]
        found += self._by_name[meta["namespace"], meta["name"]]
        return list({pod["metadata"]["uid"]: pod for pod in found}.values())


def holding(workload: Object) -> bool:
    """Whether GPUs are reserved for it."""
    return holds(workload, "QuotaReserved") and not holds(workload, "Finished")


def waiting(workload: Object) -> bool:
    """Whether it wants to begin."""
    return not holds(workload, "QuotaReserved") and not holds(workload, "Finished")


def running_work(seen: Seen, pods: Pods) -> tuple[Work, ...]:
    """Admitted, with GPUs; by tenant, the longest first."""
    found = [_work(workload, pods) for workload in seen.workloads if holding(workload)]
    return tuple(sorted((w for w in found if w.gpus), key=lambda w: (w.tenant, w.since, w.name)))


def waiting_work(seen: Seen, pods: Pods) -> tuple[Work, ...]:
    """In the order in which Kueue tries them: by priority, then by time."""
    chosen = [workload for workload in seen.workloads if waiting(workload)]
    return tuple(_work(workload, pods) for workload in sorted(chosen, key=_turn))


def with_lenders(waiting: Iterable[Work], tenants: Iterable[Tenant]) -> tuple[Work, ...]:
    """What is larger than every share of its tenant's has no turn of its own, and is told so."""
    own = {t.name: max((share.quota for share in t.shares), default=0) for t in tenants}
    return tuple(_with_lenders(work, own.get(work.tenant)) for work in waiting)


def _with_lenders(work: Work, own: int | None) -> Work:
    if own is None or work.gpus <= own:
        return work
    lent = f"more than the {own} that its tenant has of a pool: it waits until others lend theirs"
    return replace(work, reason=f"{work.reason}; {lent}")


def admitted_to(workload: Object) -> Mapping[str, int]:
    """GPUs reserved for it, by pool."""
    done = {
        entry["name"]: entry["count"] for entry in workload["status"].get("reclaimablePods") or ()
    }
    found: defaultdict[str, int] = defaultdict(int)
    for part in (workload["status"].get("admission") or {}).get("podSetAssignments", ()):
        pool, gpus = (part.get("flavors") or {}).get(GPU), part.get("resourceUsage", {}).get(GPU, 0)
        count = part.get("count") or 1
        if pool and whole(gpus):
            # What ended early was given back: the admission still counts it.
            found[pool] += whole(gpus) * (count - done.get(part["name"], 0)) // count
    return dict(found)


def since(workload: Object) -> datetime:
    """When it was admitted, or began to wait."""
    kind = "Admitted" if holds(workload, "Admitted") else "QuotaReserved"
    told = condition(workload, kind)
    return moment(told["lastTransitionTime"] if told else workload["metadata"]["creationTimestamp"])


def owner(workload: Object) -> Object:
    """What it was made for: kind and name."""
    owners = workload["metadata"].get("ownerReferences") or ()
    chosen: Mapping[str, Any] = next((o for o in owners if o.get("controller")), None) or next(
        iter(owners), {"kind": "Workload", "name": workload["metadata"]["name"]}
    )
    return chosen


def _work(workload: Object, pods: Pods) -> Work:
    own, held = pods.of(workload), holding(workload)
    where = admitted_to(workload) if held else {}
    return Work(
        tenant=workload["metadata"]["namespace"],
        what=_what(workload, own),
        name=owner(workload)["name"],
        person=_person(own),
        gpus=sum(where.values()) if held else _wanted(workload),
        pools=tuple(where),
        priority=workload["spec"].get("priority") or 0,
        since=since(workload),
        reason="" if held else waits(workload),
    )


def _what(workload: Object, pods: Sequence[Object]) -> str:
    templates = [part["template"] for part in workload["spec"]["podSets"]]
    marks = [labels(pod) for pod in pods]
    marks += [(t.get("metadata") or {}).get("labels") or {} for t in templates]
    role = next((m[ROLE_LABEL] for m in marks if ROLE_LABEL in m), "")
    kind = owner(workload)["kind"]
    chosen = (workload["spec"].get("priorityClassRef") or {}).get("name", "")
    return ROLES.get(role) or OWNERS.get(kind) or CLASSES.get(chosen) or kind.lower()


def _person(pods: Sequence[Object]) -> str:
    said = ((pod["metadata"].get("annotations") or {}).get(PERSON, "") for pod in pods)
    return next(filter(None, said), "")


def _wanted(workload: Object) -> int:
    return sum(pod_gpus(p["template"]["spec"]) * p["count"] for p in workload["spec"]["podSets"])


def _turn(workload: Object) -> tuple[bool, int, datetime]:
    """What is switched off has none; who was not ready in time is put behind."""
    spec, evicted = workload["spec"], condition(workload, "Evicted")
    begun = workload["metadata"]["creationTimestamp"]
    if evicted and evicted["status"] == "True" and evicted["reason"] == "PodsReadyTimeout":
        begun = evicted["lastTransitionTime"]
    return spec.get("active") is False, -(spec.get("priority") or 0), moment(begun)


def _uids(thing: Object) -> list[str]:
    return [owner["uid"] for owner in thing["metadata"].get("ownerReferences") or ()]
