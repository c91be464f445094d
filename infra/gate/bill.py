"""The report's section on costs."""

from collections import Counter
from collections.abc import Mapping, Sequence

from infra import catalog
from infra.catalog import Price
from infra.gate.ceiling import onprem
from infra.gate.findings import Findings
from infra.gate.floor import Line
from infra.gate.markdown import code, money, table


def bill(found: Findings, most: int) -> str:
    """The section of the report."""
    parts = ["### Costs", _floor_text(found, most), _ceiling_text(found, most)]
    parts += [_onprem_text(found), _sources(found)]
    return "\n\n".join(part for part in parts if part)


def _floor_text(found: Findings, most: int) -> str:
    before, after = found.floors
    budget = found.terms.budget.idle_per_month
    limit = f", budget {money(budget)}" if budget is not None else ", no budget set"
    if not found.plan.whole:
        change = after.usd - before.usd
        return (
            f"**Idle floor**: {'+' if change >= 0 else ''}{money(change)} a month; the plan does "
            f"not say what stays (make it with `--show-sames`), so the sum is not known{limit}."
        )
    change = after.usd - before.usd
    sign = "+" if change >= 0 else ""
    text = (
        f"**Idle floor** (nobody works): {money(before.usd)} → **{money(after.usd)}** a month "
        f"({sign}{money(change)}){limit}."
    )
    lines = [_merged(floor.lines) for floor in (before, after)]
    rows = [
        (code(what), money(lines[0].get(what, 0)), money(lines[1].get(what, 0)))
        for what in sorted(lines[0].keys() | lines[1].keys())
        if lines[0].get(what) or lines[1].get(what)
    ]
    if rows:
        text += f"\n\n{table(('What stands there', '$ before', '$ after'), rows, most)}"
    if after.by_use:
        text += (
            f"\n\n{after.by_use} resources cost by use alone and are not in the sum: "
            f"{_by_use(found.terms.cloud)}."
        )
    return text


def _merged(lines: Sequence[Line]) -> Mapping[str, float]:
    total: Counter[str] = Counter()
    count = Counter(line.what for line in lines)
    for line in lines:
        times = f"{count[line.what]} × " if count[line.what] > 1 else ""  # noqa: RUF001
        total[f"{times}{line.what}"] += line.usd  # pyright: ignore[reportArgumentType]
    return total


def _by_use(cloud: str) -> str:
    prices = [
        f"{name.partition(':')[2]} ${price.usd:g}"
        for name, price in catalog.BY_USE.items()
        if name.startswith(f"{cloud}:")
    ]
    return "; ".join(prices) or "no prices for this cloud"


def _ceiling_text(found: Findings, most: int) -> str:
    terms, top = found.terms, found.ceiling
    if terms.cloud not in catalog.CLOUDS:
        return "**Burst ceiling**: $0.00 an hour, because the stack uses no cloud."
    budget = terms.budget.burst_per_hour
    limit = f", budget {money(budget)}" if budget is not None else ", no budget set"
    text = (
        f"**Burst ceiling**: **{money(top.usd)}** an hour{limit}. Rule: every GPU of a tenant's "
        "`quota.gpu.burst` on a machine of its own, the dearest burst pool first, at the on-demand "
        "price even where the pool is spot; of the stack, the sum, but no more than all pools can "
        f"start ({money(top.capacity)}). Expected: machines filled up, the cheapest first, at spot "
        "prices where the pool is spot."
    )
    rows = [
        (
            code(name),
            str(tenant.quota.gpu.burst),
            money(top.tenants[name]),
            money(top.expected[name]),
        )
        for name, tenant in terms.tenants.items()
        if tenant.quota.gpu.burst
    ]
    if rows:
        head = ("Tenant", "Burst GPUs", "$ an hour at most", "$ an hour expected")
        text += f"\n\n{table(head, rows, most)}"
    pools = [
        f"{code(p.name)} up to {p.most} {code(p.machine.name)} at {money(p.hourly)}"
        + (f" (spot about {money(p.expected)})" if p.spot and p.machine.spot else "")
        for p in top.pools[:most]
    ]
    if pools:
        text += f"\n\nPools: {'; '.join(pools)}."
    if top.missing:
        text += "\n\n" + "\n".join(f"- ⚠️ no price for pool {code(m)}" for m in top.missing)
    return text


def _onprem_text(found: Findings) -> str:
    own = onprem(found.terms)
    said = (
        f"a default ({catalog.ONPREM_GPU_HOUR.source}; set `spillway:prices.onpremGpuHour`)"
        if own.assumed
        else "from `spillway:prices.onpremGpuHour`"
    )
    text = (
        f"**On-prem**: {own.gpus} GPUs at {money(own.hourly)} an hour each, {said}: "
        f"{money(own.gpus * own.hourly)} an hour, {money(own.gpus * own.hourly * 730)} a month. "
        "It is spent whether they work or not, and is in neither sum above."
    )
    held = [f"{code(name)} {money(usd)}" for name, usd in list(own.tenants.items())[:10] if usd]
    return f"{text} By tenant, the whole quota by the hour: {', '.join(held)}." if held else text


def _sources(found: Findings) -> str:
    used: list[Price] = [
        p for floor in found.floors for line in floor.lines if line.usd for p in line.prices
    ]
    used += [pool.machine.on_demand for pool in found.ceiling.pools]
    used += [pool.machine.spot for pool in found.ceiling.pools if pool.spot and pool.machine.spot]
    if not used:
        return ""
    kinds = sorted({(not p.verified, p.date, p.source) for p in used if p.usd})
    lines = [
        f"- {source}, {date}{' (**unverified**)' if unverified else ''}"
        for unverified, date, source in kinds
    ]
    regions = " and ".join(catalog.REGIONS.values())
    return (
        f"<details><summary>List prices of {regions}, without taxes and discounts; other regions "
        f"cost up to a third more. Sources</summary>\n\n" + "\n".join(lines) + "\n\n</details>"
    )
