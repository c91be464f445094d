"""Pools: nodes and GPUs that there are and can be, and what they cost an hour."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from components.cluster.queue import QueuedPool
from infra import catalog
from infra.catalog import Absent
from infra.gate.ceiling import ceiling
from infra.gate.terms import terms
from infra.pools import machine_of
from infra.queues import in_order
from infra.sections import Placement
from infra.sections import Pool as Setting
from infra.settings import Settings
from rig.kube import Object, advertised, is_burst, pod_gpus, pool_label, ready
from rig.status.cluster import Seen
from rig.status.summary import Costs, Pool, Price


def pools(settings: Settings, seen: Seen) -> tuple[Pool, ...]:
    """In the order in which they fill up."""
    by_pool = nodes_by_pool(settings, seen.nodes)
    used = _used(seen.pods)
    return tuple(
        _pool(settings, queued, by_pool[queued.nodes.name], used) for queued in in_order(settings)
    )


def nodes_by_pool(settings: Settings, nodes: Iterable[Object]) -> Mapping[str, list[Object]]:
    """Nodes of each pool of the stack: on-prem those that the file names, else by their label."""
    own = {host: name for name, pool in settings.cluster.pools.items() for host in pool.nodes}
    found: dict[str, list[Object]] = {queued.nodes.name: [] for queued in in_order(settings)}
    for node in nodes:
        name = pool_label(node) if is_burst(node) else own.get(node["metadata"]["name"], "")
        if name in found and is_burst(node) == (settings.cluster.pools[name].tier == "burst"):
            found[name].append(node)
    return found


def price(settings: Settings, pool: Setting) -> Price | None:
    """Of a burst pool's machine: spot where it is spot and the catalog knows a price."""
    if pool.tier != "burst" or settings.cloud.value not in catalog.CLOUDS:
        return None
    machine = machine_of(pool, settings.cloud.value)
    if isinstance(machine, Absent):
        return None
    spot = machine.spot if pool.spot else None
    chosen = spot or machine.on_demand
    return Price(
        usd=chosen.usd,
        kind="spot" if spot else "on-demand",
        verified=chosen.verified,
        source=chosen.source,
        date=chosen.date,
    )


def costs(settings: Settings, found: Sequence[Pool]) -> Costs:
    """Of all pools together."""
    top = ceiling(terms(settings, {}))
    # Elastic work may run on a cloud's machine beyond its tenant's cap.
    elastic = settings.queue.placement is Placement.ELASTIC
    prices = chain((p.price for p in found), (p.machine.on_demand for p in top.pools))
    return Costs(
        usd_now=round(sum(pool.usd_now for pool in found), 4),
        usd_most=round(top.capacity if elastic else top.usd, 4),
        verified=all(p.verified for p in prices if p),
    )


def _pool(
    settings: Settings, queued: QueuedPool, nodes: Sequence[Object], used: Mapping[str, int]
) -> Pool:
    name, setting = queued.nodes.name, settings.cluster.pools[queued.nodes.name]
    paid = price(settings, setting)
    up = [node for node in nodes if ready(node)]
    return Pool(
        name=name,
        tier=queued.nodes.tier,
        accelerator=queued.nodes.accelerator,
        nodes_ready=len(up),
        nodes_not_ready=len(nodes) - len(up),
        nodes_most=queued.machines,
        gpus_used=sum(used.get(node["metadata"]["name"], 0) for node in nodes),
        gpus_there=sum(advertised(node) for node in up),
        gpus_most=queued.gpus,
        price=paid,
        usd_now=round(len(nodes) * paid.usd, 4) if paid else 0.0,
    )


def _used(pods: Iterable[Object]) -> Mapping[str, int]:
    """GPUs by the name of the node that they are on."""
    found: dict[str, int] = {}
    for pod in pods:
        if node := pod["spec"].get("nodeName"):
            found[node] = found.get(node, 0) + pod_gpus(pod["spec"])
    return found
