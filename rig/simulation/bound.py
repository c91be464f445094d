"""The least of the cloud that anybody could have done with: what a replay is measured against.

With unbounded waiting no cloud is needed at all, so the bound asks for equal service: every piece
of work starts no earlier than it arrived and no later than it really did start, and runs on one
tier from then on. Within that, a scheduler that knew the future would choose. docs/simulation.md
has the definition and why the linear program is below every such scheduler.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from rig.errors import RigError
from rig.simulation.history import History
from rig.simulation.trace import Kind

SLOTS = 288
"""Spans over which on-prem use is averaged: five minutes of a day. More make the bound tighter."""


class BoundError(RigError):
    """A bound that could not be computed."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """A piece of work as the bound sees it."""

    gpus: int
    duration: float
    earliest: float
    """When it may start."""
    latest: float
    """When it must have started."""

    @property
    def area(self) -> float:
        """GPU-seconds."""
        return self.gpus * self.duration


@dataclass(frozen=True, kw_only=True)
class Bound:
    """GPU-hours of the trace."""

    least: float
    """No scheduler of equal service needs less of the cloud."""
    prompt: float
    """The same if notebooks must start when they arrive: people wait for them, jobs do not."""
    excess: float
    """What demand, as it really ran, exceeded on-prem by: the least for these very starts."""


def bound(history: History, slots: int = SLOTS) -> Bound:
    """The bounds of a replay."""
    capacity, demands = history.capacity, demands_of(history)
    prompt = demands_of(history, prompt=(Kind.NOTEBOOK,))
    return Bound(
        least=history.hours(least_cloud(demands, capacity, slots)),
        prompt=history.hours(least_cloud(prompt, capacity, slots)),
        excess=history.hours(history.demand().above(capacity)),
    )


def demands_of(history: History, prompt: Sequence[Kind] = ()) -> Sequence[Demand]:
    """What ran to its end: its trace's duration, and the window in which it may start.

    What a replay adds to durations is its own fault, so the optimum does without. A window never
    ends before it began, by however little a recorded start was early. Work of the kinds in
    ``prompt`` starts at its arrival.
    """
    return [
        Demand(
            gpus=run.work.all_gpus,
            duration=run.work.duration,
            earliest=run.work.arrival,
            latest=run.work.arrival
            if run.work.kind in prompt
            else max(run.work.arrival, run.started),
        )
        for run in history.runs
        if run.finished and run.started is not None
    ]


def least_cloud(demands: Sequence[Demand], capacity: int, slots: int = SLOTS) -> float:
    """A lower bound of the GPU-seconds that do not fit in ``capacity`` GPUs on-prem.

    A share ``x`` of each piece of work starts on-prem at each of its candidate moments, the rest
    goes to the cloud. In no slot may the shares take more than ``capacity`` on average. What is
    left in the cloud is made as small as can be.
    """
    if not demands:
        return 0.0
    edges = _edges(demands, slots)
    columns = [
        (i, at)
        for i, demand in enumerate(demands)
        if demand.gpus <= capacity  # What is larger has no place on-prem, not even a part of it.
        for at in candidates(demand, edges)
    ]
    total = sum(demand.area for demand in demands)
    if not columns:
        return total
    saved = np.array([demands[i].area for i, _ in columns])
    solved: Any = linprog(
        -saved,
        A_ub=_limits(demands, columns, edges),
        b_ub=np.concatenate([np.ones(len(demands)), capacity * np.diff(edges)]),
        bounds=(0, None),
        method="highs",
    )
    if not solved.success:
        raise BoundError(f"the linear program of the bound was not solved: {solved.message}")
    return max(0.0, total + float(solved.fun))


def candidates(demand: Demand, edges: np.ndarray) -> Iterator[float]:
    """Moments at which starts need to be considered, so that all others are mixtures of them.

    Between two of these, neither begin nor end of the work crosses an edge of a slot, so that its
    use of every slot is a straight line over its start: a start in between uses what a mixture
    of both neighbours uses.
    """
    crossings = np.concatenate([edges, edges - demand.duration])
    inside = crossings[(crossings > demand.earliest) & (crossings < demand.latest)]
    yield from np.unique([demand.earliest, demand.latest, *inside]).tolist()


def _edges(demands: Iterable[Demand], slots: int) -> np.ndarray:
    begin = min(d.earliest for d in demands)
    end = max(d.latest + d.duration for d in demands)
    return np.linspace(begin, end, slots + 1)


def _limits(
    demands: Sequence[Demand], columns: Sequence[tuple[int, float]], edges: np.ndarray
) -> Any:
    """A row for each piece of work, that no more than all of it runs; then one for each slot."""
    rows: list[np.ndarray] = []
    cols: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for column, (i, at) in enumerate(columns):
        used = overlaps(at, at + demands[i].duration, edges)
        slots = np.flatnonzero(used)
        rows += [np.array([i]), len(demands) + slots]
        cols.append(np.full(len(slots) + 1, column))
        values += [np.ones(1), demands[i].gpus * used[slots]]
    parts = (np.concatenate(rows), np.concatenate(cols))
    shape = (len(demands) + len(edges) - 1, len(columns))
    return coo_array((np.concatenate(values), parts), shape=shape).tocsr()


def overlaps(begin: float, end: float, edges: np.ndarray) -> np.ndarray:
    """Seconds of a span in each slot."""
    return np.clip(np.minimum(end, edges[1:]) - np.maximum(begin, edges[:-1]), 0, None)
