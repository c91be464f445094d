"""The report of replays side by side: Markdown with plots beside it.

All amounts are the trace's: hours as people lived them, not the minutes of the replay. Nothing is
judged here that ``promises`` or ``bound`` does not say.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infra.catalog import ACCELERATORS, ONPREM_GPU_HOUR, Absent, CloudName
from rig.errors import RigError
from rig.simulation.bound import Bound
from rig.simulation.history import History, Steps, Tier
from rig.simulation.promises import Tolerance, broken

GOAL: Final = 1.25
"""Cloud GPU-hours that are paid, for each that the bound says nobody could save."""
SHOWN: Final = 5
"""Broken promises of a kind that are written out; the others are counted."""
COLOURS: Final = {"onprem": "#2b6cb0", "burst": "#dd6b20", "grey": "#718096"}
STYLE: Final[Any] = {"svg.hashsalt": "spillway", "svg.fonttype": "none"}
"""The same history gives the same file, with text that can be searched."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """One way to run the trace, and what it is held against."""

    history: History
    bound: Bound
    prices: Mapping[str, float]
    """US dollars an hour of a node, by its pool; see ``node_price``."""
    tolerance: Tolerance
    promises: bool = True
    """Whether it is ours; what it is compared with promises nothing."""

    @property
    def ratio(self) -> float | None:
        """Paid cloud GPU-hours by those of the bound; None where the bound is nothing."""
        least = self.bound.least
        return self.history.cloud_gpu_hours() / least if least > 1e-9 else None  # noqa: PLR2004

    @property
    def cost(self) -> float:
        """US dollars paid to the cloud."""
        return self.history.cloud_cost(self.prices)


def node_price(cloud: CloudName, accelerator: str, gpus: int, spot: bool) -> float:
    """US dollars an hour of a cloud's machine with that many GPUs, by infra/catalog.py."""
    machines = ACCELERATORS[accelerator].machines(cloud)
    if isinstance(machines, Absent):
        raise RigError(f"{accelerator} on {cloud} has no price: {machines.reason}")
    for machine in machines:
        price = machine.spot if spot else machine.on_demand
        if machine.gpus == gpus and price is not None:
            return price.usd
    kind = "spot" if spot else "on-demand"
    raise RigError(f"infra/catalog.py has no {kind} price of {gpus} {accelerator} on {cloud}")


def write(folder: Path, replays: Sequence[Replay], title: str) -> Path:
    """Write report.md and its plots into a folder; the first replay is ours."""
    if not replays:
        raise RigError("a report needs a replay")
    folder.mkdir(parents=True, exist_ok=True)
    plots: Mapping[str, Callable[[Figure, Sequence[Replay]], None]] = {
        "use": _draw_use,
        "waiting": _draw_waiting,
        "cost": _draw_cost,
    }
    for name, draw in plots.items():
        _save(folder / f"{name}.svg", draw, replays)
    page = folder / "report.md"
    page.write_text(text(replays, title), encoding="utf-8")
    return page


def text(replays: Sequence[Replay], title: str) -> str:
    """The page."""
    ours = replays[0].history
    summary = ours.trace.summary()
    parts = [
        f"# {title}",
        f"{summary.works} pieces of work of {len(summary.tenants)} tenants, "
        f"{ours.hours(summary.gpu_hours * 3600):.0f} GPU-hours; {ours.capacity} GPUs on-prem; "
        f"{ours.factor:g} seconds of the trace in each of the replay.",
        _table(replays),
        "Paid counts a cloud node from its creation to its deletion. The bound is what a scheduler "
        "that knew the future would have needed at least, if no work had started later than it "
        f"did (docs/simulation.md says how); the goal is at most {GOAL}.",
        "![GPUs in use](use.svg)",
        "## Waiting, in minutes of the trace",
        _waiting(replays),
        "![Waiting by tenant](waiting.svg)",
        "## Cost",
        "![Cost](cost.svg)",
        "## Promises",
        *(_promises(replay) for replay in replays if replay.promises),
        *_notes(replays),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(replays: Sequence[Replay]) -> str:
    rows: list[tuple[str, Callable[[Replay], str]]] = [
        ("cloud GPU-hours paid", lambda r: f"{r.history.cloud_gpu_hours():.1f}"),
        ("of these with work on them", lambda r: f"{r.history.cloud_gpu_hours_used():.1f}"),
        ("bound", lambda r: f"{r.bound.least:.1f}"),
        ("bound, notebooks at once", lambda r: f"{r.bound.prompt:.1f}"),
        ("demand above on-prem, as it ran", lambda r: f"{r.bound.excess:.1f}"),
        ("**paid by bound**", lambda r: _ratio(r.ratio)),
        ("cloud, $", lambda r: f"{r.cost:.2f}"),
        ("cloud nodes at most", lambda r: f"{r.history.standing(Tier.BURST).highest:.0f}"),
        ("on-prem GPUs in use, mean", lambda r: f"{_busy(r.history):.0%}"),
        ("first cloud node, on-prem in use then", lambda r: _first(r.history)),
        ("work finished", lambda r: _finished(r.history)),
    ]
    head = ["", *(r.history.name for r in replays)]
    return _markdown(head, [[what, *(say(r) for r in replays)] for what, say in rows])


def _ratio(ratio: float | None) -> str:
    return "none needed" if ratio is None else f"**{ratio:.2f}**"


def _busy(history: History) -> float:
    """Share of on-prem GPU time in use from the first submission to the last end of work."""
    begin = min(history.submitted.values(), default=0.0)
    end = max((r.ended for r in history.runs if r.ended is not None), default=begin)
    available = history.capacity * (end - begin)
    return history.used(Tier.ONPREM).above() / available if available else 0.0


def _first(history: History) -> str:
    ups = [node.up for node in history.nodes.values() if node.tier is Tier.BURST]
    if not ups:
        return "never"
    at = min(ups)
    used = history.claimed(Tier.ONPREM).at(at)
    return f"{history.hours(at):.1f} h, {used:.0f} of {history.capacity}"


def _finished(history: History) -> str:
    done = sum(run.finished for run in history.runs)
    return f"{done} of {len(history.works)}"


def _waiting(replays: Sequence[Replay]) -> str:
    histories = [replay.history for replay in replays]
    works = histories[0].trace.works
    waits: dict[str, Callable[[History], Sequence[float]]] = {
        tenant: lambda h, tenant=tenant: h.waits(tenant)
        for tenant in sorted({w.tenant for w in works})
    }
    waits["**all**"] = lambda h: h.waits()
    if lent := sum(histories[0].lent(work) for work in works):
        waits["within its tenant's share"] = lambda h: h.waits(lent=False)
        waits[f"above its tenant's share ({lent} pieces)"] = lambda h: h.waits(lent=True)
    rows = [[what, *(_spread(of(h)) for h in histories)] for what, of in waits.items()]
    return _markdown(["median / p95 / longest", *(h.name for h in histories)], rows)


def _spread(waits: Sequence[float]) -> str:
    """Of sorted waits."""
    if not waits:
        return "none"
    high = statistics.quantiles(waits, n=100, method="inclusive")[94] if waits[1:] else waits[0]
    return f"{statistics.median(waits):.0f} / {high:.0f} / {waits[-1]:.0f}"


def _promises(replay: Replay) -> str:
    lines: list[str] = []
    for promise, breaches in broken(replay.history, replay.tolerance).items():
        lines.append(f"- {promise}: {f'**broken {len(breaches)} times**' if breaches else 'kept'}")
        lines += [f"  - {breach}" for breach in breaches[:SHOWN]]
        if len(breaches) > SHOWN:
            lines.append(f"  - and {len(breaches) - SHOWN} more")
    return "\n".join([f"{replay.history.name}:", "", *lines])


def _notes(replays: Sequence[Replay]) -> list[str]:
    lines = [
        f"- {replay.history.name}, {what}: {value}"
        for replay in replays
        for what, value in replay.history.notes.items()
    ]
    return ["## Notes", "\n".join(lines)] if lines else []


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# -- plots -----------------------------------------------------------------------------------------


def _save(
    file: Path, draw: Callable[[Figure, Sequence[Replay]], None], replays: Sequence[Replay]
) -> None:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.6 * (len(replays) if draw is _draw_use else 1.4)))
        draw(figure, replays)
        figure.tight_layout()
        figure.savefig(file, metadata={"Date": None})


def _draw_use(figure: Figure, replays: Sequence[Replay]) -> None:
    panels = figure.subplots(len(replays), 1, sharex=True, sharey=True, squeeze=False)
    for axes, replay in zip(panels[:, 0], replays, strict=True):
        history = replay.history
        onprem, burst = history.used(Tier.ONPREM), history.used(Tier.BURST)
        paid = history.standing(Tier.BURST, gpus=True)
        _line(axes, history, onprem, label="on-prem, in use", color=COLOURS["onprem"])
        _line(axes, history, burst, label="cloud, in use", color=COLOURS["burst"])
        _line(axes, history, paid, label="cloud, paid", color=COLOURS["burst"], ls="--")
        axes.axhline(history.capacity, color=COLOURS["grey"], lw=0.7)
        axes.set_title(history.name, loc="left", fontsize=10)
        axes.set_ylabel("GPUs")
    panels[0, 0].legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, ncols=3)
    panels[-1, 0].set_xlabel("hours of the trace")


def _line(axes: Axes, history: History, steps: Steps, **style: Any) -> None:
    hours = [0.0, *(history.hours(at) for at in steps.times)]
    axes.step(hours, [0.0, *steps.values], where="post", lw=1.2, **style)


def _draw_waiting(figure: Figure, replays: Sequence[Replay]) -> None:
    """The share of each tenant's work that had started by then."""
    panels = figure.subplots(1, len(replays), sharey=True, sharex=True, squeeze=False)
    tenants = sorted({w.tenant for w in replays[0].history.trace.works})
    for axes, replay in zip(panels[0], replays, strict=True):
        for tenant in tenants:
            if waits := replay.history.waits(tenant):
                axes.ecdf(waits, label=tenant, lw=1.2)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(left=0)
        axes.set_title(replay.history.name, loc="left", fontsize=10)
        axes.set_xlabel("minutes waited")
    panels[0, 0].set_ylabel("share of the work")
    panels[0, -1].legend(loc="lower right", fontsize=8)


def _draw_cost(figure: Figure, replays: Sequence[Replay]) -> None:
    axes = figure.subplots()
    names = [replay.history.name for replay in replays]
    cloud = [replay.cost for replay in replays]
    own = [
        replay.history.hours(replay.history.standing(Tier.ONPREM, gpus=True).above())
        * ONPREM_GPU_HOUR.usd
        for replay in replays
    ]
    axes.barh(names, own, color=COLOURS["onprem"], label="on-prem, in use or not")
    axes.barh(names, cloud, left=own, color=COLOURS["burst"], label="cloud")
    axes.set_xlabel("US dollars")
    axes.invert_yaxis()
    axes.legend(fontsize=8)
