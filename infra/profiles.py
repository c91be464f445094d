"""The profiles of notebooks a stack offers: three sizes, and one for each pool of GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from components.hub.profiles import Profile
from infra.people import Size, Tenant
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
        title = f"GPU {machines.accelerator.value.upper()} ({pool})"
        found[f"gpu-{pool}"] = _profile(title, "one GPU", sizes["gpu"], pool=pool)
    return found


def allowed(settings: Settings, tenant: str) -> list[str]:
    """The names of those that a tenant's people may choose."""
    own = settings.tenants[tenant]
    return [*own.profiles] or offered(settings, own)


def offered(settings: Settings, tenant: Tenant) -> list[str]:
    """Where a tenant names no profiles: all but those of GPUs that it may never hold."""
    return [
        name
        for name, profile in profiles(settings).items()
        if profile.pool is None or gpus(settings, tenant, profile.pool)
    ]


def gpus(settings: Settings, tenant: Tenant, pool: str) -> int:
    """How many GPUs of the pool's kind of place a tenant may hold at a time."""
    quota = tenant.quota.gpu
    return quota.onprem if settings.cluster.pools[pool].tier is Tier.ONPREM else quota.burst


def _profile(
    title: str, purpose: str, size: Size, *, spark: bool = False, pool: str | None = None
) -> Profile:
    cores = f"{size.cpu:g} core{'' if size.cpu == 1 else 's'}"
    return Profile(
        title=title,
        description=f"{cores}, {_spaced(size.memory)}B of memory: {purpose}",
        cpu=size.cpu,
        memory=size.memory,
        spark=spark,
        pool=pool,
    )


def _spaced(quantity: str) -> str:
    """``4Gi`` as ``4 Gi``."""
    number = quantity.rstrip("KMGTPEki")
    return f"{number} {quantity[len(number) :]}"
