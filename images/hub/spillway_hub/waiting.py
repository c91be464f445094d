"""Why a server with a GPU waits, in a sentence for the person who waits for it.

Reads Kueue's Workloads (v1beta2), the pod and its events, all as the API server writes them. Of
other people's work come out numbers, nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spillway_hub.profiles import in_bytes
from spillway_hub.progress import shortages
from spillway_hub.told import Pool, Told

Object = Mapping[str, Any]
GPU = "nvidia.com/gpu"
ACCELERATOR = "spillway.dev/accelerator"
MINUTES = 4
"""Until a machine of a cloud is there: assumed, nobody has measured it on one yet."""
SCALING = ("TriggeredScaleUp", "NotTriggerScaleUp", "FailedScaleUp")
"""Reasons of the autoscaler's events."""
TOLD = (*SCALING, "FailedScheduling")
"""Events that the sentence already speaks of."""
LOST = "Your server lost its place"
"""Begin of what is said of a pod that was taken away before it was up."""
CLOSED = ("Inadmissible", "Misconfigured", "Suspended")
"""Reasons of ``QuotaReserved`` where no queue takes the work; the first without, the others with
Kueue's feature ``UnadmittedWorkloadsObservability``."""
REQUEUED_LATER = ("PodsReadyTimeout", "AdmissionCheck")
"""Evictions that send work to the end of the queue."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the cluster says when somebody waits."""

    pod: Object
    workloads: Sequence[Object]
    """All of the team's namespace."""
    events: Sequence[Object] = ()
    """Of the pod, the newest last."""
    used: Mapping[str, Mapping[str, int]] | None = None
    """GPUs by team and pool; None where the queues did not say."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """GPUs of one kind on one side, as one team meets them."""

    pools: tuple[Pool, ...]
    used: int
    own: int
    """Of those in use, the team's."""
    cap: int
    """Most that the team may hold of a cloud's."""

    @property
    def gpus(self) -> int:
        """All there are, or can be."""
        return sum(pool.gpus for pool in self.pools)

    @property
    def free(self) -> bool:
        """Whether the team gets one now."""
        return self.used < self.gpus and (not self.pools[0].burst or self.own < self.cap)


def sentence(seen: Seen, told: Told, team: str) -> str:
    """Why the server waits; nothing once its pod has a machine, or where no queue knows it."""
    own = workload_of(seen.pod, seen.workloads)
    if own is None or not gpus(own) or (seen.pod.get("spec") or {}).get("nodeName"):
        return ""
    if evicted := _true(own, "Evicted"):
        return _taken_back(evicted)
    if _true(own, "QuotaReserved"):
        return _turn(told.pools.get(_flavor(own)), seen)
    return _queued(own, seen, told, team)


# -- Workloads ------------------------------------------------------------------------------------


def workload_of(pod: Object, workloads: Sequence[Object]) -> Object | None:
    """The pod's own: the one that it owns."""
    uid = pod["metadata"]["uid"]
    owned = (w for w in workloads if uid in {o["uid"] for o in _owners(w)})
    return next(owned, None)


def _owners(workload: Object) -> Sequence[Object]:
    return workload["metadata"].get("ownerReferences") or ()


def gpus(workload: Object) -> int:
    """What it asks for, in all of its pods."""
    return sum(
        in_bytes(str(quantities.get(GPU, 0))) * pods.get("count", 1)
        for pods in workload["spec"]["podSets"]
        for quantities in _quantities(pods["template"]["spec"])
    )


def _quantities(spec: Object) -> list[Mapping[str, Any]]:
    resources = [container.get("resources") or {} for container in spec["containers"]]
    return [one.get("requests") or one.get("limits") or {} for one in resources]


def ahead(own: Object, workloads: Sequence[Object]) -> int:
    """How many wait for the same GPUs in the same queue and come before; in Kueue's own order."""
    rivals = (w for w in workloads if _waits(w) and gpus(w) and _alike(w, own))
    return sum(_order(rival) < _order(own) for rival in rivals)


def _waits(workload: Object) -> bool:
    done = _true(workload, "QuotaReserved") or _true(workload, "Finished")
    return not done and workload["spec"].get("active", True)


def _alike(one: Object, other: Object) -> bool:
    kinds = {_accelerator(one), _accelerator(other)} - {None}
    return len(kinds) <= 1


def _accelerator(workload: Object) -> str | None:
    spec = workload["spec"]["podSets"][0]["template"]["spec"]
    return (spec.get("nodeSelector") or {}).get(ACCELERATOR)


def _order(workload: Object) -> tuple[int, str, str]:
    """By priority, then by time: as ``requeuingStrategy.timestamp: Eviction`` has it."""
    metadata, evicted = workload["metadata"], _true(workload, "Evicted")
    since = metadata["creationTimestamp"]
    if evicted and evicted["reason"] in REQUEUED_LATER:
        since = evicted["lastTransitionTime"]
    return -(workload["spec"].get("priority") or 0), since, metadata["uid"]


def _condition(workload: Object, kind: str) -> Object:
    conditions = (workload.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), {})


def _true(workload: Object, kind: str) -> Object | None:
    found = _condition(workload, kind)
    return found if found.get("status") == "True" else None


def _flavor(workload: Object) -> str:
    """The pool it was admitted to."""
    admission = (workload.get("status") or {}).get("admission") or {}
    sets = admission.get("podSetAssignments") or ()
    found = (str(one["flavors"][GPU]) for one in sets if GPU in (one.get("flavors") or {}))
    return next(found, "")


# -- before its turn ------------------------------------------------------------------------------


def _queued(own: Object, seen: Seen, told: Told, team: str) -> str:
    said = _condition(own, "QuotaReserved")
    reason, message = said.get("reason", ""), said.get("message", "")
    if reason in CLOSED:
        return "Your team's queue for GPUs is closed or not set up: ask an administrator"
    if "insufficient quota for" in message and "insufficient unused quota for" not in message:
        return (
            "Your team may not hold a GPU of this kind, so waiting does not help: choose another "
            "profile, or ask for a larger quota"
        )
    before = ahead(own, seen.workloads)
    place = f"{before} ahead of you in your team" if before else "you are the next of your team"
    why = _why(_accelerator(own), seen, told, team)
    if "Pending the preemption" in message:
        why.append("work that gives way to yours is being ended")
    return f"Queued: {place}" + (f". {_capital('; '.join(why))}" if why else "")


def _why(accelerator: str | None, seen: Seen, told: Told, team: str) -> list[str]:
    if seen.used is None:
        return []
    rooms = _rooms(told, team, seen.used)
    mine = [room for room in rooms if room.pools[0].accelerator == accelerator]
    why = [words for room in mine if (words := _full(room))]
    offered = {told.profiles[name].accelerator for name in told.tenants[team].profiles}
    others = [r for r in rooms if r not in mine and r.pools[0].accelerator in offered]
    free = [room for room in (*mine, *others) if room.free]
    # Where one of its own kind is free the queue needs but a moment; another kind is a choice.
    return [*why, *(_free(room) for room in free[:1])] if why else []


def _rooms(told: Told, team: str, used: Mapping[str, Mapping[str, int]]) -> list[Room]:
    sides: dict[tuple[bool, str], list[str]] = {}
    for name, pool in told.pools.items():
        sides.setdefault((pool.burst, pool.accelerator), []).append(name)
    tenant = told.tenants[team]
    return [
        Room(
            pools=tuple(told.pools[name] for name in names),
            used=sum(by_pool.get(name, 0) for by_pool in used.values() for name in names),
            own=sum(used.get(tenant.namespace, {}).get(name, 0) for name in names),
            cap=sum(tenant.gpus.get(name, 0) for name in names),
        )
        for names in sides.values()
    ]


def _full(room: Room) -> str:
    """Why there is none of these for the team; nothing where there is, or never will be."""
    pool = room.pools[0]
    if room.free or (pool.burst and not room.cap):
        return ""
    whose = "cloud" if pool.burst else "company"
    if room.used >= room.gpus:
        if room.gpus == 1:
            return f"the {whose}'s only {pool.title} is in use"
        return f"all {room.gpus} of the {whose}'s {pool.title} are in use"
    if room.cap == 1:
        return f"your team holds the one cloud {pool.title} that it may: it must end first"
    may = f"all {room.cap} of the cloud {pool.title} that it may"
    return f"your team holds {may}: one must end first"


def _free(room: Room) -> str:
    pool = room.pools[0]
    if not pool.burst:
        return f"one of the company's {pool.title} is free now"
    return f"a cloud {pool.title}{_price(pool)} would start now"


def _price(pool: Pool) -> str:
    """About, for regions differ by up to a third, and prices of spot machines by the day."""
    if pool.price is None:
        return ""
    machine = "" if pool.each == 1 else f" for a machine with {pool.each}"
    return f" (about ${pool.price:.2f}/h{machine}{', spot' if pool.spot else ''})"


# -- its turn -------------------------------------------------------------------------------------


def _turn(pool: Pool | None, seen: Seen) -> str:
    if pool is None:
        return f"It is your turn: a GPU is yours{_room(seen)}"
    if not pool.burst:
        return f"It is your turn: one of the company's {pool.title} is yours{_room(seen)}"
    if _unready(pool, seen):
        return "The machine is there, the GPU is not ready yet"
    scaling = _newest(seen, *SCALING)
    what = f"a cloud {pool.title}{_price(pool)}"
    if scaling.get("reason") == "TriggeredScaleUp":
        return f"It is your turn: {what} is starting, which takes about {MINUTES} minutes"
    if scaling:
        return f"It is your turn for {what}, but {_refused(scaling)}; it is tried again"
    return f"It is your turn: {what} is asked for"


def _refused(event: Object) -> str:
    message = event.get("message", "")
    if event["reason"] == "FailedScaleUp" or "in backoff after failed scale-up" in message:
        return "the cloud did not give one"
    if "max node group size reached" in message or "limit reached" in message:
        return "as many machines run as may"
    return "no machine can be added now"


def _unready(pool: Pool, seen: Seen) -> bool:
    """Whether machines of the pool are up that have GPUs nobody could be using.

    With the queue's choice of the pool in its node selector the scheduler names GPUs only of
    machines that are in that pool; so many can be full as others have GPUs there.
    """
    name = ((seen.pod.get("spec") or {}).get("nodeSelector") or {}).get("spillway.dev/pool")
    if seen.used is None or name is None:
        return False
    message = _newest(seen, "FailedScheduling").get("message", "")
    found = re.search(rf"(\d+) Insufficient {re.escape(GPU)}", message)
    in_use = sum(by_pool.get(name, 0) for by_pool in seen.used.values())
    # The server's own place counts as in use, and has no machine.
    return bool(found) and int(found[1]) * pool.each > max(0, in_use - 1)


def _room(seen: Seen) -> str:
    short = _newest(seen, "FailedScheduling")
    return f". Waiting for room: {shortages(short.get('message', ''))}" if short else ""


def _newest(seen: Seen, *reasons: str) -> Object:
    return next((e for e in reversed(seen.events) if e.get("reason") in reasons), {})


def _taken_back(evicted: Object) -> str:
    """A pod that the queue took its place from is gone for good."""
    reasons = {
        "PodsReadyTimeout": "no machine was ready in time",
        "Preempted": "work that comes first needed it",
        "NodeFailures": "its machine failed",
    }
    why = reasons.get(evicted["reason"], "the queue was changed")
    return f"{LOST}, because {why}: start it again"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
