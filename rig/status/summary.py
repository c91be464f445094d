"""What a look found, in the shape that ``--json`` prints: docs/gpus.md has it too.

Times are UTC, money is US dollars, GPUs are counted as nodes advertise them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Tier = Literal["onprem", "burst"]


@dataclass(frozen=True, kw_only=True)
class Price:
    """Of one machine, by the hour; from ``infra/catalog.py``."""

    usd: float
    kind: Literal["spot", "on-demand"]
    verified: bool
    source: str
    date: str


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Machines of one kind."""

    name: str
    tier: Tier
    accelerator: str
    nodes_ready: int
    nodes_not_ready: int
    nodes_most: int
    gpus_used: int
    """That pods on its nodes ask for."""
    gpus_there: int
    """Of nodes that are ready."""
    gpus_most: int
    price: Price | None
    """None on-prem, and where the catalog has none."""
    usd_now: float
    """An hour, of all nodes that exist; zero on-prem."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the pools cost an hour."""

    usd_now: float
    usd_most: float
    """What the tenants may use, at on-demand prices: the gate's ceiling."""
    verified: bool
    """False when a price in either sum is not."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """What a tenant holds of a pool; all in GPUs."""

    pool: str
    tier: Tier
    held: int
    """Reserved for its work, started or not."""
    quota: int
    """Its own of a pool on-prem, its cap of one in the cloud."""
    borrowed: int
    """Of what it holds on-prem, what is others'."""
    lent: int
    """Of its own on-prem, what it could not have now because others hold it."""


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A team's queue."""

    name: str
    shares: tuple[Share, ...]
    waiting: int
    """Pieces of work."""
    longest_wait_seconds: int
    """Of those that wait now; zero when none does."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One piece of work that asks for GPUs, or waits."""

    tenant: str
    """Its namespace."""
    what: str
    """notebook, job, model, Spark, or the kind of its owner."""
    name: str
    person: str
    """Whose notebook it is, as its pod says; else empty."""
    gpus: int
    pools: tuple[str, ...]
    """That it was admitted to; none while it waits."""
    priority: int
    since: datetime
    """When it was admitted, or began to wait."""
    reason: str
    """Why it waits, in plain words; else empty."""


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something that does not mend itself."""

    what: str
    step: str
    """What to do next."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """All of it."""

    stack: str
    context: str | None
    """Of the kubeconfig; None for its current one."""
    at: datetime
    pools: tuple[Pool, ...]
    """In the order in which they fill up."""
    costs: Costs
    tenants: tuple[Tenant, ...]
    running: tuple[Work, ...]
    """Admitted, with GPUs."""
    waiting: tuple[Work, ...]
    """Whose turn it is first, then the others."""
    warnings: tuple[Warned, ...]
