"""The profiles of notebooks a stack offers: three sizes, and one for each pool of GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from components.hub.profiles import Profile
from infra.people import Size, Tenant
from infra.pools import node_pool, shares, usable
from infra.sections import Tier

if TYPE_CHECKING:
    from infra.settings import Settings

SIZES: Mapping[str, Size] = {
    "small": Size(cpu=1, memory="2Gi"),
    "large": Size(cpu=4, memory="16Gi"),
    "spark": Size(cpu=2, memory="4Gi"),
    "gpu": Size(cpu=4, memory="16Gi"),
}
"""Sizes where ``spillway:notebooks.sizes`` says nothing else; of GPU profiles all alike."""
TITLES = {
    "small": ("Small", "to look at data and write code"),
    "large": ("Large", "for data that needs memory"),
    "spark": ("Spark", "spillway_spark() starts executors beside it"),
}


def profiles(settings: Settings) -> Mapping[str, Profile]:
    """By name, in the order people see them; a GPU profile exists where its pool does."""
    sizes = {**SIZES, **settings.notebooks.sizes}
    found = {
        name: _profile(title, purpose, sizes[name], spark=name == "spark")
        for name, (title, purpose) in TITLES.items()
    }
    for pool, machines in settings.cluster.pools.items():
        accelerator = machines.accelerator.value
        if machines.tier is Tier.BURST and owned(settings, accelerator):
            continue  # Its work comes by itself when those of the company's own are taken.
        title = f"GPU {accelerator.upper()} ({pool})"
        gpu = _profile(title, "one GPU", sizes["gpu"], accelerator=accelerator)
        found[f"gpu-{pool}"] = gpu
    return found


def owned(settings: Settings, accelerator: str) -> bool:
    """Whether the company has GPUs of this kind itself."""
    pools = settings.cluster.pools.values()
    return any(p.tier is Tier.ONPREM and p.accelerator.value == accelerator for p in pools)


def allowed(settings: Settings, tenant: str) -> list[str]:
    """The names of those that a tenant's people may choose."""
    own = settings.tenants[tenant]
    return [*own.profiles] or offered(settings, own)


def offered(settings: Settings, tenant: Tenant) -> list[str]:
    """Where a tenant names no profiles: all but those of GPUs that it may never hold."""
    return [
        name
        for name, profile in profiles(settings).items()
        if profile.accelerator is None or gpus(settings, tenant, profile.accelerator)
    ]


def widest(settings: Settings, tenant: Tenant) -> Mapping[str, int]:
    """By accelerator that a tenant may hold, the most GPUs that one pod of it can have."""
    pools = usable(settings)
    held = shares(tenant, [node_pool(name, pool) for name, pool in pools.items()])
    found = dict[str, int]()
    for name, pool in pools.items():
        if most := min(node_pool(name, pool).advertised, held[name]):
            accelerator = pool.accelerator.value
            found[accelerator] = max(most, found.get(accelerator, 0))
    return found


def gpus(settings: Settings, tenant: Tenant, accelerator: str) -> int:
    """How many GPUs of a kind a tenant may hold at a time, wherever they are."""
    pools = settings.cluster.pools.values()
    tiers = {pool.tier for pool in pools if pool.accelerator.value == accelerator}
    quota = tenant.quota.gpu
    return sum(quota.onprem if tier is Tier.ONPREM else quota.burst for tier in tiers)


def _profile(
    title: str, purpose: str, size: Size, *, spark: bool = False, accelerator: str | None = None
) -> Profile:
    cores = f"{size.cpu:g} core{'' if size.cpu == 1 else 's'}"
    return Profile(
        title=title,
        description=f"{cores}, {_spaced(size.memory)}B of memory: {purpose}",
        cpu=size.cpu,
        memory=size.memory,
        spark=spark,
        accelerator=accelerator,
    )


def _spaced(quantity: str) -> str:
    """``4Gi`` as ``4 Gi``."""
    number = quantity.rstrip("KMGTPEki")
    return f"{number} {quantity[len(number) :]}"
