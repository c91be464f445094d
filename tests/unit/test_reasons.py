"""Why a model does not answer, told from what the cluster says of its pods."""

from typing import Any

import pytest

from rig.reasons import unready


def pod(*, init: dict[str, Any] | None = None, server: dict[str, Any] | None = None) -> Any:
    status: dict[str, Any] = {}
    if init is not None:
        status["initContainerStatuses"] = [{"name": "fetch", **init}]
    if server is not None:
        status["containerStatuses"] = [{"name": "iris", **server}]
    return {"metadata": {"namespace": "vision", "name": "iris-a"}, "status": status}


WAITS = {"state": {"waiting": {"reason": "PodInitializing"}}}
BACK_OFF = {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}}
NO_MODEL = {"exitCode": 2, "message": "looking\nNo model: models:/iris/9 is not there\n"}


def test_a_fetcher_that_failed_says_its_last_line_and_not_that_it_will_try_again():
    failed = {**BACK_OFF, "lastState": {"terminated": NO_MODEL}}

    assert unready([pod(init=failed, server=WAITS)]) == [
        "vision/iris-a, fetch: No model: models:/iris/9 is not there"
    ]


def test_an_image_that_is_not_there_is_told_as_it_is():
    wrong = {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}

    assert unready([pod(server=wrong)]) == ["vision/iris-a, iris: ErrImagePull not found"]


def test_a_pod_without_a_machine_says_what_it_lacks():
    waiting = pod()
    waiting["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient memory"}
    ]

    assert unready([waiting]) == ["vision/iris-a: 0/1 nodes: Insufficient memory"]


@pytest.mark.parametrize(
    "fine",
    [
        pod(init={"state": {"terminated": {"exitCode": 0}}}, server={"state": {"running": {}}}),
        pod(server=WAITS),
        {"metadata": {"namespace": "a", "name": "b", "deletionTimestamp": "now"}},
    ],
)
def test_of_pods_that_run_or_go_there_is_nothing_to_say(fine):
    assert unready([fine]) == []


def test_an_end_without_words_is_told_by_its_number():
    ended = {"state": {"terminated": {"exitCode": 137}}}

    assert unready([pod(server=ended)]) == ["vision/iris-a, iris: exit code 137"]
