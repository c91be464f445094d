"""A scheduler of forty lines that records histories: on-prem first, cloud at once, no surprises."""

from collections.abc import Mapping

from rig.simulation.history import Event, History, Share, Tier, What
from rig.simulation.trace import Trace, Work

NODES = {"gpu-0": 8, "gpu-1": 8}
SHARES: Mapping[str, Share] = {
    name: Share(onprem=4, burst=4) for name in ("vision", "language", "speech", "ranking")
}
LINGER = 10.0


def place(work: Work, free: dict[str, int]) -> tuple[str, ...] | None:
    """A node for each pod, the fullest first."""
    left, chosen = dict(free), list[str]()
    for _ in range(work.pods):
        node = min((n for n in left if left[n] >= work.gpus), key=left.__getitem__, default=None)
        if node is None:
            return None
        left[node] -= work.gpus
        chosen.append(node)
    return tuple(chosen)


def replay(trace: Trace, factor: float = 1.0, *, patient: bool = False) -> History:
    """First come, first served where there is room; ``patient``: nobody ever goes to the cloud."""
    free, burst = dict(NODES), dict.fromkeys(SHARES, 0)
    events = [
        Event(at=0, what=What.NODE_UP, tier=Tier.ONPREM, nodes=(n,), gpus=g, pool="a100")
        for n, g in NODES.items()
    ]
    waiting: list[Work] = []
    ends: list[tuple[float, Work, tuple[str, ...], Tier]] = []
    arrivals = list(trace.works)
    now = 0.0
    while arrivals or waiting or ends:
        now = min([w.arrival for w in arrivals[:1]] + [end[0] for end in ends])
        for end in [e for e in ends if e[0] == now]:
            _, work, nodes, tier = end
            ends.remove(end)
            events.append(Event(at=now, what=What.FINISHED, work=work.name))
            if tier is Tier.ONPREM:
                for node in nodes:
                    free[node] += work.gpus
            else:
                burst[work.tenant] -= work.all_gpus
        while arrivals and arrivals[0].arrival == now:
            waiting.append(arrivals.pop(0))
            events.append(Event(at=now, what=What.SUBMITTED, work=waiting[-1].name))
        for work in list(waiting):
            tier, nodes = Tier.ONPREM, place(work, free)
            if nodes is not None:
                for node in nodes:
                    free[node] -= work.gpus
            elif not patient and burst[work.tenant] + work.all_gpus <= SHARES[work.tenant].burst:
                tier, nodes = Tier.BURST, tuple(f"{work.name}-{i}" for i in range(work.pods))
                burst[work.tenant] += work.all_gpus
            else:
                continue
            waiting.remove(work)
            ends.append((now + work.duration, work, nodes, tier))
            events += begun(now, work, tier, nodes)
    return History(
        name="stand-in",
        trace=trace,
        factor=factor,
        shares=SHARES,
        events=tuple(sorted(events, key=lambda e: e.at)),
        ended=now + 100,
    )


def begun(now: float, work: Work, tier: Tier, nodes: tuple[str, ...]) -> list[Event]:
    events = [
        Event(at=now, what=What.ADMITTED, work=work.name, tier=tier),
        Event(at=now, what=What.STARTED, work=work.name, nodes=nodes),
    ]
    if tier is Tier.ONPREM:
        return events
    gone = now + work.duration + LINGER
    for node in nodes:
        up = Event(at=now, what=What.NODE_UP, tier=tier, nodes=(node,), gpus=work.gpus, pool="l4")
        events = [up, *events, Event(at=gone, what=What.NODE_DOWN, nodes=(node,))]
    return events
