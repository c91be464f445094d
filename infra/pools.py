"""Pools of the settings as what nodes say of themselves, and as machines of a cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from components.cluster.nodes import NodePool
from components.shapes import Join, Machines
from infra import catalog
from infra.catalog import Absent, CloudName, Machine
from infra.sections import Pool, Tier

if TYPE_CHECKING:
    from infra.people import Tenant
    from infra.settings import Settings

BURST_SECONDS = 30 * 60
"""More than the queue waits for a machine of a cloud to come up (components/cluster/queue.py)."""


def node_pools(settings: Settings) -> Mapping[str, NodePool]:
    """All pools, by name, whoever owns the machines."""
    return {name: node_pool(name, pool) for name, pool in settings.cluster.pools.items()}


def node_pool(name: str, pool: Pool) -> NodePool:
    """What a node of the pool says of itself."""
    return NodePool(
        name=name,
        tier="burst" if pool.tier is Tier.BURST else "onprem",
        accelerator=pool.accelerator.value,
        gpus=pool.gpus_per_node,
        shares=catalog.shares(pool.accelerator.value, pool.time_slices, pool.mig),
        mig=pool.mig,
    )


def burst_pools(settings: Settings) -> Mapping[str, Pool]:
    """Those whose machines the chosen cloud makes: none without a cloud."""
    if settings.cloud.value not in catalog.CLOUDS:
        return {}
    pools = settings.cluster.pools
    return {name: pool for name, pool in pools.items() if pool.tier is Tier.BURST}


def usable(settings: Settings) -> Mapping[str, Pool]:
    """As work fills them: the company's own, then those that the chosen cloud makes."""
    pools = settings.cluster.pools
    own = {name: pool for name, pool in pools.items() if pool.tier is Tier.ONPREM}
    return {**own, **burst_pools(settings)}


def bursts(settings: Settings, accelerator: str) -> bool:
    """Whether the chosen cloud makes machines with this GPU."""
    return any(pool.accelerator.value == accelerator for pool in burst_pools(settings).values())


def shares(tenant: Tenant, pools: Sequence[NodePool]) -> Mapping[str, int]:
    """By pool, GPUs: a tier's only pool has all that a tenant may hold of it."""
    quota = tenant.quota.gpu
    found = {pool.name: quota.pools.get(pool.name, 0) for pool in pools}
    for tier, gpus in (("onprem", quota.onprem), ("burst", quota.burst)):
        of_tier = [pool.name for pool in pools if pool.tier == tier]
        if len(of_tier) == 1:
            found[of_tier[0]] = gpus
    return found


def machine_of(pool: Pool, cloud: str) -> Machine | Absent:
    """What the cloud sells for the pool."""
    return catalog.machine(pool.accelerator.value, pool.gpus_per_node, cast("CloudName", cloud))


def machines(settings: Settings, image: str | None) -> Mapping[str, Machines]:
    """What the chosen cloud makes for each burst pool, of this image."""
    return {
        name: _machines(settings, node_pool(name, pool), pool, image)
        for name, pool in burst_pools(settings).items()
    }


def _machines(settings: Settings, nodes: NodePool, pool: Pool, image: str | None) -> Machines:
    join, machine = settings.cluster.join, machine_of(pool, settings.cloud.value)
    if image is None or join is None or pool.max_nodes is None or isinstance(machine, Absent):
        raise ValueError(f"the burst pool {nodes.name} passed without what the rules ask for")
    return Machines(
        pool=nodes,
        machine=machine.name,
        image=image,
        maximum=pool.max_nodes,
        spot=bool(pool.spot),
        join=Join(server=join.server, version=join.version),
    )
