"""The bound is below what anybody can do who knows the future: held against trying everything."""

import heapq
import itertools
from random import Random

import numpy as np
import pytest
from simulation_stand_in import replay

from rig.simulation import published, report, trace
from rig.simulation.bound import Demand, bound, candidates, demands_of, least_cloud, overlaps
from rig.simulation.history import Tier
from rig.simulation.trace import Kind


def best(demands: list[Demand], capacity: int) -> float:
    """The least GPU-seconds in the cloud, by trying every choice.

    Times are whole. Of the best schedules one starts all work at whole moments too: whatever
    starts later than it could is moved forward until it arrives or something else has ended.
    """
    choices = [[None, *range(round(d.earliest), round(d.latest) + 1)] for d in demands]
    end = max(round(d.latest + d.duration) for d in demands)
    least = float("inf")
    for starts in itertools.product(*choices):
        used = [0] * end
        for d, start in zip(demands, starts, strict=True):
            if start is not None:
                for at in range(start, start + round(d.duration)):
                    used[at] += d.gpus
        if max(used) <= capacity:
            cloud = sum(d.area for d, s in zip(demands, starts, strict=True) if s is None)
            least = min(least, cloud)
    return least


def random_case(random: Random) -> tuple[list[Demand], int]:
    demands = []
    for _ in range(random.randint(1, 5)):
        earliest = random.randint(0, 6)
        demands.append(
            Demand(
                gpus=random.choice([1, 1, 2, 4]),
                duration=random.randint(1, 6),
                earliest=earliest,
                latest=earliest + random.choice([0, 0, 1, 3, 5]),
            )
        )
    return demands, random.choice([1, 2, 4])


def test_the_bound_is_never_above_the_best():
    random, gaps, total = Random(7), 0.0, 0.0
    for _ in range(100):
        demands, capacity = random_case(random)
        truth = best(demands, capacity)
        for slots in (1, 3, 40):
            found = least_cloud(demands, capacity, slots)
            assert found <= truth + 1e-6, (demands, capacity, slots)
        gaps, total = gaps + truth - found, total + truth
    # Near enough to be worth something, though GPUs are few and each piece is a large part of them.
    assert gaps < 0.15 * total


def test_what_does_not_fit_side_by_side_and_may_not_wait_goes_to_the_cloud():
    both = [Demand(gpus=8, duration=100, earliest=0, latest=0)] * 2
    assert least_cloud(both, 8, slots=4) == pytest.approx(800)
    assert least_cloud(both, 16, slots=4) == pytest.approx(0)


def test_what_may_wait_until_there_is_room_needs_no_cloud():
    first = Demand(gpus=8, duration=100, earliest=0, latest=0)
    assert least_cloud([first, Demand(gpus=8, duration=50, earliest=0, latest=100)], 8) == 0
    short = least_cloud([first, Demand(gpus=8, duration=50, earliest=0, latest=60)], 8, 300)
    assert 300 < short <= 400


def test_a_start_between_candidates_uses_what_a_mixture_of_its_neighbours_uses():
    random = Random(3)
    for _ in range(200):
        edges = np.linspace(0, 20, random.randint(2, 9))
        earliest = random.uniform(0, 8)
        demand = Demand(
            gpus=1,
            duration=random.uniform(0.1, 7),
            earliest=earliest,
            latest=earliest + random.uniform(0.1, 5),
        )
        moments = list(candidates(demand, edges))
        low, high = random.choice(list(itertools.pairwise(moments)))
        share = random.random()

        at = [low, high, (1 - share) * low + share * high]
        uses = [overlaps(start, start + demand.duration, edges) for start in at]
        assert uses[2] == pytest.approx((1 - share) * uses[0] + share * uses[1])


def test_what_is_larger_than_all_of_on_prem_goes_to_the_cloud_whole():
    large = Demand(gpus=4, duration=5, earliest=0, latest=100)
    assert least_cloud([large], 2) == 20
    assert least_cloud([large], 4) == pytest.approx(0)


def test_nothing_asked_is_nothing_needed():
    assert least_cloud([], 16) == 0


@pytest.mark.parametrize("name", published.RECIPES)
def test_a_real_replay_needs_more_than_the_bound(name: str):
    history = replay(trace.read(published.FOLDER / f"{name}.csv").compress(60), factor=60)
    found = bound(history, slots=96)
    used = history.cloud_gpu_hours_used()
    assert 0 < found.least <= used + 1e-6
    assert found.least <= found.prompt + 1e-6
    assert found.excess <= used + 1e-6
    assert used < history.cloud_gpu_hours()
    assert found.least > 0.3 * used


def onprem_first(demands: list[Demand], capacity: int) -> float:
    """GPU-seconds in the cloud if all start as they arrive, and whatever fits on-prem goes there.

    Nothing is wasted: machines have no shape, and a cloud's are there at once and end at once.
    """
    free, cloud = capacity, 0.0
    ends: list[tuple[float, int]] = []
    for demand in sorted(demands, key=lambda d: d.earliest):
        while ends and ends[0][0] <= demand.earliest:
            free += heapq.heappop(ends)[1]
        if demand.gpus <= free:
            free -= demand.gpus
            heapq.heappush(ends, (demand.earliest + demand.duration, demand.gpus))
        else:
            cloud += demand.area
    return cloud


@pytest.mark.parametrize("name", published.RECIPES)
def test_who_fills_on_prem_first_and_lets_nobody_wait_cannot_reach_the_goal(name):
    """What docs/simulation.md says of the goal: not knowing the future costs more than that."""
    works = trace.read(published.FOLDER / f"{name}.csv").works
    demands = [
        Demand(gpus=w.all_gpus, duration=w.duration, earliest=w.arrival, latest=w.arrival)
        for w in works
    ]
    found = onprem_first(demands, 16) / least_cloud(demands, 16)
    assert found == pytest.approx(1.41, abs=0.005)
    assert found > report.GOAL


def test_patience_needs_no_cloud():
    day = trace.read(published.FOLDER / "helios.csv").first(6)
    found = bound(replay(day, patient=True), slots=96)
    assert found.least == pytest.approx(0, abs=1e-6)
    assert found.prompt > 0


def test_prompt_notebooks_have_no_slack_and_jobs_keep_theirs():
    day = trace.read(published.FOLDER / "helios.csv").first(6)
    history = replay(day, patient=True)
    slack = [d.latest - d.earliest for d in demands_of(history, prompt=(Kind.NOTEBOOK,))]
    kinds = [run.work.kind for run in history.runs]
    assert all(s == 0 for s, kind in zip(slack, kinds, strict=True) if kind is Kind.NOTEBOOK)
    assert sum(slack) > 0
    assert history.used(Tier.BURST).highest == 0
