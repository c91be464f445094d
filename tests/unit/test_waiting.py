"""What somebody who waits for a GPU is told: from objects as Kueue writes them to a sentence."""

import json
from typing import Any

import pytest
from hub_code import told as hub_told
from hub_code import waiting
from kueue_objects import (
    BACKOFF,
    CREATED,
    FULL,
    MINE,
    NEVER,
    NO_ROOM,
    RESERVED,
    STARTING,
    admitted,
    condition,
    evicted,
    no_gpu,
    pending,
    pod,
    workload,
)
from test_hub_code import DOCUMENT, profile, team

A100 = {"accelerator": "a100-80gb", "title": "A100 80GB"}
L4 = {"accelerator": "l4", "title": "L4", "burst": True, "gpus": 8, "each": 1, "price": 0.8048}
OWN = {**A100, "burst": False, "gpus": 16, "each": 8}
CLOUD = {**A100, "burst": True, "gpus": 8, "each": 1, "price": 5.0688}
EARLIER, LATER = "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z"


def stack(pools: dict[str, Any] | None = None, **gpus: int) -> Any:
    held = {name.replace("_", "-"): many for name, many in gpus.items()}
    given = {"own": OWN, "cloud-l4": L4} if pools is None else pools
    profiles = {
        "gpu-own": profile(accelerator="a100-80gb"),
        "gpu-cloud-l4": profile(accelerator="l4"),
    }
    tenants = {
        "vision": team("vision", profiles=["gpu-own", "gpu-cloud-l4"], gpus=held),
        "language": team("language", profiles=["gpu-own"], gpus=held),
    }
    document = {**DOCUMENT, "profiles": profiles, "tenants": tenants, "pools": given}
    return hub_told.parse(json.dumps(document))


def said(
    *workloads: dict[str, Any],
    told: Any = None,
    used: dict[str, dict[str, int]] | None = None,
    events: tuple[dict[str, Any], ...] = (),
    where: dict[str, Any] | None = None,
) -> str:
    seen = waiting.Seen(
        pod=where or pod(), workloads=[*workloads] or [workload()], events=events, used=used
    )
    return waiting.sentence(seen, told or stack(), "vision")


ALL_IN_USE = {"vision": {"own": 4}, "language": {"own": 12}}


# -- before its turn ------------------------------------------------------------------------------


def test_all_of_the_companys_are_in_use_and_a_cloud_has_another_kind():
    found = said(
        workload("a", created=EARLIER), workload(), told=stack(cloud_l4=2), used=ALL_IN_USE
    )

    assert found == (
        "Queued: 1 ahead of you in your team. All 16 of the company's A100 80GB are in use; "
        "a cloud L4 (about $0.80/h) would start now"
    )


def test_a_cloud_that_the_team_may_not_use_is_not_held_out():
    assert said(told=stack(cloud_l4=0), used=ALL_IN_USE) == (
        "Queued: you are the next of your team. All 16 of the company's A100 80GB are in use"
    )


def test_a_team_without_a_share_of_the_cloud_does_not_hold_all_of_it():
    told = stack({"own": OWN, "cloud": CLOUD}, cloud=0)

    assert said(told=told, used=ALL_IN_USE) == (
        "Queued: you are the next of your team. All 16 of the company's A100 80GB are in use"
    )


def test_a_kind_that_no_profile_of_the_team_has_is_not_held_out():
    told = stack(cloud_l4=2)
    told.tenants["vision"].profiles.remove("gpu-cloud-l4")

    assert "L4" not in said(told=told, used=ALL_IN_USE)


def test_a_team_at_its_cap_is_told_that_one_must_end():
    told = stack({"own": OWN, "cloud": CLOUD}, cloud=4)
    used = {"vision": {"own": 4, "cloud": 4}, "language": {"own": 12}}

    assert said(told=told, used=used) == (
        "Queued: you are the next of your team. All 16 of the company's A100 80GB are in use; "
        "your team holds all 4 of the cloud A100 80GB that it may: one must end first"
    )


@pytest.mark.parametrize(
    ("pools", "cap", "used", "words"),
    [
        ({"cloud": CLOUD}, 1, {"vision": {"cloud": 1}}, "the one cloud A100 80GB that it may: it"),
        ({"own": {**OWN, "gpus": 1}}, 0, {"language": {"own": 1}}, "company's only A100 80GB is"),
        ({"cloud": CLOUD}, 4, {"language": {"cloud": 8}}, "All 8 of the cloud's A100 80GB are in"),
        ({"a": OWN, "b": OWN}, 0, {"vision": {"a": 16, "b": 16}}, "All 32 of the company's"),
        (
            {"own": OWN, "cloud": CLOUD},
            1,
            {"language": {"own": 16}},
            "; a cloud A100 80GB (about $5.07/h) would start now",
        ),
        (
            {"own": OWN, "l40s": {**L4, "accelerator": "l4", "burst": False, "price": None}},
            0,
            {"language": {"own": 16}},
            "; one of the company's L4 is free now",
        ),
    ],
)
def test_whose_gpus_are_taken_and_how_many_there_are_is_said(pools, cap, used, words):
    assert words in said(told=stack(pools, cloud=cap), used=used)


def test_while_one_of_its_kind_is_free_nothing_is_said_to_be_in_use():
    used = {"vision": {"own": 4}, "language": {"own": 11}}

    assert said(told=stack(cloud_l4=2), used=used) == "Queued: you are the next of your team"


def test_without_the_numbers_of_the_queues_the_place_is_still_told():
    assert said(workload("a", created=EARLIER), workload()) == (
        "Queued: 1 ahead of you in your team"
    )


@pytest.mark.parametrize(
    ("rival", "before"),
    [
        (workload("a", created=EARLIER), 1),
        (workload("a", created=LATER), 0),
        (workload("a", created=LATER, priority=2000), 1),
        (workload("a", created=EARLIER, priority=100), 0),
        (workload("0", created=CREATED), 1),
        (workload("f", created=CREATED), 0),
        (workload("a", created=EARLIER, accelerator="l4"), 0),
        (workload("a", created=EARLIER, accelerator=None), 1),
        (workload("a", created=EARLIER, gpus=0), 0),
        (workload("a", RESERVED, created=EARLIER), 0),
        (workload("a", [condition("Finished", True, "Succeeded")], created=EARLIER), 0),
        (workload("a", [], created=EARLIER), 1),
    ],
)
def test_ahead_is_what_kueue_takes_first_of_the_same_gpus(rival, before):
    assert waiting.ahead(workload(), [workload(), rival]) == before


def test_work_that_failed_to_start_goes_to_the_end():
    again = workload("a", [condition("Evicted", True, "PodsReadyTimeout")], created=EARLIER)
    again["status"]["conditions"][0]["lastTransitionTime"] = LATER
    stopped = workload("b", [condition("Evicted", True, "Preempted")], created=EARLIER)

    assert waiting.ahead(workload(), [again, stopped]) == 1


def test_work_that_is_switched_off_is_not_ahead():
    off = workload("a", created=EARLIER)
    off["spec"]["active"] = False

    assert waiting.ahead(workload(), [off]) == 0


@pytest.mark.parametrize("reason", ["Pending", "ExceedsMaxQuota"])
def test_what_never_fits_is_not_said_to_be_queued(reason):
    assert said(workload(conditions=pending(NEVER, reason)), used=ALL_IN_USE).startswith(
        "Your team may not hold a GPU of this kind, so waiting does not help"
    )


def test_what_fits_into_one_of_two_pools_some_day_is_queued():
    mixed = f"{NEVER}, {NO_ROOM.partition(', ')[2]}"

    assert said(workload(conditions=pending(mixed))).startswith("Queued")


@pytest.mark.parametrize("reason", ["Inadmissible", "Misconfigured", "Suspended"])
def test_a_closed_queue_is_told(reason):
    shut = workload(conditions=pending("LocalQueue default is inactive", reason))

    assert said(shut) == (
        "Your team's queue for GPUs is closed or not set up: ask an administrator"
    )


def test_work_that_gives_way_is_mentioned_without_whose_it_is():
    giving = workload(conditions=pending(f"{NO_ROOM}. Pending the preemption of 1 workload(s)"))

    assert said(giving, used=ALL_IN_USE).endswith("; work that gives way to yours is being ended")


def test_one_that_the_queue_has_not_looked_at_yet_is_queued():
    assert said(workload(conditions=[])) == "Queued: you are the next of your team"


# -- its turn -------------------------------------------------------------------------------------

TURN = "It is your turn: a cloud L4 (about $0.80/h)"


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((), f"{TURN} is asked for"),
        ((no_gpu(0),), f"{TURN} is asked for"),
        ((STARTING,), f"{TURN} is starting, which takes about 4 minutes"),
        ((BACKOFF, STARTING), f"{TURN} is starting, which takes about 4 minutes"),
        (
            (STARTING, BACKOFF),
            "It is your turn for a cloud L4 (about $0.80/h), but the cloud did not give one; it is "
            "tried again",
        ),
        (
            (FULL,),
            "It is your turn for a cloud L4 (about $0.80/h), but as many machines run as may; it "
            "is tried again",
        ),
    ],
)
def test_what_the_autoscaler_said_last_is_what_is_told(events, words):
    assert said(admitted("cloud-l4"), events=events) == words


@pytest.mark.parametrize(
    ("machines", "others", "unready"), [(1, 0, True), (1, 1, False), (2, 1, True), (2, 2, False)]
)
def test_a_machine_whose_gpu_nobody_can_hold_is_not_ready_yet(machines, others, unready):
    found = said(
        admitted("cloud-l4"),
        events=(STARTING, no_gpu(machines)),
        used={"vision": {"cloud-l4": 1}, "language": {"cloud-l4": others}},
        where=pod(pool="cloud-l4"),
    )

    told = "The machine is there, the GPU is not ready yet"
    assert (found == told) is unready
    assert unready or "is starting" in found


@pytest.mark.parametrize(
    ("used", "where"),
    [(None, pod(pool="cloud-l4")), ({"vision": {"cloud-l4": 1}}, pod())],
    ids=["nobody says who uses what", "any machine may be meant"],
)
def test_a_gpu_is_not_guessed_to_be_unready(used, where):
    events = (STARTING, no_gpu(2))

    assert "is starting" in said(admitted("cloud-l4"), events=events, used=used, where=where)


def test_one_of_the_companys_own_is_told_with_what_it_waits_for_there():
    assert said(admitted("own")) == "It is your turn: one of the company's A100 80GB is yours"
    assert said(admitted("own"), events=(no_gpu(2),)) == (
        "It is your turn: one of the company's A100 80GB is yours. Waiting for room: no free GPU"
    )


def test_where_work_runs_elsewhere_than_it_was_admitted_no_machine_is_named():
    assert said(admitted("own"), told=stack({})) == "It is your turn: a GPU is yours"


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ({**L4, "spot": True, "price": 0.401}, "a cloud L4 (about $0.40/h, spot) is asked for"),
        ({**L4, "spot": True, "price": None}, "a cloud L4 is asked for"),
        (
            {**L4, "each": 8, "price": 13.3504},
            "a cloud L4 (about $13.35/h for a machine with 8) is asked for",
        ),
    ],
)
def test_the_price_is_that_of_the_machine_that_starts(pool, words):
    assert said(admitted("cloud-l4"), told=stack({"cloud-l4": pool})).endswith(words)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("PodsReadyTimeout", "because no machine was ready in time: start it again"),
        ("Preempted", "because work that comes first needed it"),
        ("DeactivatedDueToRequeuingLimitExceeded", "because the queue was changed"),
    ],
)
def test_a_server_that_lost_its_place_is_told_to_start_again(reason, words):
    assert words in said(evicted(reason))


# -- what is not the queue's business -------------------------------------------------------------


def test_once_its_pod_has_a_machine_the_events_of_the_pod_are_enough():
    assert said(admitted("cloud-l4"), events=(STARTING,), where=pod(node="l4-0")) == ""


def test_a_server_without_a_gpu_that_the_queue_knows_too_is_told_nothing_more():
    assert said(workload(gpus=0)) == ""


def test_a_server_that_the_queue_does_not_know_is_told_nothing():
    assert said(workload("another")) == ""


def test_nothing_of_other_peoples_work_but_numbers_is_told():
    rivals = [workload(f"rival-{n}", created=EARLIER) for n in range(3)]
    for rival in rivals:
        rival["metadata"]["name"] = "pod-secret-merger-0aa11"
        rival["spec"]["podSets"][0]["template"]["spec"]["containers"][0]["name"] = "secret"

    found = said(*rivals, workload(), used=ALL_IN_USE, told=stack(cloud_l4=1))

    assert found.startswith("Queued: 3 ahead of you")
    assert not {word for word in ("secret", "rival", "language", "vision", MINE) if word in found}
