"""Rules about GPUs that models and scoring ask for: there must be such, and the team's to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.config_errors import Path, Problem
from infra.models import Gpu, Model
from infra.pools import node_pool, shares, usable

if TYPE_CHECKING:
    from infra.sections import Pool
    from infra.settings import Settings


@dataclass(frozen=True)
class Wish:
    """What somebody asks for."""

    path: Path
    """Of its section."""
    gpu: Gpu
    tenant: str
    pods: int
    """Most at a time, while no version of a model follows another."""


def problems(settings: Settings) -> Iterator[Problem]:
    """Every broken rule, in the order of the file."""
    served = Counter[tuple[str, str]]()
    for name, model in settings.models.items():
        if model.gpu:
            wish = Wish(("models", name, "gpu"), model.gpu, model.tenant, _servers(model))
            kind = (model.tenant, model.gpu.accelerator.value)
            yield from _there(wish, usable(settings))
            yield from _held(wish, served[kind], settings)
            served[kind] += model.gpu.count * wish.pods
    for name, batch in settings.batch.items():
        if batch.gpu:
            wish = Wish(("batch", name, "gpu"), batch.gpu, batch.tenant, 1)
            yield from _there(wish, usable(settings))
            # It may wait until a model scales down, or for GPUs that others lend.
            yield from _held(wish, 0, settings)


def _servers(model: Model) -> int:
    each = model.autoscaling.max_replicas if model.autoscaling else model.replicas
    return each * len(model.versions)


def _there(wish: Wish, pools: Mapping[str, Pool]) -> Iterator[Problem]:
    path, gpu = wish.path, wish.gpu
    if not pools:
        yield Problem(
            path,
            gpu.model_dump(exclude_none=True),
            "left out: spillway:cluster.pools has no machines with GPUs for this stack",
        )
        return
    known = sorted({pool.accelerator.value for pool in pools.values()})
    if gpu.accelerator.value not in known:
        yield Problem(
            (*path, "accelerator"),
            gpu.accelerator.value,
            f"one of {', '.join(known)}: of those spillway:cluster.pools has machines",
        )
        return
    alike = {
        name: node_pool(name, pool).advertised
        for name, pool in pools.items()
        if pool.accelerator is gpu.accelerator
    }
    largest = max(alike, key=lambda name: alike[name])
    if gpu.count > alike[largest]:
        yield Problem(
            (*path, "count"),
            gpu.count,
            f"at most {alike[largest]}, as many as one machine of the pool {largest} has",
        )


def _held(wish: Wish, before: int, settings: Settings) -> Iterator[Problem]:
    """Idle GPUs of others are lent, but nobody may count on them."""
    gpu, tenant, pools = wish.gpu, wish.tenant, usable(settings)
    given = shares(settings.tenants[tenant], [node_pool(n, pool) for n, pool in pools.items()])
    own = sum(
        given[name]
        for name, pool in pools.items()
        if pool.accelerator is gpu.accelerator and node_pool(name, pool).advertised >= gpu.count
    )
    if gpu.count * wish.pods + before > own:
        times = "once" if wish.pods == 1 else f"{wish.pods} times"
        others = f", of which models before it take {before}" if before else ""
        yield Problem(
            (*wish.path, "count"),
            gpu.count,
            f"a number that fits {times} into the {own} GPUs ({gpu.accelerator.value}) of "
            f"{tenant}{others}: spillway:tenants.{tenant}.quota.gpu says how many they are",
        )
