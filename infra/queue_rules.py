"""Rules for who may hold which GPUs: what is given away must be there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.config_errors import Problem
from infra.pools import node_pool
from infra.sections import Tier

if TYPE_CHECKING:
    from infra.people import Tenant
    from infra.settings import Settings


def problems(settings: Settings) -> Iterator[Problem]:
    """What no queue can be made of."""
    for name, tenant in settings.tenants.items():
        yield from _divided(settings, name, tenant)
    yield from _given_away(settings)


def _divided(settings: Settings, name: str, tenant: Tenant) -> Iterator[Problem]:
    quota, pools = tenant.quota.gpu, settings.cluster.pools
    path = ("tenants", name, "quota", "gpu", "pools")
    if unknown := next((pool for pool in quota.pools if pool not in pools), None):
        allowed = f"names of spillway:cluster.pools: {', '.join(pools) or 'it has none'}"
        yield Problem((*path, unknown), quota.pools[unknown], allowed)
        return
    for tier, gpus in ((Tier.ONPREM, quota.onprem), (Tier.BURST, quota.burst)):
        of_tier = [pool for pool in pools if pools[pool].tier is tier]
        told = {pool: quota.pools[pool] for pool in of_tier if pool in quota.pools}
        if (told or (len(of_tier) > 1 and gpus)) and sum(told.values()) != gpus:
            names = " and ".join(of_tier)
            yield Problem(
                path, told, f"numbers for {names} that add up to quota.gpu.{tier.value}, {gpus}"
            )


def _given_away(settings: Settings) -> Iterator[Problem]:
    pools, tenants = settings.cluster.pools, settings.tenants
    there = sum(
        node_pool(name, pool).advertised * len(pool.nodes)
        for name, pool in pools.items()
        if pool.tier is Tier.ONPREM
    )
    if not there:
        return
    given = 0
    for name, tenant in tenants.items():
        given += tenant.quota.gpu.onprem
        if given > there:
            yield Problem(
                ("tenants", name, "quota", "gpu", "onprem"),
                tenant.quota.gpu.onprem,
                f"at most {tenant.quota.gpu.onprem - (given - there)}: the pools on-prem have "
                f"{there} GPUs, and the tenants before have the others (idle ones are lent)",
            )
            return
