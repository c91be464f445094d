"""What follows from events, and the promises that a replay keeps or breaks."""

from dataclasses import replace

import pytest
from simulation_stand_in import NODES, SHARES, replay

from rig.simulation import promises, published, trace
from rig.simulation.history import Event, History, HistoryError, Share, Steps, Tier, What
from rig.simulation.promises import Tolerance
from rig.simulation.trace import Kind, Trace, Work


def job(name: str, gpus: int, arrival: float = 0, tenant: str = "vision", pods: int = 1) -> Work:
    return Work(
        name=name,
        arrival=arrival,
        tenant=tenant,
        kind=Kind.JOB,
        gpus=gpus,
        duration=100,
        pods=pods,
    )


ONPREM = [
    Event(at=0, what=What.NODE_UP, tier=Tier.ONPREM, nodes=(name,), gpus=gpus, pool="a100")
    for name, gpus in NODES.items()
]


def told(works: list[Work], *events: Event, ended: float = 1000, **more) -> History:
    handed = [Event(at=w.arrival, what=What.SUBMITTED, work=w.name) for w in works]
    return History(
        name="told",
        trace=Trace(tuple(works)),
        factor=more.pop("factor", 1),
        shares=more.pop("shares", SHARES),
        events=tuple(sorted([*ONPREM, *handed, *events], key=lambda e: e.at)),
        ended=ended,
    )


def ran(name: str, at: float, tier: Tier, *nodes: str, until: float | None = None) -> list[Event]:
    events = [
        Event(at=at, what=What.ADMITTED, work=name, tier=tier),
        Event(at=at + 1, what=What.STARTED, work=name, nodes=nodes),
    ]
    return events if until is None else [*events, Event(at=until, what=What.FINISHED, work=name)]


def cloud(name: str, up: float, down: float | None, gpus: int = 4) -> list[Event]:
    events = [Event(at=up, what=What.NODE_UP, tier=Tier.BURST, nodes=(name,), gpus=gpus, pool="l4")]
    return events if down is None else [*events, Event(at=down, what=What.NODE_DOWN, nodes=(name,))]


# -- derived ---------------------------------------------------------------------------------------


def test_steps_add_up_what_overlaps():
    steps = Steps.of([(0, 10, 2), (5, 10, 3), (10, 20, 1), (7, 7, 100)])
    assert [steps.at(t) for t in (-1, 0, 5, 9.9, 10, 20)] == [0, 2, 5, 5, 1, 0]
    assert (steps.highest, steps.above(), steps.above(2)) == (5, 10 + 25 + 10, 15)


def test_use_waiting_and_cost():
    works = [job("a", 4), job("b", 2, arrival=10, tenant="language")]
    history = told(
        works,
        *ran("a", 5, Tier.ONPREM, "gpu-0", until=105),
        *cloud("c", 20, 180),
        *ran("b", 15, Tier.BURST, "c", until=120),
        factor=36,
    )
    assert history.capacity == 16
    assert history.used(Tier.ONPREM).at(50) == 4
    assert history.used(Tier.BURST).at(50) == 2
    assert history.claimed(Tier.BURST).at(15.5) == 2
    assert history.standing(Tier.BURST).highest == 1
    assert history.cloud_gpu_hours() == pytest.approx(160 * 4 * 36 / 3600)
    assert history.cloud_gpu_hours_used() == pytest.approx(104 * 2 * 36 / 3600)
    assert history.cloud_cost({"l4": 5.0}) == pytest.approx(160 * 36 / 3600 * 5)
    assert history.waits() == [6 * 36 / 60, 6 * 36 / 60]
    assert history.waits("language", Kind.JOB) == [6 * 36 / 60]
    assert history.waits(lent=True) == []
    narrow = replace(history, shares={**SHARES, "vision": Share(onprem=3, burst=4)})
    assert narrow.waits("vision", lent=True) == narrow.waits(lent=False) == [6 * 36 / 60]
    with pytest.raises(HistoryError, match="pool 'l4' has no price"):
        history.cloud_cost({})


def test_without_a_queue_the_nodes_say_which_tier_it_was():
    history = told(
        [job("a", 1)],
        *cloud("c", 0, None),
        Event(at=9, what=What.STARTED, work="a", nodes=("c",)),
    )
    (run,) = history.runs
    assert (run.tier, run.claimed, run.finished) == (Tier.BURST, 9, False)
    assert history.cloud_gpu_hours() == pytest.approx(4000 / 3600)


def test_evicted_work_has_two_runs():
    history = told(
        [job("a", 8)],
        *ran("a", 0, Tier.ONPREM, "gpu-0"),
        Event(at=50, what=What.EVICTED, work="a"),
        *ran("a", 60, Tier.ONPREM, "gpu-1", until=161),
    )
    assert [(r.started, r.ended, r.finished) for r in history.runs] == [
        (1, 50, False),
        (61, 161, True),
    ]
    assert history.started == {"a": 61}
    assert history.used(Tier.ONPREM).at(55) == 0


def test_a_file_keeps_all_of_it(tmp_path):
    history = replay(trace.read(published.FOLDER / "philly.csv").first(3))
    history.save(tmp_path / "h.json")
    again = History.load(tmp_path / "h.json")
    assert again == history
    assert again.runs == history.runs
    (tmp_path / "bad.json").write_text('{"name": 1}')
    with pytest.raises(HistoryError, match=r"bad\.json: not a history"):
        History.load(tmp_path / "bad.json")


def test_nodes_that_never_came_up_are_no_history():
    with pytest.raises(HistoryError, match="ghost was never up"):
        _ = told([], Event(at=1, what=What.NODE_DOWN, nodes=("ghost",))).nodes


# -- promises --------------------------------------------------------------------------------------


def test_a_good_replay_breaks_no_promise():
    for name in published.RECIPES:
        history = replay(trace.read(published.FOLDER / f"{name}.csv"))
        found = promises.broken(history, Tolerance(decision=0, unneeded=10, wait=20 * 3600))
        assert len(found) == 5
        assert not any(found.values()), found


def full(gpus: int = 8) -> list[Event]:
    return [*ran("x", 0, Tier.ONPREM, "gpu-0"), *ran("y", 0, Tier.ONPREM, "gpu-1")]


def early(work: Work, others: list[Work], *events: Event, decision: float = 0, **more) -> list[str]:
    history = told(
        [*others, work],
        *events,
        *cloud("c", 10, 200),
        *ran(work.name, 10, Tier.BURST, *["c"] * work.pods, until=120),
        **more,
    )
    return list(promises.went_to_the_cloud_early(history, decision))


def test_work_that_fits_on_prem_must_not_go_to_the_cloud():
    (said,) = early(job("a", 4), [])
    assert said.startswith("a of vision, 1 pods with 4 GPUs each, went to the cloud at 10.0 s")


def test_full_machines_are_a_reason():
    assert early(job("a", 1), [job("x", 8), job("y", 8)], *full()) == []
    assert early(job("a", 1), [job("x", 8), job("y", 4)], *full())


def test_free_gpus_in_pieces_too_small_are_a_reason():
    # Eight are free, but four on each machine.
    halves = [job("x", 4), job("y", 4)]
    assert early(job("a", 8), halves, *full()) == []
    assert early(job("a", 4, pods=2), halves, *full())
    ample = {"vision": Share(onprem=99, burst=99)}
    assert early(job("a", 4, pods=3), halves, *full(), shares=ample) == []


def test_gpus_promised_to_work_that_did_not_start_yet_are_taken():
    slow = [Event(at=0, what=What.ADMITTED, work=name, tier=Tier.ONPREM) for name in ("x", "y")]
    starts = [
        Event(at=50, what=What.STARTED, work="x", nodes=("gpu-0",)),
        Event(at=50, what=What.STARTED, work="y", nodes=("gpu-1",)),
    ]
    assert early(job("a", 1), [job("x", 8), job("y", 8)], *slow, *starts) == []


def test_the_cohorts_quota_and_a_limit_on_borrowing_are_reasons():
    poor = {"vision": Share(onprem=2, burst=8), "language": Share(onprem=1, burst=0)}
    assert early(job("a", 4), [], shares=poor) == []
    strict = {"vision": Share(onprem=2, burst=8, borrow=0), "language": Share(onprem=14, burst=0)}
    assert early(job("a", 4), [], shares=strict) == []
    assert early(job("a", 2), [], shares=strict)


def test_what_became_free_too_late_for_the_decision_is_a_reason():
    works = [job("x", 8), job("y", 8)]
    events = [*ran("x", 0, Tier.ONPREM, "gpu-0", until=9), *ran("y", 0, Tier.ONPREM, "gpu-1")]
    assert early(job("a", 1), works, *events, decision=2) == []
    assert early(job("a", 1), works, *events, decision=0.5)


def test_two_gaps_that_are_no_lasting_room_are_a_reason():
    # Free at 8 s and at 10 s, full in between.
    works = [job("x", 8), job("y", 8), job("z", 8)]
    events = [
        *ran("x", 0, Tier.ONPREM, "gpu-0", until=7),
        *ran("z", 8.5, Tier.ONPREM, "gpu-0", until=9.7),
        *ran("y", 0, Tier.ONPREM, "gpu-1"),
    ]
    assert early(job("a", 1), works, *events, decision=2) == []


def over(record: float, until: float) -> list[str]:
    works = [job("a", 4), job("b", 1)]
    history = told(
        works,
        *cloud("c", 0, None, gpus=8),
        *ran("a", 0, Tier.BURST, "c", until=50),
        *ran("b", 40, Tier.BURST, "c", until=until),
    )
    return list(promises.above_cap(history, record))


def test_a_tenant_above_its_cap_is_seen_in_claims_and_in_use():
    claimed, used = over(0, 120)
    assert claimed == "vision claimed 5 cloud GPUs from 40.0 to 50.0 s; its cap is 4"
    assert used.startswith("vision ran on 5 cloud GPUs from 41.0")
    assert over(20, 120) == []


def test_an_excess_in_many_short_steps_is_one_long_one():
    works = [job("a", 4), *(job(f"b{i}", 1) for i in range(10))]
    short = [e for i in range(10) for e in ran(f"b{i}", i, Tier.BURST, "c", until=i + 1.5)]
    history = told(works, *cloud("c", 0, None), *ran("a", 0, Tier.BURST, "c", until=90), *short)
    assert "from 0.0 to 10.5 s" in promises.above_cap(history, 3)[0]


def test_nodes_that_stay_after_the_work_are_seen():
    works = [job("a", 4)]

    def left(down: float | None) -> list[str]:
        events = [*cloud("c", 0, down), *ran("a", 0, Tier.BURST, "c", until=100)]
        return list(promises.left_over(told(works, *events), 30))

    assert left(130) == []
    assert "c stood until 131.0 s" in left(131)[0]
    assert "c still stood" in left(None)[0]


def test_work_that_waits_too_long_or_for_ever_is_seen():
    works = [job("a", 1), job("b", 1), job("c", 1), job("d", 1)]
    history = told(
        works,
        *ran("a", 10, Tier.ONPREM, "gpu-0", until=111),
        *ran("d", 10, Tier.ONPREM, "gpu-0"),
        *ran("b", 700, Tier.ONPREM, "gpu-0", until=801),
    )
    assert promises.starved(history, 600) == ["b waited 701.0 s", "c waited 1000.0 s"]
    assert promises.unfinished(history) == ["c did not finish", "d did not finish"]
    narrow = {**SHARES, "vision": Share(onprem=0, burst=4)}
    # What is more than one's own waits for those who lend, and nobody promises when that is.
    assert promises.starved(replace(history, shares=narrow), 600) == []
    none = replace(history, events=tuple(e for e in history.events if e.work != "c"))
    assert promises.unfinished(none)[0] == "c was never submitted"
