"""What a replay records, and what follows from it: use, waiting, cost, and broken promises.

Events alone are recorded, in seconds since the replay began; all else is derived, so that a
history in a file can be judged anew by better rules. Times are the replay's own: ``factor`` says
how many seconds of the trace went by in each, and amounts (GPU-hours, dollars) are the trace's.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.simulation.trace import HOUR, Kind, Trace, Work


class HistoryError(RigError):
    """Events that no replay can have had, or a file that is no history."""


class Tier(StrEnum):
    """Whose machine it is."""

    ONPREM = "onprem"
    BURST = "burst"


class What(StrEnum):
    """What happened to a piece of work, or to a node."""

    SUBMITTED = "submitted"
    ADMITTED = "admitted"
    STARTED = "started"
    EVICTED = "evicted"
    FINISHED = "finished"
    NODE_UP = "node-up"
    """Created: a cloud bills from here on."""
    NODE_READY = "node-ready"
    NODE_DOWN = "node-down"
    """Deleted: a cloud bills until here."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened."""

    at: float
    what: What
    work: str = ""
    """Name of the work; empty for nodes."""
    tier: Tier | None = None
    """Of an admission: where the queue sends it. Of a node: whose it is."""
    nodes: tuple[str, ...] = ()
    """Of a start: one for each pod, in any order. Of a node's events: itself."""
    gpus: int = 0
    """Of a node that comes up."""
    pool: str = ""
    """Of a node that comes up; names its price."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """GPUs that a tenant may hold at a time."""

    onprem: int
    """Its own; idle ones of others are lent to it."""
    burst: int
    """Its cap, never lent."""
    borrow: int | None = None
    """How many of others it may hold at most; None for all that are idle."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine and its life."""

    name: str
    tier: Tier
    gpus: int
    pool: str
    up: float
    ready: float | None = None
    down: float | None = None
    """None if it outlived the replay."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One try of a piece of work, from its admission on; evicted work has several."""

    work: Work
    tier: Tier
    claimed: float
    """When it was admitted; where there is no queue, when it started."""
    started: float | None
    nodes: tuple[str, ...]
    ended: float | None
    finished: bool


@dataclass(frozen=True)
class Steps:
    """A number over time that jumps: ``values[i]`` from ``times[i]`` on, before that zero."""

    times: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, spans: Iterable[tuple[float, float, float]]) -> "Steps":
        """The sum of (begin, end, amount); what ends at a moment ends before what begins then."""
        changes: dict[float, float] = {}
        for begin, end, amount in spans:
            if end > begin:
                changes[begin] = changes.get(begin, 0) + amount
                changes[end] = changes.get(end, 0) - amount
        times = sorted(changes)
        values: list[float] = []
        for at in times:
            values.append((values[-1] if values else 0) + changes[at])
        return cls(tuple(times), tuple(values))

    def at(self, time: float) -> float:
        """Its value at a moment."""
        index = bisect_right(self.times, time) - 1
        return self.values[index] if index >= 0 else 0.0

    @property
    def highest(self) -> float:
        """Its greatest value."""
        return max(self.values, default=0.0)

    def above(self, level: float = 0.0) -> float:
        """What of the area under it is above a level: amount times seconds."""
        spans = zip(self.times, self.times[1:], self.values, strict=False)
        return sum((end - begin) * max(0.0, value - level) for begin, end, value in spans)


@dataclass(frozen=True, kw_only=True)
class History:
    """A replay, from its first event to its last."""

    name: str
    """What was tried, as reports call it."""
    trace: Trace
    """As it was replayed: with the times of the replay."""
    factor: float
    """Seconds of the original trace in each second of the replay."""
    shares: Mapping[str, Share]
    events: tuple[Event, ...]
    ended: float
    """When recording stopped."""
    notes: Mapping[str, str] = field(default_factory=lambda: {})
    """Settings and measurements that a reader of the report should see."""

    @cached_property
    def works(self) -> Mapping[str, Work]:
        """Pieces of work by their names."""
        return {work.name: work for work in self.trace.works}

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """Every node that there was; a name is not used twice."""
        lives: dict[str, dict[str, Any]] = {}
        for event in self.events:
            if event.what is What.NODE_UP:
                (name,) = event.nodes
                if name in lives or event.tier is None:
                    raise HistoryError(f"{self.name}: node {name} comes up twice, or has no tier")
                lives[name] = {
                    "tier": event.tier, "gpus": event.gpus, "pool": event.pool, "up": event.at
                }  # fmt: skip
            elif event.what in (What.NODE_READY, What.NODE_DOWN):
                (name,) = event.nodes
                if name not in lives:
                    raise HistoryError(f"{self.name}: node {name} was never up")
                lives[name]["ready" if event.what is What.NODE_READY else "down"] = event.at
        return {name: Node(name=name, **life) for name, life in lives.items()}

    @cached_property
    def runs(self) -> Sequence[Run]:
        """Every try of every piece of work, in the order in which they were admitted."""
        found: list[Run] = []
        for name, work in self.works.items():
            found += _runs(self, work, [e for e in self.events if e.work == name])
        return sorted(found, key=lambda run: run.claimed)

    @cached_property
    def submitted(self) -> Mapping[str, float]:
        """When each piece of work was handed in."""
        return {e.work: e.at for e in self.events if e.what is What.SUBMITTED}

    @cached_property
    def started(self) -> Mapping[str, float]:
        """When each piece of work started for the last time, by name."""
        return {r.work.name: r.started for r in self.runs if r.started is not None}

    # -- over time ---------------------------------------------------------------------------------

    def used(self, tier: Tier, tenant: str | None = None) -> Steps:
        """GPUs of a tier that pods run on; those of one tenant, or of all."""
        return Steps.of(
            (run.started, self._end(run), run.work.gpus * self._pods_on(run, tier))
            for run in self.runs
            if run.started is not None and tenant in (None, run.work.tenant)
        )

    def claimed(self, tier: Tier, tenant: str | None = None) -> Steps:
        """GPUs of a tier that are promised to work, started or not; of one tenant, or of all."""
        return Steps.of(
            (run.claimed, self._end(run), run.work.all_gpus)
            for run in self.runs
            if run.tier is tier and tenant in (None, run.work.tenant)
        )

    def demand(self) -> Steps:
        """GPUs that work ran on, wherever it ran."""
        return Steps.of(
            (run.started, self._end(run), run.work.all_gpus)
            for run in self.runs
            if run.started is not None
        )

    def standing(self, tier: Tier, gpus: bool = False) -> Steps:
        """Nodes of a tier, or their GPUs, from creation to deletion."""
        return Steps.of(
            (node.up, self.ended if node.down is None else node.down, node.gpus if gpus else 1)
            for node in self.nodes.values()
            if node.tier is tier
        )

    # -- amounts -----------------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """GPUs on-prem."""
        return sum(node.gpus for node in self.nodes.values() if node.tier is Tier.ONPREM)

    def hours(self, seconds: float) -> float:
        """Hours of the trace in seconds of the replay."""
        return seconds * self.factor / HOUR

    def cloud_gpu_hours(self) -> float:
        """What is paid: all GPUs of every cloud node from its creation to its deletion."""
        return self.hours(self.standing(Tier.BURST, gpus=True).above())

    def cloud_gpu_hours_used(self) -> float:
        """What work ran on of that."""
        return self.hours(self.used(Tier.BURST).above())

    def cloud_cost(self, prices: Mapping[str, float]) -> float:
        """US dollars, by the hourly prices of a node in each pool."""
        total = 0.0
        for node in self.nodes.values():
            if node.tier is Tier.BURST:
                if node.pool not in prices:
                    raise HistoryError(f"{self.name}: pool {node.pool!r} has no price")
                end = self.ended if node.down is None else node.down
                total += self.hours(end - node.up) * prices[node.pool]
        return total

    def lent(self, work: Work) -> bool:
        """Whether it wants more of the company's GPUs than are its tenant's own."""
        share = self.shares.get(work.tenant)
        return share is not None and work.all_gpus > share.onprem

    def waits(
        self, tenant: str | None = None, kind: Kind | None = None, *, lent: bool | None = None
    ) -> Sequence[float]:
        """Minutes of the trace from submission to start, shortest first; of what did start.

        Of a tenant, of a kind, of work that is or is not ``lent``; all of it where nothing is said.
        """

        def chosen(work: Work) -> bool:
            return (
                tenant in (None, work.tenant)
                and kind in (None, work.kind)
                and lent in (None, self.lent(work))
            )

        return sorted(
            (at - self.submitted[name]) * self.factor / 60
            for name, at in self.started.items()
            if chosen(self.works[name])
        )

    # -- in a file ---------------------------------------------------------------------------------

    def save(self, file: Path) -> None:
        """Write it as JSON."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["trace"] = [asdict(work) for work in self.trace.works]
        plain["shares"] = {name: asdict(share) for name, share in self.shares.items()}
        plain["events"] = [_sparse(event) for event in self.events]
        file.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> "History":
        """Read what ``save`` wrote."""
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
            works = (Work(**{**work, "kind": Kind(work["kind"])}) for work in plain["trace"])
            shares = {name: Share(**share) for name, share in plain["shares"].items()}
            events = tuple(_event(event) for event in plain["events"])
            return cls(
                **{**plain, "trace": Trace(tuple(works)), "shares": shares, "events": events}
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise HistoryError(f"{file}: not a history: {error!r}") from None

    # ----------------------------------------------------------------------------------------------

    def _end(self, run: Run) -> float:
        return self.ended if run.ended is None else run.ended

    def _pods_on(self, run: Run, tier: Tier) -> int:
        return sum(self.nodes[name].tier is tier for name in run.nodes)


def _sparse(event: Event) -> dict[str, Any]:
    return {
        key: value for key, value in asdict(event).items() if value not in ("", None, 0, ())
    } | {"at": event.at}


def _event(plain: Mapping[str, Any]) -> Event:
    tier = plain.get("tier")
    return Event(
        **{
            **plain,
            "what": What(plain["what"]),
            "tier": None if tier is None else Tier(tier),
            "nodes": tuple(plain.get("nodes", ())),
        }
    )


def _runs(history: History, work: Work, events: Sequence[Event]) -> list[Run]:
    """The tries of one piece of work: a try ends with its finish, or with an eviction."""
    found: list[Run] = []
    now: dict[str, Any] = {}
    for event in sorted(events, key=lambda e: e.at):
        if event.what is What.ADMITTED:
            if now:
                found.append(_run(history, work, now, None, finished=False))
            now = {"claimed": event.at, "tier": event.tier}
        elif event.what is What.STARTED:
            if len(event.nodes) != work.pods:
                raise HistoryError(f"{history.name}: {work.name} started on {event.nodes}")
            now = {"claimed": event.at, **now, "started": event.at, "nodes": event.nodes}
        elif event.what in (What.FINISHED, What.EVICTED) and now:
            done = event.what is What.FINISHED
            found.append(_run(history, work, now, event.at, finished=done))
            now = {}
    return [*found, _run(history, work, now, None, finished=False)] if now else found


def _run(
    history: History, work: Work, now: Mapping[str, Any], ended: float | None, *, finished: bool
) -> Run:
    nodes: tuple[str, ...] = now.get("nodes", ())
    tier = now.get("tier")
    if tier is None:
        tiers = {history.nodes[name].tier for name in nodes}
        tier = Tier.BURST if Tier.BURST in tiers else Tier.ONPREM
    return Run(
        work=work,
        tier=tier,
        claimed=now["claimed"],
        started=now.get("started"),
        nodes=nodes,
        ended=ended,
        finished=finished,
    )
