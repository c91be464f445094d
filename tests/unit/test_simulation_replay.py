"""What a replay writes down, of answers that one API server may give one after the other."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.cluster.nodes import GPU, POOL_LABEL
from rig.simulation import replay
from rig.simulation.history import History, Share, Tier, What
from rig.simulation.replay import Replayer
from rig.simulation.trace import Kind, Trace, Work
from rig.simulation.work import NAME, Mode

WORK = Work(name="train", arrival=0.0, tenant="vision", kind=Kind.JOB, gpus=1, duration=1.0, pods=1)
NODE = {
    "metadata": {"name": "own-0", "labels": {POOL_LABEL: "own"}},
    "status": {"capacity": {GPU: "1"}, "conditions": [{"type": "Ready", "status": "True"}]},
}
ADMISSION = {"podSetAssignments": [{"flavors": {GPU: "own"}}]}


def pod(phase: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "train-x", "labels": {NAME: "train"}},
        "spec": {"nodeName": "own-0"},
        "status": {"phase": phase},
    }


def workload(**status: Any) -> dict[str, Any]:
    return {"metadata": {"ownerReferences": [{"name": "train"}]}, "status": status}


class Moments:
    """An API server that is asked for nodes, workloads and pods in turn, moment after moment."""

    def __init__(self, *moments: tuple[dict[str, Any], dict[str, Any]]) -> None:
        self._moments = list(moments)

    def create(self, path: str, document: Mapping[str, Any]) -> None:
        pass

    def delete(self, path: str) -> None:
        pass

    def get(self, path: str) -> dict[str, Any]:
        if "/nodes" in path:
            return {"items": [NODE]}
        if "/workloads" in path:
            return {"items": [self._moments[0][0]]}
        found = self._moments[0][1]
        if len(self._moments) > 1:
            self._moments.pop(0)
        return {"items": [found]}


def replayed(monkeypatch: pytest.MonkeyPatch, *moments: Any) -> History:
    monkeypatch.setattr(replay, "LOOK_SECONDS", 0.001)
    trace = Trace((WORK,))
    api: Any = Moments(*moments)
    replayer = Replayer(api, trace, Mode.QUEUE, {"own": Tier.ONPREM})
    ended = replayer.run(patience=10)
    return History(
        name="x",
        trace=trace,
        factor=1,
        shares={"vision": Share(onprem=1, burst=0)},
        events=tuple(replayer.events),
        ended=ended,
    )


def told(history: History) -> list[What]:
    return [event.what for event in history.events if event.work]


def test_work_that_was_admitted_between_two_questions_is_counted_once(monkeypatch):
    history = replayed(
        monkeypatch,
        (workload(), pod("Running")),
        (workload(admission=ADMISSION), pod("Running")),
        (workload(admission=ADMISSION), pod("Succeeded")),
    )

    assert told(history) == [What.SUBMITTED, What.ADMITTED, What.STARTED, What.FINISHED]
    assert len(history.runs) == 1
    assert history.claimed(Tier.ONPREM).highest == 1


def test_pods_of_work_that_was_put_out_are_no_new_start(monkeypatch):
    history = replayed(
        monkeypatch,
        (workload(admission=ADMISSION), pod("Running")),
        (workload(), pod("Running")),
        (workload(), pod("Pending")),
        (workload(admission=ADMISSION), pod("Running")),
        (workload(admission=ADMISSION), pod("Succeeded")),
    )

    assert told(history) == [
        What.SUBMITTED,
        *(What.ADMITTED, What.STARTED, What.EVICTED),
        *(What.ADMITTED, What.STARTED, What.FINISHED),
    ]
    assert [run.finished for run in history.runs] == [False, True]
