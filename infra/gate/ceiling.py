"""What a stack can cost an hour when everything bursts, and what the company's own GPUs cost.

Follows from the settings alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra import catalog
from infra.catalog import Absent, Machine
from infra.gate.terms import Terms


@dataclass(frozen=True)
class Burst:
    """A pool in the cloud with the machine it starts."""

    name: str
    machine: Machine
    most: int
    """Machines at a time."""
    spot: bool
    shares: int = 1
    """Parts of each GPU, each of which counts as one."""

    @property
    def gpus(self) -> int:
        """Of one machine, as tenants' quotas count them."""
        return self.machine.gpus * self.shares

    @property
    def hourly(self) -> float:
        """A machine at its dearest: spot prices rise, never above on-demand."""
        return self.machine.on_demand.usd

    @property
    def expected(self) -> float:
        """A machine as it is meant to run."""
        return self.machine.expected(spot=self.spot).usd


@dataclass(frozen=True)
class Ceiling:
    """The most that can be spent in an hour."""

    pools: Sequence[Burst]
    missing: Sequence[str]
    """Pools that cannot be priced, and why."""
    tenants: Mapping[str, float]
    """By tenant, the dearest way to use up its quota."""
    expected: Mapping[str, float]
    """By tenant, the cheapest way, at spot prices where the pool is spot."""

    @property
    def capacity(self) -> float:
        """All machines of all pools."""
        return sum(pool.hourly * pool.most for pool in self.pools)

    @property
    def usd(self) -> float:
        """Of the stack: what the tenants may use, but no more than the pools can start."""
        return min(sum(self.tenants.values()), self.capacity)


def ceiling(terms: Terms) -> Ceiling:
    """What tenants can spend by the hour in the cloud that the settings choose."""
    pools: list[Burst] = []
    missing: list[str] = []
    for name, pool in terms.cluster.pools.items():
        if pool.tier != "burst" or terms.cloud not in catalog.CLOUDS:
            continue
        machine = catalog.machine(pool.accelerator, pool.gpus_per_node, terms.cloud)
        if isinstance(machine, Absent):
            missing.append(f"{name}: {machine.reason}")
        else:
            shares = pool.time_slices or 1
            pools.append(Burst(name, machine, pool.max_nodes or 0, bool(pool.spot), shares))
    quotas = {name: tenant.quota.gpu.burst for name, tenant in terms.tenants.items()}
    return Ceiling(
        pools,
        missing,
        {name: dearest(pools, gpus) for name, gpus in quotas.items()},
        {name: cheapest(pools, gpus) for name, gpus in quotas.items()},
    )


def dearest(pools: Sequence[Burst], gpus: int) -> float:
    """Every GPU on a machine of its own, the dearest machines first, as many as the pools have."""
    usd = 0.0
    for pool in sorted(pools, key=lambda p: p.hourly, reverse=True):
        machines = min(gpus, pool.most)
        usd, gpus = usd + machines * pool.hourly, gpus - machines
    return usd


def cheapest(pools: Sequence[Burst], gpus: int) -> float:
    """Machines filled up, the cheapest by GPU first."""
    usd = 0.0
    for pool in sorted(pools, key=lambda p: p.expected / p.gpus):
        machines = min(math.ceil(gpus / pool.gpus), pool.most)
        usd, gpus = usd + machines * pool.expected, max(0, gpus - machines * pool.gpus)
    return usd


@dataclass(frozen=True)
class Onprem:
    """The company's own GPUs."""

    gpus: int
    hourly: float
    """One GPU."""
    assumed: bool
    """Whether the price is the catalog's, because the settings say nothing."""
    tenants: Mapping[str, float]
    """By tenant, its whole quota by the hour."""


def onprem(terms: Terms) -> Onprem:
    """What the company's own GPUs cost, so that nobody takes them for free."""
    own = terms.prices.onprem_gpu_hour
    hourly = catalog.ONPREM_GPU_HOUR.usd if own is None else own
    gpus = sum(
        len(pool.nodes) * pool.gpus_per_node
        for pool in terms.cluster.pools.values()
        if pool.tier == "onprem"
    )
    quotas = {name: t.quota.gpu.onprem * hourly for name, t in terms.tenants.items()}
    return Onprem(gpus, hourly, own is None, quotas)
