"""What the platform promises of every replay; each function returns where that was broken.

Nothing here trusts what the queue said of itself: promises are held against the claims and nodes
that the history recorded. Times in the answers are the replay's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rig.simulation.history import History, Run, Steps, Tier


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How much later than at once something may happen, in seconds of the replay."""

    decision: float = 2.0
    """From a change to the queue's decision that takes it into account."""
    record: float = 1.0
    """Of one event's time against another's: Kubernetes writes whole seconds."""
    unneeded: float = 30.0
    """Of a cloud node, from the end of the last work to the node's deletion."""
    wait: float = 600.0
    """From submission to start."""


def broken(history: History, tolerance: Tolerance) -> Mapping[str, Sequence[str]]:
    """Every promise by its name, with what broke it."""
    return {
        "work that fits on-prem goes on-prem": went_to_the_cloud_early(history, tolerance.decision),
        "no tenant holds more cloud GPUs than its cap": above_cap(history, tolerance.record),
        "no cloud node outlives the work by more than the unneeded time": left_over(
            history, tolerance.unneeded
        ),
        "no work within its tenant's share waits longer than allowed": starved(
            history, tolerance.wait
        ),
        "all work is finished": unfinished(history),
    }


def went_to_the_cloud_early(history: History, decision: float = 0.0) -> Sequence[str]:
    """Work sent to the cloud although it fitted on-prem.

    It fitted if, without a break in the ``decision`` seconds before its admission, the cohort had
    quota left for it, its tenant was allowed to take that much, and the free GPUs of single nodes
    had room for each of its pods. A node's GPUs count as taken from the admission of the work that
    was to start there, not from its start: between the two they are promised. What was admitted
    in the same moment counts as before it, for moments are recorded coarsely.
    """
    return [
        f"{run.work.name} of {run.work.tenant}, {run.work.pods} pods with {run.work.gpus} GPUs "
        f"each, went to the cloud at {run.claimed:.1f} s while it fitted on-prem"
        for run in history.runs
        if run.tier is Tier.BURST
        and all(_fits(history, run, at) for at in _moments(history, run, decision))
    ]


def _moments(history: History, run: Run, decision: float) -> Iterator[float]:
    """When the answer may have changed: at claims' begins and ends, and where the span begins."""
    begin = run.claimed - decision
    # What fitted before the work was there fitted nobody.
    begin = max(begin, history.submitted.get(run.work.name, begin))
    yield begin
    yield run.claimed
    for other in history.runs:
        for at in (other.claimed, other.ended):
            if at is not None and begin < at < run.claimed:
                yield at


def _fits(history: History, run: Run, at: float) -> bool:
    """Whether a run that went elsewhere had had its place on-prem at a moment."""
    there = [
        other
        for other in history.runs
        if other is not run
        and other.tier is Tier.ONPREM
        and other.claimed <= at
        and (other.ended is None or at < other.ended)
    ]
    return _within_quota(history, run, there) and _has_room(history, run, there, at)


def _within_quota(history: History, run: Run, there: Iterable[Run]) -> bool:
    held = dict.fromkeys(history.shares, 0)
    for other in there:
        held[other.work.tenant] = held.get(other.work.tenant, 0) + other.work.all_gpus
    need, share = run.work.all_gpus, history.shares.get(run.work.tenant)
    if sum(held.values()) + need > sum(share.onprem for share in history.shares.values()):
        return False
    if share is None or share.borrow is None:
        return True
    return held[run.work.tenant] + need <= share.onprem + share.borrow


def _has_room(history: History, run: Run, there: Iterable[Run], at: float) -> bool:
    """All pods of a run ask for the same, so that counting places on each node is exact."""
    free = {
        node.name: node.gpus
        for node in history.nodes.values()
        if node.tier is Tier.ONPREM and node.up <= at and (node.down is None or at < node.down)
    }
    for other in there:
        for name in other.nodes:
            if name in free:
                free[name] -= other.work.gpus
    return sum(max(0, gpus) // run.work.gpus for gpus in free.values()) >= run.work.pods


def above_cap(history: History, record: float = 0.0) -> Sequence[str]:
    """Spans longer than ``record`` in which a tenant held more cloud GPUs than it may.

    Both count: what the queue promised, and what pods ran on whatever the queue promised.
    """
    found: list[str] = []
    for tenant, share in history.shares.items():
        kinds = {"claimed": history.claimed(Tier.BURST, tenant)}
        kinds["ran on"] = history.used(Tier.BURST, tenant)
        for verb, steps in kinds.items():
            found += [
                f"{tenant} {verb} {most:.0f} cloud GPUs from {begin:.1f} to {end:.1f} s; "
                f"its cap is {share.burst}"
                for begin, end, most in _over(steps, share.burst)
                if end - begin > record
            ]
    return found


def _over(steps: Steps, level: float) -> Iterator[tuple[float, float, float]]:
    """Begin, end and greatest value of every span without a break above a level."""
    begin, most = None, 0.0
    for at, value in zip(steps.times, steps.values, strict=True):
        if value > level:
            begin, most = at if begin is None else begin, max(most, value)
        elif begin is not None:
            yield begin, at, most
            begin, most = None, 0.0


def left_over(history: History, unneeded: float) -> Sequence[str]:
    """Cloud nodes that stood longer than ``unneeded`` seconds after the last work in the cloud."""
    ends = [
        history.ended if run.ended is None else run.ended
        for run in history.runs
        if run.tier is Tier.BURST
    ]
    last = max(ends, default=0.0)
    return [
        f"{node.name} {'still stood' if node.down is None else 'stood until'} {until:.1f} s; "
        f"the last work in the cloud ended at {last:.1f} s"
        for node in history.nodes.values()
        if node.tier is Tier.BURST
        and (until := history.ended if node.down is None else node.down) > last + unneeded
    ]


def starved(history: History, wait: float) -> Sequence[str]:
    """Work that waited longer than ``wait`` seconds for its first start, or waits still.

    Work above its tenant's share has no claim to a turn: it starts when others lend theirs. The
    report says how long that took.
    """
    first: dict[str, float] = {}
    for run in history.runs:
        if run.started is not None:
            first.setdefault(run.work.name, run.started)
    return [
        f"{name} waited {waited:.1f} s"
        for name, at in history.submitted.items()
        if not history.lent(history.works[name])
        and (waited := first.get(name, history.ended) - at) > wait
    ]


def unfinished(history: History) -> Sequence[str]:
    """Work of the trace that was not submitted, or that did not come to its end."""
    done = {run.work.name for run in history.runs if run.finished}
    return [
        f"{name} {'did not finish' if name in history.submitted else 'was never submitted'}"
        for name in history.works
        if name not in done
    ]
