"""A status as tables, for people."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra import catalog
from rig.status.summary import Costs, Pool, Status, Tenant, Work
from rig.status.text import plain, span

WIDE: Final = 200
"""Columns where output is no terminal: a log or a file folds nothing."""
TEXTS: Final = frozenset(
    ("pool", "tier", "GPU", "tenant", "what", "who or name", "for", "longest", "why")
)
"""Columns without numbers."""


def show(console: Console, found: Status) -> None:
    """Everything."""
    if not console.is_terminal:
        width = max(WIDE, console.width)
        console = Console(file=console.file, width=width, highlight=False, soft_wrap=True)
    for part in _parts(found):
        # Cells may fold, lines may not: they would no longer be copied in one piece.
        console.print(part, soft_wrap=not isinstance(part, Table))


def _parts(found: Status) -> Iterator[Table | str]:
    where = f"context {found.context}" if found.context else "the current context"
    yield escape(plain(f"stack {found.stack}, {where}, {found.at:%Y-%m-%d %H:%M} UTC"))
    yield _pools(found.pools)
    yield _costs(found.costs)
    yield from _notes(found.pools, found.costs)
    yield _queues(found.tenants)
    yield _works("running", found.running, found.at)
    yield _works("waiting", found.waiting, found.at)
    for warned in found.warnings:
        yield f"[yellow]![/yellow] {_text(warned.what)}"
        yield f"    {_text(warned.step)}"


def _pools(pools: Sequence[Pool]) -> Table:
    table = _table(
        "Pools: nodes, GPUs, dollars an hour",
        ("pool", "tier", "GPU", "ready", "not ready", "most", "used", "there", "most", "$/h"),
    )
    for pool in pools:
        nodes = (pool.nodes_ready, pool.nodes_not_ready, pool.nodes_most)
        gpus = (pool.gpus_used, pool.gpus_there, pool.gpus_most)
        mark = "*" if pool.price and not pool.price.verified else ""
        unknown = pool.tier == "burst" and not pool.price
        usd = "?" if unknown else f"{pool.usd_now:.2f}{mark}"
        table.add_row(pool.name, pool.tier, pool.accelerator, *map(str, (*nodes, *gpus)), usd)
    return table


def _costs(costs: Costs) -> str:
    mark = "" if costs.verified else " *"
    return f"costs now: ${costs.usd_now:.2f}/h, at most ${costs.usd_most:.2f}/h{mark}"


def _notes(pools: Sequence[Pool], costs: Costs) -> Iterator[str]:
    """Where prices are from."""
    paid = [(pool.name, pool.price) for pool in pools if pool.price]
    for name, price in paid:
        doubt = "" if price.verified else "* not verified: "
        said = f"{name} ${price.usd:g} a node, {price.kind}; {price.source}, {price.date}"
        yield f"  {doubt}{_text(said)}"
    if not costs.verified and all(price.verified for _, price in paid):
        yield "  * the on-demand prices of the most are not all verified"
    if paid:
        regions = " and ".join(catalog.REGIONS.values())
        yield f"  list prices of {regions}; other regions cost up to a third more"


def _queues(tenants: Sequence[Tenant]) -> Table:
    head = ("tenant", "pool", "held", "its own", "its cap", "borrowed", "lent", "waiting")
    table = _table("Queues: GPUs by tenant", (*head, "longest"))
    for tenant in tenants:
        for index, share in enumerate(tenant.shares):
            onprem, first = share.tier == "onprem", index == 0
            row = (
                tenant.name if first else "",
                share.pool,
                str(share.held),
                str(share.quota) if onprem else "",
                "" if onprem else str(share.quota),
                str(share.borrowed) if onprem else "",
                str(share.lent) if onprem else "",
                str(tenant.waiting) if first else "",
                _wait(tenant) if first else "",
            )
            table.add_row(*row)
    return table


def _wait(tenant: Tenant) -> str:
    return span(timedelta(seconds=tenant.longest_wait_seconds)) if tenant.waiting else ""


def _works(kind: str, works: Sequence[Work], now: datetime) -> Table | str:
    if not works:
        return f"nothing is {kind}" + (" on GPUs" if kind == "running" else "")
    waits = kind == "waiting"
    head = ("tenant", "what", "who or name", "GPUs")
    if waits:
        table = _table("Waiting: whose turn it is", ("#", *head, "for", "why"))
    else:
        table = _table("Running: who uses what", (*head, "pool", "for"))
    for number, work in enumerate(works, 1):
        row = (work.tenant, work.what, work.person or work.name, str(work.gpus))
        time = span(now - work.since)
        more = (time, work.reason) if waits else (", ".join(work.pools), time)
        table.add_row(*([str(number)] if waits else []), *map(_text, (*row, *more)))
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in TEXTS else "right", overflow="fold")
    return table


def _text(text: str) -> str:
    return escape(plain(text))
