"""Traces: what arrives at a platform in a day, as CSV that people can write themselves.

Owns the format, which docs/simulation.md describes. Knows no cluster: how a trace is replayed is
``fleet``'s business, what came of it is in ``history``.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from rig.errors import RigError

HOUR: Final = 3600.0
SIZES: Final = (1, 2, 4, 8)
"""GPUs that a pod may ask for: machines have eight, and other sizes leave holes in them."""
MOST_PODS: Final = 64
COLUMNS: Final = ("arrival_seconds", "tenant", "kind", "gpus", "duration_seconds")
OPTIONAL: Final = ("name", "pods")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
"""A label that leaves room for what Kubernetes appends to the names of a job's pods."""
NAMES = "lower-case letters, digits and '-', at most 53"


class TraceError(RigError):
    """A trace that cannot be read."""


class Kind(StrEnum):
    """What a piece of work is to the person who wants it."""

    JOB = "job"
    NOTEBOOK = "notebook"


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job, or a session with a notebook."""

    name: str
    arrival: float
    """Seconds since the trace began."""
    tenant: str
    kind: Kind
    gpus: int
    """Of each pod."""
    duration: float
    """Seconds that it runs once all its pods do."""
    pods: int = 1
    """Started together or not at all."""

    @property
    def all_gpus(self) -> int:
        """Of all its pods."""
        return self.gpus * self.pods

    @property
    def gpu_seconds(self) -> float:
        """What it takes in all."""
        return self.all_gpus * self.duration


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A trace in numbers."""

    works: int
    hours: float
    """From the beginning to the last arrival."""
    gpu_hours: float
    kinds: Mapping[Kind, int]
    sizes: Mapping[int, int]
    """Pieces of work by the GPUs of one pod."""
    tenants: Mapping[str, float]
    """GPU-hours."""

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}s" for kind, count in self.kinds.items())
        sizes = ", ".join(f"{count} of {size}" for size, count in self.sizes.items())
        return (
            f"{self.works} pieces of work ({kinds}) in {self.hours:.1f} h, "
            f"{self.gpu_hours:.0f} GPU-hours; GPUs of a pod: {sizes}"
        )


@dataclass(frozen=True)
class Trace:
    """Pieces of work in the order of their arrival."""

    works: tuple[Work, ...]

    def first(self, hours: float) -> "Trace":
        """What arrives in the first hours: a short replay for tests."""
        return Trace(tuple(w for w in self.works if w.arrival < hours * HOUR))

    def compress(self, factor: float) -> "Trace":
        """The same in a fraction of the time: arrivals and durations divided by ``factor``."""
        if not (math.isfinite(factor) and factor > 0):
            raise TraceError(
                f"a trace cannot be compressed by {factor}: allowed are numbers over 0"
            )
        return Trace(
            tuple(
                replace(w, arrival=w.arrival / factor, duration=w.duration / factor)
                for w in self.works
            )
        )

    def summary(self) -> Summary:
        """Itself in numbers."""
        works = self.works
        return Summary(
            works=len(works),
            hours=max((w.arrival for w in works), default=0) / HOUR,
            gpu_hours=sum(w.gpu_seconds for w in works) / HOUR,
            kinds={k: sum(w.kind is k for w in works) for k in Kind},
            sizes={s: sum(w.gpus == s for w in works) for s in SIZES},
            tenants={
                t: sum(w.gpu_seconds for w in works if w.tenant == t) / HOUR
                for t in sorted({w.tenant for w in works})
            },
        )


@dataclass(frozen=True)
class _Row:
    """One line of a file, and how to complain about it."""

    file: str
    line: int
    cells: Mapping[str, str]

    def wrong(self, column: str, allowed: str) -> TraceError:
        value = self.cells.get(column, "")
        return TraceError(
            f"{self.file}, line {self.line}, column {column}: {value!r} is not {allowed}"
        )

    def seconds(self, column: str, least: float, allowed: str) -> float:
        try:
            value = float(self.cells[column])
        except ValueError:
            raise self.wrong(column, allowed) from None
        if not (math.isfinite(value) and value >= least):
            raise self.wrong(column, allowed)
        return value

    def whole(self, column: str, choices: Sequence[int], allowed: str) -> int:
        text = self.cells[column]
        if not (text.isascii() and text.isdecimal() and int(text) in choices):
            raise self.wrong(column, allowed)
        return int(text)

    def label(self, column: str) -> str:
        text = self.cells[column]
        if not NAME.fullmatch(text):
            raise self.wrong(column, NAMES)
        return text


def read(file: Path) -> Trace:
    """The trace in a file; ``TraceError`` of one line for the first thing that is wrong."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{file}: cannot be read: {error}") from None
    return parse(text, file.name)


def parse(text: str, file: str = "trace") -> Trace:
    """The trace in a text; ``file`` is what errors call it."""
    works: list[Work] = []
    taken: dict[str, int] = {}
    for row in _rows(text, file):
        work = _work(row)
        if before := taken.get(work.name):
            raise row.wrong("name", f"a name of its own: line {before} has it too")
        if works and work.arrival < works[-1].arrival:
            raise row.wrong(
                "arrival_seconds", f"at least that of the line before, {works[-1].arrival:g}"
            )
        taken[work.name] = row.line
        works.append(work)
    if not works:
        raise TraceError(f"{file}: no work in it: a line for each piece must follow the header")
    return Trace(tuple(works))


def _rows(text: str, file: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = next(reader, [])
        _check_header(header, file)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise TraceError(
                    f"{file}, line {reader.line_num}: {len(cells)} values, "
                    f"but the header has {len(header)} columns"
                )
            stripped = (cell.strip() for cell in cells)
            yield _Row(file, reader.line_num, dict(zip(header, stripped, strict=True)))
    except csv.Error as error:
        raise TraceError(f"{file}, line {reader.line_num}: not CSV: {error}") from None


def _check_header(header: Sequence[str], file: str) -> None:
    allowed = f"allowed are {', '.join(COLUMNS)}, and if need be {' and '.join(OPTIONAL)}"
    for column in header:
        if column not in COLUMNS + OPTIONAL:
            raise TraceError(f"{file}, line 1: unknown column {column!r}: {allowed}")
        if header.count(column) > 1:
            raise TraceError(f"{file}, line 1: column {column!r} twice: {allowed}")
    if missing := [column for column in COLUMNS if column not in header]:
        raise TraceError(f"{file}, line 1: column {missing[0]!r} is missing: {allowed}")


def _work(row: _Row) -> Work:
    tenant = row.label("tenant")
    if row.cells["kind"] not in list(Kind):
        raise row.wrong("kind", f"one of {', '.join(Kind)}")
    kind = Kind(row.cells["kind"])
    pods = 1
    if row.cells.get("pods"):
        pods = row.whole("pods", range(1, MOST_PODS + 1), f"a whole number from 1 to {MOST_PODS}")
        if kind is Kind.NOTEBOOK and pods > 1:
            raise row.wrong("pods", "1, which all notebooks have")
    return Work(
        name=row.label("name") if row.cells.get("name") else f"{kind}-{row.line:05}",
        arrival=row.seconds("arrival_seconds", 0, "a number of seconds, 0 or more"),
        tenant=tenant,
        kind=kind,
        gpus=row.whole("gpus", SIZES, f"one of {', '.join(map(str, SIZES))}"),
        duration=row.seconds("duration_seconds", 1, "a number of seconds, 1 or more"),
        pods=pods,
    )


def text_of(trace: Trace) -> str:
    """The trace as ``parse`` reads it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS + OPTIONAL)
    for w in trace.works:
        writer.writerow(
            (f"{w.arrival:.15g}", w.tenant, w.kind, w.gpus, f"{w.duration:.15g}", w.name, w.pods)
        )
    return out.getvalue()
