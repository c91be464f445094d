"""Results, and the part of docs/measurements.md that is written by machine.

Each benchmark owns one block of the page, so that running one leaves the others as they were. The
prose around the blocks is written by people.
"""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.errors import BenchmarkError
from rig import paths

PAGE = paths.ROOT / "docs" / "measurements.md"
GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number, and the goal it is held against if there is one."""

    what: str
    result: str
    goal: str = ""
    samples: str = ""
    """The single measurements behind a median."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one benchmark found."""

    rows: Sequence[Row]
    notes: Sequence[str] = ()
    """What a reader must know to judge the numbers, found out by this very run."""


def seconds(what: str, samples: Sequence[float], goal: float | None = None) -> Row:
    """A row with the median of ``samples``."""
    several = len(samples) > 1
    return Row(
        what=what,
        result=f"{statistics.median(samples):.1f} s",
        goal=f"≤ {goal:g} s" if goal is not None else "",
        samples=", ".join(f"{s:.1f}" for s in samples) if several else "",
    )


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The machine, and what else it did when the benchmark began."""

    when: datetime
    load: float
    others: Sequence[str]
    """Rigs that ran beside."""

    @classmethod
    def now(cls, own: str) -> "Conditions":
        """As they are now; ``own`` is the interface of the rig that is measured."""
        links = sorted(link.name for link in Path("/sys/class/net").glob("spw-*"))
        others = [name.removeprefix("spw-") for name in links if name != own]
        return cls(when=datetime.now(UTC), load=os.getloadavg()[0], others=others)

    def __str__(self) -> str:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
        cores = len(os.sched_getaffinity(0))
        beside = f"rigs running beside: {', '.join(self.others)}" if self.others else "no other rig"
        return (
            f"{self.when:%Y-%m-%d %H:%M} UTC, {cores} cores, {memory:.0f} GiB, "
            f"Linux {platform.release()}, Python {platform.python_version()}; "
            f"load average before: {self.load:.1f}, {beside}"
        )


def table(name: str, report: Report, conditions: Conditions) -> str:
    """The block of a benchmark."""
    rows = [f"| {r.what} | {r.goal} | {r.result} | {r.samples} |" for r in report.rows]
    notes = [f"- {note}" for note in report.notes]
    parts = [
        f"`.venv/bin/python -m benchmarks {name}` on {conditions}.",
        "\n".join(["| What | Goal | Result | Single runs |", "|---|---|---|---|", *rows]),
        "\n".join(notes),
    ]
    return "\n\n".join(part for part in parts if part)


def write(name: str, block: str, page: Path = PAGE) -> None:
    """Put the block in its place in the page; a new one goes to the end."""
    begin, end = f"<!-- {name}: generated -->", f"<!-- end of {name} -->"
    text = page.read_text()
    if begin not in text:
        text = f"{text.rstrip()}\n\n## {name}\n\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not closed:
        raise BenchmarkError(f"{page.name}: {begin} has no {end}")
    page.write_text(f"{before}{begin}\n{block}\n{end}{after}")
