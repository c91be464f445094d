"""Tenants' queues: GPUs held against what is theirs, and how long their work waits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from components.cluster.nodes import GPU
from components.cluster.queue import COHORT, LOCAL_QUEUE, QueuedPool
from infra.queues import in_order, shares
from infra.settings import Settings
from rig.kube import Object, by_hand, condition, whole
from rig.status.cluster import Seen
from rig.status.summary import Share, Tenant, Warned, Work

APPLY: Final = "apply the stack: make up"


def tenants(
    settings: Settings, seen: Seen, waiting: Sequence[Work], now: datetime
) -> tuple[Tenant, ...]:
    """Those of the file, in its order."""
    pools = in_order(settings)
    free = _free(pools, seen.cluster_queues)
    queues = {queue["metadata"]["name"]: queue for queue in seen.cluster_queues}
    found: list[Tenant] = []
    for name, team in settings.tenants.items():
        quota = shares(team, [pool.nodes for pool in pools])
        begun = [work.since for work in waiting if work.tenant == name]
        found.append(
            Tenant(
                name=name,
                shares=tuple(
                    _share(pool, quota[pool.nodes.name], queues.get(name), free) for pool in pools
                ),
                waiting=len(begun),
                longest_wait_seconds=max(
                    (int((now - at).total_seconds()) for at in begun), default=0
                ),
            )
        )
    return tuple(found)


def stopped(settings: Settings, seen: Seen) -> Sequence[Warned]:
    """Queues of tenants that are not there or take no work."""
    found, kubectl = list[Warned](), by_hand(settings)
    own = [q for q in seen.local_queues if q["metadata"]["name"] == LOCAL_QUEUE]
    kinds = (
        ("ClusterQueue", {q["metadata"]["name"]: q for q in seen.cluster_queues}),
        ("LocalQueue", {q["metadata"]["namespace"]: q for q in own}),
    )
    # Without pools there is no queue, and nothing to wait for.
    for tenant in settings.tenants if in_order(settings) else ():
        for kind, queues in kinds:
            if tenant not in queues:
                found.append(Warned(what=f"tenant {tenant} has no {kind}", step=APPLY))
            elif (active := condition(queues[tenant], "Active")) and active["status"] == "False":
                what = f"the {kind} of tenant {tenant} takes no work: {active['message']}"
                where = f"-n {tenant} {LOCAL_QUEUE}" if kind == "LocalQueue" else tenant
                step = f"{kubectl} describe {kind.lower()} {where}; {APPLY}"
                found.append(Warned(what=what, step=step))
    return found


def _share(pool: QueuedPool, quota: int, queue: Object | None, free: Mapping[str, int]) -> Share:
    name, tier = pool.nodes.name, pool.nodes.tier
    held, borrowed = _held(queue, name)
    onprem = tier == "onprem"
    idle = max(0, quota - held)
    return Share(
        pool=name,
        tier=tier,
        held=held,
        quota=quota,
        # In the cloud nothing is a tenant's own, so everything counts as borrowed there.
        borrowed=borrowed if onprem else 0,
        lent=max(0, idle - free[name]) if onprem else 0,
    )


def _held(queue: Object | None, pool: str) -> tuple[int, int]:
    """GPUs of a pool that are reserved in a queue, and how many of them are borrowed."""
    for flavor in ((queue or {}).get("status") or {}).get("flavorsReservation") or ():
        for resource in flavor["resources"]:
            if (flavor["name"], resource["name"]) == (pool, GPU):
                return whole(resource.get("total", 0)), whole(resource.get("borrowed", 0))
    return 0, 0


def _free(pools: Sequence[QueuedPool], queues: Sequence[Object]) -> Mapping[str, int]:
    """GPUs of each pool that nobody holds."""
    ours = [queue for queue in queues if queue["spec"].get("cohortName") == COHORT]
    return {
        pool.nodes.name: max(0, pool.gpus - sum(_held(q, pool.nodes.name)[0] for q in ours))
        for pool in pools
    }
