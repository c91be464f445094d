"""What costs money or keeps work waiting and does not mend itself, each with the next step."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from infra.sections import Placement
from infra.settings import Settings
from rig.kube import Object, by_hand, condition, is_burst, moment, pod_gpus, pool_label, ready
from rig.status.cluster import Seen
from rig.status.pools import nodes_by_pool
from rig.status.queues import stopped
from rig.status.summary import Pool, Warned
from rig.status.text import span
from rig.status.work import Pods, admitted_to, holding, owner, since

NOT_READY: Final = timedelta(minutes=15)
"""That a cloud's machine may take to start, or to come back."""
PENDING: Final = timedelta(minutes=10)
"""That a pod on-prem may wait for its node and its image."""


def warnings(
    settings: Settings, seen: Seen, pools: Sequence[Pool], pods: Pods, now: datetime
) -> tuple[Warned, ...]:
    """All of them, the dearest first."""
    return (
        *_strangers(settings, seen, now),
        *_lame(settings, seen, pools, now),
        *stopped(settings, seen),
        *_stuck(settings, seen, pools, pods, now),
    )


def _lame(settings: Settings, seen: Seen, pools: Sequence[Pool], now: datetime) -> Iterator[Warned]:
    by_pool, kubectl = nodes_by_pool(settings, seen.nodes), by_hand(settings)
    for pool in pools:
        for node in by_pool[pool.name] if pool.tier == "burst" else ():
            away = now - _unready_since(node)
            if ready(node) or away <= NOT_READY:
                continue
            name = node["metadata"]["name"]
            paid = f" and costs ${pool.price.usd:.2f}/h" if pool.price else ""
            yield Warned(
                what=f"node {name} of pool {pool.name} is not ready for {span(away)}{paid}",
                step=f"{kubectl} describe node {name}; if it does not come back, end its machine "
                f"in {settings.cloud.value}, then {kubectl} delete node {name}",
            )


def _unready_since(node: Object) -> datetime:
    told = condition(node, "Ready") or {}
    return moment(told.get("lastTransitionTime") or node["metadata"]["creationTimestamp"])


def _strangers(settings: Settings, seen: Seen, now: datetime) -> Iterator[Warned]:
    ours = nodes_by_pool(settings, seen.nodes)
    known = {node["metadata"]["name"] for nodes in ours.values() for node in nodes}
    for node in seen.nodes:
        name = node["metadata"]["name"]
        if is_burst(node) and name not in known:
            age = now - moment(node["metadata"]["creationTimestamp"])
            yield Warned(
                what=f"node {name} is a cloud's machine of pool {pool_label(node) or '(none)'}, "
                f"which the stack does not have; it is there for {span(age)}, and in no sum here",
                step=f"end its machine in its cloud, then {by_hand(settings)} delete node "
                f"{name}; or put the pool back into spillway:cluster.pools",
            )


def _stuck(
    settings: Settings, seen: Seen, pools: Sequence[Pool], pods: Pods, now: datetime
) -> Iterator[Warned]:
    onprem = {pool.name for pool in pools if pool.tier == "onprem"}
    for workload in seen.workloads:
        where = onprem & set(admitted_to(workload))
        if not holding(workload) or not where:
            continue
        late = [pod for pod in pods.of(workload) if _pending(pod, workload, now)]
        if late:
            yield _quota_is_not_shape(settings, workload, sorted(where), late[0], now)


def _pending(pod: Object, workload: Object, now: datetime) -> bool:
    begun = max(since(workload), moment(pod["metadata"]["creationTimestamp"]))
    return pod["status"].get("phase") == "Pending" and now - begun > PENDING


def _quota_is_not_shape(
    settings: Settings, workload: Object, where: Sequence[str], pod: Object, now: datetime
) -> Warned:
    meta, gpus = pod["metadata"], pod_gpus(pod["spec"])
    name = f"{meta['namespace']}/{owner(workload)['name']}"
    what = f"{name} was admitted to {', '.join(where)} {span(now - since(workload))} ago"
    strict = settings.queue.placement is Placement.STRICT
    elastic = ", or set spillway:queue.placement to elastic" if strict else ""
    placed = condition(pod, "PodScheduled") or {}
    if placed.get("status") == "True":
        return Warned(
            what=f"{what}, and its pod has not started on {pod['spec'].get('nodeName')}",
            step=f"{by_hand(settings)} describe pod -n {meta['namespace']} {meta['name']}",
        )
    return Warned(
        what=f"{what}, and no node takes its pod of {gpus} GPUs: quota is not shape "
        f"({placed.get('message') or 'the scheduler says nothing'})",
        step=f"end what holds part of a node, or ask for fewer GPUs a pod{elastic}",
    )
