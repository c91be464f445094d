"""What the page of somebody who waits for a GPU says of the stack's pools: names, sizes, prices."""

from collections.abc import Mapping

from components.cluster.queue import QueuedPool
from components.hub import Pool
from infra import sections
from infra.catalog import Absent
from infra.pools import machine_of
from infra.queues import in_order, shares
from infra.sections import Placement, Tier
from infra.settings import Settings


def pools(settings: Settings) -> Mapping[str, Pool]:
    """Those that the queue has, by name, in its order.

    None where work runs elsewhere than it was admitted: the page would name the wrong machine.
    """
    if settings.queue.placement is Placement.ELASTIC:
        return {}
    return {
        queued.nodes.name: _pool(settings, settings.cluster.pools[queued.nodes.name], queued)
        for queued in in_order(settings)
    }


def held(settings: Settings, tenant: str) -> Mapping[str, int]:
    """GPUs that a tenant may hold, by pool: its own of the company's, its most of a cloud's."""
    own = shares(settings.tenants[tenant], [pool.nodes for pool in in_order(settings)])
    return {name: gpus for name, gpus in own.items() if name in pools(settings)}


def spoken(accelerator: str) -> str:
    """``a100-80gb`` as people say it: ``A100 80GB``."""
    return accelerator.upper().replace("-", " ")


def price(settings: Settings, pool: sections.Pool) -> float | None:
    """US dollars by hour of one machine; None of the company's own, and where nobody knows."""
    machine = machine_of(pool, settings.cloud.value) if pool.tier is Tier.BURST else None
    if machine is None or isinstance(machine, Absent):
        return None
    found = machine.spot if pool.spot else machine.on_demand
    return found.usd if found else None


def _pool(settings: Settings, pool: sections.Pool, queued: QueuedPool) -> Pool:
    return Pool(
        accelerator=pool.accelerator.value,
        title=spoken(pool.accelerator.value),
        burst=pool.tier is Tier.BURST,
        gpus=queued.gpus,
        each=queued.nodes.advertised,
        price=price(settings, pool),
        spot=bool(pool.spot),
    )
