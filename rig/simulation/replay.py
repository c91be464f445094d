"""Replays a trace on a fleet: hands work in when it arrives, and writes down what happens.

It only looks and writes: where work runs is decided by queue, scheduler and autoscaler alone.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from components.cluster.nodes import GPU, POOL_LABEL
from rig.control_plane.api import Api
from rig.kube import items, ready
from rig.simulation.history import Event, Tier, What
from rig.simulation.trace import Kind, Trace, Work
from rig.simulation.work import NAME, Mode, manifest, path

LOOK_SECONDS = 0.5
"""Between two looks; events are that exact."""
WORKLOADS = "/apis/kueue.x-k8s.io/v1beta2/workloads"
Object = dict[str, Any]


@dataclass
class _Seen:
    """What is known of a piece of work."""

    work: Work
    admitted: Tier | None = None
    started: float | None = None
    done: bool = False


@dataclass
class Replayer:
    """One replay, from the first arrival until the last work is done and the cloud is empty."""

    api: Api
    trace: Trace
    mode: Mode
    tiers: Mapping[str, Tier]
    """By pool."""
    events: list[Event] = field(default_factory=list[Event])

    def run(self, patience: float) -> float:
        """Replay it all; return when recording stopped.

        ``patience``: seconds after the last arrival until what is not done is left undone.
        """
        self._began = time.monotonic()
        self._seen = {work.name: _Seen(work) for work in self.trace.works}
        self._nodes: dict[str, bool] = {}
        self._standing: dict[str, Object] = {}
        coming = list(self.trace.works)
        last = coming[-1].arrival + patience
        while coming or not self._over():
            if self._now > last:
                break
            while coming and coming[0].arrival <= self._now:
                self._submit(coming.pop(0))
            # When the API server is away, as it may be in a replay, the next look sees it all.
            with suppress(OSError, HTTPException):
                self._look()
            time.sleep(LOOK_SECONDS)
        return self._now

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    def _over(self) -> bool:
        return all(seen.done for seen in self._seen.values()) and not any(
            self.tiers[node["pool"]] is Tier.BURST for node in self._standing.values()
        )

    def _submit(self, work: Work) -> None:
        self.api.create(path(work, self.mode), manifest(work, self.mode, work.duration))
        self._tell(What.SUBMITTED, work=work.name)

    def _look(self) -> None:
        self._look_at_nodes()
        if self.mode is Mode.QUEUE:
            self._look_at_admissions()
        pods: dict[str, list[Object]] = {}
        for pod in self._items(f"/api/v1/pods?labelSelector={NAME}"):
            pods.setdefault(pod["metadata"]["labels"][NAME], []).append(pod)
        for name, seen in self._seen.items():
            if not seen.done and name in pods:
                self._look_at(seen, pods[name])

    def _look_at_nodes(self) -> None:
        nodes = self._items(f"/api/v1/nodes?labelSelector={POOL_LABEL}")
        found = {node["metadata"]["name"]: node for node in nodes}
        self._standing = {
            name: {"pool": node["metadata"]["labels"][POOL_LABEL]} for name, node in found.items()
        }
        for name, node in found.items():
            if name not in self._nodes:
                self._nodes[name] = False
                pool = node["metadata"]["labels"][POOL_LABEL]
                gpus = int(node["status"].get("capacity", {}).get(GPU, 0))
                tier = self.tiers[pool]
                self._tell(What.NODE_UP, nodes=(name,), tier=tier, gpus=gpus, pool=pool)
            if not self._nodes[name] and ready(node):
                self._nodes[name] = True
                self._tell(What.NODE_READY, nodes=(name,))
        for name in [name for name in self._nodes if name not in found]:
            del self._nodes[name]
            self._tell(What.NODE_DOWN, nodes=(name,))

    def _look_at_admissions(self) -> None:
        for workload in self._items(WORKLOADS):
            name = _owner(workload)
            seen = self._seen.get(name)
            if seen is None or seen.done:
                continue
            tier = self._admitted_to(workload)
            if tier is not seen.admitted:
                if seen.admitted is not None:
                    self._tell(What.EVICTED, work=name)
                    seen.started = None
                if tier is not None:
                    self._tell(What.ADMITTED, work=name, tier=tier)
                seen.admitted = tier

    def _admitted_to(self, workload: Object) -> Tier | None:
        admission = workload.get("status", {}).get("admission")
        if not admission:
            return None
        flavors = admission["podSetAssignments"][0].get("flavors", {})
        return self.tiers.get(flavors.get(GPU, ""))

    def _look_at(self, seen: _Seen, pods: Sequence[Object]) -> None:
        work = seen.work
        if self.mode is Mode.QUEUE and seen.admitted is None:
            # Admitted since the queue was looked at, or put out and still there: the next look
            # says which.
            return
        running = [p for p in pods if p["status"].get("phase") in ("Running", "Succeeded")]
        if seen.started is None and len(running) >= work.pods:
            seen.started = self._now
            nodes = tuple(pod["spec"]["nodeName"] for pod in running[: work.pods])
            self._tell(What.STARTED, work=work.name, nodes=nodes)
        if seen.started is None:
            return
        if self._ended(seen, pods):
            seen.done = True
            self._tell(What.FINISHED, work=work.name)
            self.api.delete(f"{path(work, self.mode)}/{work.name}?propagationPolicy=Background")

    def _ended(self, seen: _Seen, pods: Sequence[Object]) -> bool:
        if seen.work.kind is Kind.NOTEBOOK:
            # A person closes the session.
            return seen.started is not None and self._now - seen.started >= seen.work.duration
        done = [pod for pod in pods if pod["status"].get("phase") == "Succeeded"]
        return len(done) >= seen.work.pods

    def _items(self, place: str) -> Iterator[Object]:
        yield from items(self.api.get(place))

    def _tell(self, what: What, **said: Any) -> None:
        self.events.append(Event(at=round(self._now, 3), what=what, **said))


def _owner(workload: Object) -> str:
    """Of the piece of work; a workload is named after it, and something more."""
    owners = workload["metadata"].get("ownerReferences") or [{}]
    return owners[0].get("name", "")
