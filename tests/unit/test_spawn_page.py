"""The page of a server that waits for a GPU: what is asked, when it is said, what it may cost."""

import asyncio
import json
from typing import Any

import builders
import hub_stand_ins
import pulumi
import pytest
from hub_code import progress, queues, waiting
from hub_code import told as hub_told
from hub_stand_ins import ApiException, spawner
from kueue_objects import RESERVED, STARTING, admitted, local_queue, no_gpu, pod, workload
from recording import recorded
from test_hub_code import known
from test_profiles import load
from test_waiting import stack

from components.cluster.queue import API, GROUP, LOCAL_QUEUE, PRIORITIES
from infra import stack as program
from infra.spawn_page import held, pools, price, spoken
from infra.stack import queues as infra_queues


class Kueue:
    """The API server's answers about the queue; what was asked of it."""

    def __init__(self, *workloads: dict[str, Any], **used: dict[str, int]) -> None:
        self.workloads = [*workloads]
        self.used = used
        self.asked: list[tuple[str, ...]] = []
        self.fails: Exception | None = None

    async def list_namespaced_custom_object(self, *what: str, **how: Any) -> dict[str, Any]:
        assert how["_request_timeout"]
        self.asked.append(what)
        if self.fails:
            raise self.fails
        return {"items": self.workloads}

    async def get_namespaced_custom_object(self, *what: str, **how: Any) -> dict[str, Any]:
        assert how["_request_timeout"]
        self.asked.append(what)
        return local_queue(what[2], **self.used.get(what[2], {}))


@pytest.fixture
def kueue(monkeypatch):
    """What the hub meets; its pace is a hundredth of the real one."""
    found = Kueue(workload())
    monkeypatch.setitem(hub_stand_ins.CLIENTS, "CustomObjectsApi", found)
    monkeypatch.setattr(spawner, "told", lambda: stack(own=4, cloud_l4=2))
    monkeypatch.setattr(spawner, "EVERY", 0.01)
    monkeypatch.setattr(spawner, "LOOK", 0.02)
    monkeypatch.setattr(queues, "FRESH", 0.0)
    monkeypatch.setattr(spawner.TeamSpawner, "_queues", queues.Queues())
    return found


def server(*happens: Any, profile: str = "gpu-own", where: dict[str, Any] | None = None) -> Any:
    found = spawner.TeamSpawner()
    found.user_options = {"profile": profile, "tenant": "vision"}
    found.pod_reflector.pods["vision/notebook-ada"] = where or pod()
    found.happens = [*happens]
    found.events = [step["raw_event"] for step in happens if isinstance(step, dict)]
    return found


def step(reached: int, happened: dict[str, Any]) -> dict[str, Any]:
    return {"progress": reached, "raw_event": happened, "message": "for operators"}


def shown(of: Any, meanwhile: Any = None) -> list[dict[str, Any]]:
    """The page's steps while it starts; ``meanwhile`` changes what the cluster says after 0.1 s."""

    async def watch() -> list[dict[str, Any]]:
        starting = asyncio.ensure_future(of._start())
        if meanwhile:
            asyncio.get_running_loop().call_later(0.1, meanwhile)
        steps = [one async for one in of.progress()]
        await starting
        return steps

    return asyncio.run(watch())


def messages(steps: list[dict[str, Any]]) -> list[str]:
    return [one["message"] for one in steps]


QUEUED = "Queued: you are the next of your team"


# -- what is said, and when -----------------------------------------------------------------------


def test_why_it_waits_is_said_once_until_it_changes(kueue):
    def turn() -> None:
        kueue.workloads = [admitted("cloud-l4")]

    assert messages(shown(server(0.25), turn)) == [
        QUEUED,
        "It is your turn: a cloud L4 (about $0.80/h) is asked for",
    ]


def test_the_bar_never_goes_back(kueue):
    fetching = {"reason": "Pulling", "type": "Normal"}
    steps = shown(server(0.1, step(30, fetching), 0.1, step(20, {**STARTING, "reason": "Pulled"})))

    reached = [one["progress"] for one in steps]
    assert messages(steps)[0] == QUEUED
    assert reached == sorted(reached)
    assert max(reached) == 30


def test_what_the_sentence_says_already_is_not_said_by_the_event_too(kueue):
    kueue.workloads = [admitted("cloud-l4")]
    steps = shown(server(0.1, step(30, no_gpu(0)), step(50, STARTING), 0.1))

    assert messages(steps) == [
        "It is your turn: a cloud L4 (about $0.80/h) is starting, which takes about 4 minutes"
    ]


def test_once_the_pod_has_a_machine_events_are_told_as_ever(kueue):
    kueue.workloads = [admitted("cloud-l4")]
    of = server(0.1, step(30, {"reason": "Pulling", "type": "Normal"}), 0.1)
    of.pod_reflector.pods["vision/notebook-ada"] = pod(node="l4-0")

    assert messages(shown(of)) == [progress.WORDS["Pulling"]]
    assert kueue.asked == []


def test_a_server_without_a_gpu_asks_nothing_and_is_told_as_ever(kueue, monkeypatch):
    monkeypatch.setattr(spawner, "told", known)
    kueue.workloads = [workload(conditions=RESERVED, gpus=0)]
    steps = shown(server(0.1, step(30, STARTING), 0.05, profile="small"))

    assert steps == [
        {
            **step(30, STARTING),
            "message": progress.WORDS["TriggeredScaleUp"],
            "html_message": progress.WORDS["TriggeredScaleUp"],
        }
    ]
    assert kueue.asked == []


def test_what_the_cluster_says_is_text_on_the_page_and_never_markup(kueue, monkeypatch):
    monkeypatch.setattr(waiting, "sentence", lambda *_: "<b>Queued</b>")

    (only,) = shown(server(0.1))
    assert only["html_message"] == "&lt;b&gt;Queued&lt;/b&gt;"


@pytest.mark.parametrize("fails", [ApiException(403, "Forbidden"), TimeoutError()])
def test_a_server_starts_where_the_queue_cannot_be_asked(kueue, fails):
    kueue.fails = fails
    of = server(0.1, step(30, STARTING), 0.1)

    assert messages(shown(of)) == [progress.WORDS["TriggeredScaleUp"]]
    assert of.warnings == [f"Cannot say why notebook-ada waits: {fails!r}"], "once, not every time"


def test_an_answer_of_another_shape_does_not_stop_a_server(kueue):
    kueue.workloads = [{"metadata": {}}]

    assert messages(shown(server(0.1, step(30, STARTING)))) == [progress.WORDS["TriggeredScaleUp"]]


def test_nobody_is_asked_any_more_once_the_server_is_up(kueue):
    async def start() -> int:
        of = server(0.05)
        await of._start()
        before = len(kueue.asked)
        await asyncio.sleep(0.1)
        assert before
        return len(kueue.asked) - before

    assert asyncio.run(start()) == 0


def test_a_server_that_is_late_says_what_it_waited_for(kueue):
    of = server(5.0)
    of.start_timeout = spawner.MARGIN + 0.1

    with pytest.raises(spawner.Refused) as late:
        asyncio.run(of._start())
    assert QUEUED in str(late.value.args[0])


def test_steps_come_as_they_are_and_a_pause_is_none():
    async def steps(go_on):
        yield 1
        await go_on.wait()
        yield 2

    async def all_of() -> list[Any]:
        go_on, found = asyncio.Event(), []
        async for one in progress.paced(steps(go_on), 0.01):
            found.append(one)
            if one is None:
                go_on.set()
        return found

    found = asyncio.run(asyncio.wait_for(all_of(), 10))
    assert [one for one in found if one] == [1, 2]
    assert found[1] is None


# -- what is asked --------------------------------------------------------------------------------


def test_work_is_asked_for_in_the_own_team_and_numbers_in_all(kueue):
    shown(server(0.01))

    group, version = API.split("/")
    assert kueue.asked == [
        (group, version, "vision", "workloads"),
        (group, version, "vision", "localqueues", LOCAL_QUEUE),
        (group, version, "language", "localqueues", LOCAL_QUEUE),
    ]


def test_where_no_pool_is_told_nobody_is_asked_about_others(kueue, monkeypatch):
    monkeypatch.setattr(spawner, "told", lambda: stack({}))

    assert messages(shown(server(0.01))) == [QUEUED]
    assert {what[3] for what in kueue.asked} == {"workloads"}


def test_all_servers_share_one_answer_about_who_uses_what(monkeypatch):
    kueue, of = Kueue(vision={"own": 4}, language={"own": 1200}), queues.Queues()

    async def twice() -> Any:
        first = await of.used(kueue, ["vision", "language"])
        assert await of.used(kueue, ["vision", "language"]) == first
        return first

    assert asyncio.run(twice()) == {"vision": {"own": 4}, "language": {"own": 1200}}
    assert len(kueue.asked) == 2
    monkeypatch.setattr(queues, "FRESH", 0.0)
    asyncio.run(of.used(kueue, ["vision"]))
    assert len(kueue.asked) == 3


def test_a_queue_without_a_status_has_nothing_in_use():
    class New(Kueue):
        async def get_namespaced_custom_object(self, *what: str, **how: Any) -> dict[str, Any]:
            return {"metadata": {}, "spec": {}}

    assert asyncio.run(queues.Queues().used(New(), ["vision"])) == {"vision": {}}


def test_only_gpus_are_counted():
    class Cores(Kueue):
        async def get_namespaced_custom_object(self, *what: str, **how: Any) -> dict[str, Any]:
            found = local_queue("vision", own=4)
            found["status"]["flavorsReservation"][0]["resources"].append({"name": "cpu"})
            return found

    assert asyncio.run(queues.Queues().used(Cores(), ["vision"])) == {"vision": {"own": 4}}


def test_numbers_of_all_teams_are_what_the_sentence_counts(kueue):
    kueue.used = {"vision": {"own": 4}, "language": {"own": 12}}

    (only,) = messages(shown(server(0.1)))
    assert "All 16 of the company's A100 80GB are in use" in only


def test_hub_and_queue_speak_of_the_same_kinds():
    assert (f"{queues.GROUP}/{queues.VERSION}", queues.GROUP) == (API, GROUP)
    assert queues.LOCAL_QUEUE == LOCAL_QUEUE
    assert PRIORITIES["notebook"] == workload()["spec"]["priority"]
    assert infra_queues.DEFINITIONS[-1] == "workloads"


# -- what the stack tells -------------------------------------------------------------------------


def test_the_page_knows_the_queues_pools_in_its_order(engine):
    found = pools(load())

    assert list(found) == ["a100", "l4"]
    own, cloud = found.values()
    assert (own.title, own.burst, own.gpus, own.each) == ("A100 80GB", False, 16, 8)
    assert (own.price, own.spot) == (None, False)
    assert (cloud.title, cloud.burst, cloud.gpus, cloud.each) == ("L4", True, 8, 1)
    assert (cloud.price, cloud.spot) == (0.401, True), "what a spot machine was seen at"


def test_the_price_is_that_of_the_cloud_that_the_stack_chose(engine):
    settings = load("prod-gcp")
    named = settings.cluster.pools["l4"]

    assert price(settings, named.model_copy(update={"spot": False})) == 0.76
    assert price(settings, named.model_copy(update={"spot": True})) == 0.23
    unsold = named.model_copy(update={"gpus_per_node": 7})
    assert price(settings, unsold) is None
    assert price(settings, settings.cluster.pools["a100"]) is None


def test_a_spot_price_that_nobody_found_is_not_made_up(engine):
    settings = load()
    four = settings.cluster.pools["l4"].model_copy(update={"gpus_per_node": 4, "spot": True})

    assert price(settings, four) is None


def test_what_a_team_may_hold_is_what_its_queue_says(engine):
    settings = load()
    quota = settings.tenants["vision"].quota.gpu

    assert held(settings, "vision") == {"a100": quota.onprem, "l4": quota.burst}


def test_where_work_may_run_elsewhere_than_admitted_no_pool_is_told(engine):
    settings = load(queue={"placement": "elastic"})

    assert (pools(settings), held(settings, "vision")) == ({}, {})


@pytest.mark.parametrize(
    ("name", "words"), [("a100-80gb", "A100 80GB"), ("l4", "L4"), ("l40s", "L40S")]
)
def test_a_gpu_is_called_as_people_call_it(name, words):
    assert spoken(name) == words


def whole(name: str) -> Any:
    def build():
        pulumi.runtime.set_all_config(builders.stack_config(name), [])
        return program.assemble()

    return recorded(build)


def rights(engine: Any) -> dict[str, Any]:
    rules = engine.named("tenant-roles-spawner")["rules"]
    return {kind: rule for rule in rules for kind in rule["resources"]}


def test_the_hub_is_told_the_pools_and_may_read_the_queue():
    engine = whole("prod")

    told = hub_told.parse(engine.named("jupyterhub-told")["data"]["hub.json"])
    assert list(told.pools) == ["a100", "l4"]
    assert set(told.tenants["vision"].gpus) == {"a100", "l4"}
    found = rights(engine)
    assert (found["workloads"]["apiGroups"], found["workloads"]["verbs"]) == ([GROUP], ["list"])
    one = found["localqueues"]
    assert (one["apiGroups"], one["verbs"], one["resourceNames"]) == (
        [GROUP],
        ["get"],
        [LOCAL_QUEUE],
    )
    bound = [b["subjects"] for b in engine.of("ClusterRoleBinding").values()]
    assert "jupyterhub-hub" not in json.dumps(bound), "in tenants' namespaces alone"


def test_without_pools_the_hub_may_not_read_a_queue_that_is_not_there():
    engine = whole("dev")

    assert not {"workloads", "localqueues"} & set(rights(engine))
    assert json.loads(engine.named("jupyterhub-told")["data"]["hub.json"])["pools"] == {}
