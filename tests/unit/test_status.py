"""The status of a stack, on answers recorded in tests/unit/status.

They are made by hand after the API of Kubernetes and of Kueue 0.19.2: no cluster was asked. Each
test changes one answer, and sees what becomes of the sum.
"""

import io
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from components import tenant as tenant_roles
from components.cluster.nodes import GPU
from components.cluster.queue import PRIORITIES
from infra import charts, queues
from infra import settings as stack_settings
from infra.sections import Placement
from infra.settings import Settings
from rig import paths
from rig.errors import RigError
from rig.facts import INSTALL, Answer, Live, Question, Recorded
from rig.kube import pod_gpus, whole
from rig.status import report
from rig.status.cluster import questions
from rig.status.show import show
from rig.status.summary import Pool, Share, Status, Tenant, Work
from rig.status.text import plain, span
from rig.status.why import waits
from rig.status.work import CLASSES, PERSON, ROLES

FILE = Path(__file__).parent / "status" / "prod.json"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Answers = dict[str, Any]
FULL = "insufficient unused quota for nvidia.com/gpu in flavor {}, {} more needed"


def settings(**cluster: Any) -> Settings:
    own = stack_settings.read(paths.ROOT / "Pulumi.prod.yaml")
    return own.model_copy(update={"cluster": own.cluster.model_copy(update=cluster)})


def seen(
    change: Callable[[Answers], object] = lambda _: None, own: Settings | None = None
) -> Status:
    answers = deepcopy(json.loads(FILE.read_text()))
    change(answers)
    return report.status("prod", own or settings(), Recorded(answers), NOW)


def one(answers: Answers, kind: str, name: str) -> Any:
    return next(o for o in answers[f"kubectl {kind}"]["items"] if o["metadata"]["name"] == name)


def pool(found: Status, name: str) -> Pool:
    return next(p for p in found.pools if p.name == name)


def tenant(found: Status, name: str) -> Tenant:
    return next(t for t in found.tenants if t.name == name)


def share(found: Status, name: str, of: str) -> Share:
    return next(s for s in tenant(found, name).shares if s.pool == of)


def work(found: Status, name: str) -> Work:
    return next(w for w in (*found.running, *found.waiting) if w.name == name)


def told(found: Status, width: int = 100) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width, highlight=False, soft_wrap=True), found)
    return out.getvalue()


# -- pools -----------------------------------------------------------------------------------------


def test_pools_fill_up_in_order_with_their_nodes_and_gpus():
    onprem, burst = seen().pools
    assert (onprem.name, onprem.tier, onprem.accelerator) == ("a100", "onprem", "a100-80gb")
    assert (onprem.nodes_ready, onprem.nodes_not_ready, onprem.nodes_most) == (2, 0, 2)
    assert (onprem.gpus_used, onprem.gpus_there, onprem.gpus_most) == (11, 16, 16)
    assert (burst.name, burst.tier, burst.accelerator) == ("l4", "burst", "l4")
    assert (burst.nodes_ready, burst.nodes_not_ready, burst.nodes_most) == (1, 1, 8)
    assert (burst.gpus_used, burst.gpus_there, burst.gpus_most) == (2, 1, 8)


def test_onprem_costs_nothing_and_every_machine_of_a_cloud_its_spot_price():
    found = seen()
    assert pool(found, "a100").price is None
    assert pool(found, "a100").usd_now == 0
    paid = pool(found, "l4").price
    assert paid is not None
    assert (paid.usd, paid.kind, paid.verified) == (0.401, "spot", False)
    # The one that is not ready is paid for too.
    assert found.costs.usd_now == pytest.approx(2 * 0.401)


def test_a_pool_that_is_not_spot_costs_its_on_demand_price():
    own = settings()
    l4 = own.cluster.pools["l4"].model_copy(update={"spot": False})
    found = seen(own=settings(pools={**own.cluster.pools, "l4": l4}))
    paid = pool(found, "l4").price
    assert paid is not None
    assert (paid.usd, paid.kind, paid.verified) == (0.8048, "on-demand", True)
    assert found.costs.verified
    assert "*" not in told(found)


def test_a_spot_pool_without_a_known_spot_price_costs_the_on_demand_price():
    own = settings()
    l4 = own.cluster.pools["l4"].model_copy(update={"gpus_per_node": 4})
    found = seen(own=settings(pools={**own.cluster.pools, "l4": l4}))
    paid = pool(found, "l4").price
    assert paid is not None
    assert (paid.usd, paid.kind) == (4.6016, "on-demand")


def test_the_most_that_it_costs_is_the_gates_ceiling():
    # Caps of 2 and 4 GPUs, one a machine, of the 8 machines that there can be.
    assert seen().costs.usd_most == pytest.approx(6 * 0.8048)
    own = settings()
    queue = own.queue.model_copy(update={"placement": Placement.ELASTIC})
    elastic = seen(own=own.model_copy(update={"queue": queue}))
    assert elastic.costs.usd_most == pytest.approx(8 * 0.8048)


def test_onprem_nodes_are_those_of_the_file_labels_or_not():
    def forget(a: Answers) -> None:
        one(a, "nodes", "gpu-0")["metadata"]["labels"] = {}
        # An onprem label is no machine of the cloud's pool.
        marks = one(a, "nodes", "head-0")["metadata"]["labels"]
        marks |= {"spillway.dev/pool": "l4", "spillway.dev/tier": "onprem"}

    found = seen(forget)
    assert pool(found, "a100").nodes_ready == 2
    assert pool(found, "l4").nodes_ready == 1


def test_gpus_of_init_containers_do_not_add_up_with_the_others():
    def asks(gpus: str) -> dict[str, Any]:
        return {"resources": {"limits": {"nvidia.com/gpu": gpus}}}

    assert pod_gpus({"containers": [asks("2"), asks("1"), {}], "initContainers": [asks("1")]}) == 3
    assert pod_gpus({"containers": [asks("1")], "initContainers": [asks("4")]}) == 4
    assert [whole("8"), whole("2k"), whole(3)] == [8, 2000, 3]


# -- queues ----------------------------------------------------------------------------------------


def test_what_a_tenant_holds_is_told_against_its_own_and_its_cap():
    found = seen()
    onprem, burst = share(found, "vision", "a100"), share(found, "vision", "l4")
    assert (onprem.held, onprem.quota, onprem.borrowed) == (11, 4, 7)
    assert (burst.held, burst.quota, burst.borrowed) == (0, 2, 0)
    burst = share(found, "language", "l4")
    assert (burst.held, burst.quota, burst.borrowed, burst.lent) == (2, 4, 0, 0)


def test_lent_is_what_the_owner_could_not_have_now():
    # language holds 4 of its 8, and a single one of all 16 is free.
    assert share(seen(), "language", "a100").lent == 3

    def free(a: Answers) -> None:
        (a100, _) = one(a, "clusterqueues", "vision")["status"]["flavorsReservation"]
        a100["resources"][0] |= {"total": "4", "borrowed": "0"}

    assert share(seen(free), "language", "a100").lent == 0


def test_waiting_is_counted_by_tenant_with_the_longest():
    language, vision = tenant(seen(), "language"), tenant(seen(), "vision")
    assert (language.waiting, language.longest_wait_seconds) == (2, 30 * 60)
    assert (vision.waiting, vision.longest_wait_seconds) == (1, 60 * 60)

    def end(a: Answers) -> None:
        a["kubectl workloads"]["items"] = []

    assert (
        tenant(seen(end), "vision").waiting,
        tenant(seen(end), "vision").longest_wait_seconds,
    ) == (
        0,
        0,
    )


@pytest.mark.parametrize("kind", ["clusterqueues", "localqueues"])
def test_a_tenant_whose_queue_is_missing_or_stopped_is_warned_of(kind: str):
    def lose(a: Answers) -> None:
        a[f"kubectl {kind}"]["items"].pop(0)

    (found,) = [w for w in seen(lose).warnings if "tenant" in w.what]
    assert found.what.startswith("tenant language has no ")
    assert found.step == "apply the stack: make up"

    def stop(a: Answers) -> None:
        active = a[f"kubectl {kind}"]["items"][0]["status"]["conditions"][0]
        active |= {"status": "False", "reason": "FlavorNotFound", "message": "no flavor a100"}

    (found,) = [w for w in seen(stop).warnings if "tenant" in w.what]
    assert found.what.endswith("of tenant language takes no work: no flavor a100")
    assert found.step.startswith(f"kubectl --context onprem describe {kind[:-1]} ")


# -- who uses what ---------------------------------------------------------------------------------


def test_each_piece_of_work_is_told_with_what_it_is_and_whose():
    found = {w.name: (w.tenant, w.what, w.person, w.gpus, w.pools) for w in seen().running}
    assert found == {
        "jupyter-scientist---1": ("vision", "notebook", "scientist@example.com", 1, ("a100",)),
        "train": ("vision", "job", "", 10, ("a100",)),
        "tune": ("language", "job", "", 4, ("a100",)),
        "etl-exec-1": ("language", "Spark", "", 1, ("l4",)),
        "answers-main-0-6b7f-x2x": ("language", "model", "", 1, ("l4",)),
    }
    assert work(seen(), "train").since == datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_without_a_pod_the_priority_class_says_what_it_is():
    def lose(a: Answers) -> None:
        a["kubectl pods"]["items"] = []

    found = seen(lose)
    assert work(found, "jupyter-scientist---1").what == "notebook"
    assert work(found, "answers-main-0-6b7f-x2x").what == "model"
    assert work(found, "etl-exec-1").what == "pod"


def test_what_a_pod_of_a_job_gave_back_is_not_held():
    def end(a: Answers) -> None:
        status = one(a, "workloads", "job-train-3f2a1")["status"]
        status["reclaimablePods"] = [{"name": "main", "count": 1}]

    assert work(seen(end), "train").gpus == 5


def test_waiting_is_in_the_order_of_priority_and_time():
    found = seen().waiting
    assert [w.name for w in found] == ["jupyter-linguist---2", "score", "sweep"]
    assert [w.gpus for w in found] == [1, 2, 4]
    assert all(w.reason and not w.pools for w in found)


def test_work_larger_than_its_tenants_share_is_told_that_it_needs_others():
    def ask(gpus: int) -> str:
        def change(a: Answers) -> None:
            part = one(a, "workloads", "job-sweep-8b8b8")["spec"]["podSets"][0]
            part["template"]["spec"]["containers"][0]["resources"]["limits"][GPU] = str(gpus)

        return work(seen(change), "sweep").reason

    assert "lend" not in ask(4)
    assert ask(5).endswith(
        "; more than the 4 that its tenant has of a pool: it waits until others lend theirs"
    )


def test_who_was_not_ready_in_time_waits_behind_and_who_is_switched_off_is_last():
    def late(a: Answers) -> None:
        evicted = one(a, "workloads", "job-score-2d2d2")["status"]["conditions"][2]
        evicted["reason"] = "PodsReadyTimeout"

    assert [w.name for w in seen(late).waiting[1:]] == ["sweep", "score"]

    def off(a: Answers) -> None:
        one(a, "workloads", "pod-jupyter-linguist---2-7f7f7")["spec"]["active"] = False

    last = seen(off).waiting[-1]
    assert last.name == "jupyter-linguist---2"
    assert last.reason == "switched off: it is not tried again by itself"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (FULL.format("a100", 3), "a100 is full: 3 more needed"),
        (
            "insufficient quota for nvidia.com/gpu in flavor l4, previously considered podsets "
            "requests (0) + current podset request (4) > maximum capacity (2)",
            "at most 2 of l4 can be held, it asks for 4",
        ),
        (
            "flavor l4 doesn't match node affinity, " + FULL.format("a100", 1),
            "it does not fit l4 (its node selector or affinity); a100 is full: 1 more needed",
        ),
        (
            "untolerated taint {nvidia.com/gpu present NoSchedule <nil>} in flavor a100",
            "it does not tolerate a taint of a100",
        ),
        (
            FULL.format("a100", 1) + ". Pending the preemption of 2 workload(s)",
            "a100 is full: 1 more needed; work that gives way to it is ending (2)",
        ),
        ("LocalQueue default doesn't exist", "there is no queue default in its namespace: make up"),
        ("ClusterQueue vision is inactive", "the queue vision takes no work"),
        (
            "Workload no longer fits after processing another workload",
            "another was quicker; it is tried again",
        ),
        ("something new", "something new"),
        ("", "the queue has not looked at it yet"),
    ],
)
def test_kueues_reasons_are_told_in_plain_words(message: str, words: str):
    conditions = [{"type": "QuotaReserved", "status": "False", "message": message}]
    assert waits({"spec": {}, "status": {"conditions": conditions}}) == words


def test_work_that_was_put_out_says_why_and_when_it_is_tried_again():
    status = {
        "conditions": [
            {"type": "QuotaReserved", "status": "False", "message": "Exceeded the PodsReady"},
            {"type": "Evicted", "status": "True", "reason": "PodsReadyTimeout", "message": "x"},
        ],
        "requeueState": {"count": 1, "requeueAt": "2026-11-23T12:05:00Z"},
    }
    said = "its pods were not ready in time; tried again at 12:05 UTC"
    assert waits({"spec": {}, "status": status}) == said
    status["conditions"][1]["status"] = "False"
    assert "not ready in time" not in waits({"spec": {}, "status": status})
    assert "it gave way" in work(seen(), "score").reason


# -- warnings --------------------------------------------------------------------------------------


def warned(words: str, change: Callable[[Answers], object] = lambda _: None) -> list[str]:
    found = [w for w in seen(change).warnings if words in w.what]
    assert all(w.step and "\n" not in w.what + w.step for w in found)
    return [w.what for w in found]


def test_a_machine_that_is_paid_for_and_not_ready_is_warned_of():
    (what,) = warned("is not ready")
    assert what == "node ip-10-64-3-8 of pool l4 is not ready for 22 min and costs $0.40/h"

    def lately(a: Answers) -> None:
        ready = one(a, "nodes", "ip-10-64-3-8")["status"]["conditions"][-1]
        ready["lastTransitionTime"] = "2026-11-23T11:45:00Z"

    assert warned("is not ready", lately) == []

    def never(a: Answers) -> None:
        one(a, "nodes", "ip-10-64-3-8")["status"] = {}

    assert warned("is not ready", never)[0].startswith("node ip-10-64-3-8 of pool l4 is not ready")


def test_onprem_nodes_that_are_not_ready_are_counted_and_cost_no_more():
    def down(a: Answers) -> None:
        one(a, "nodes", "gpu-1")["status"]["conditions"][-1]["status"] = "Unknown"

    onprem = pool(seen(down), "a100")
    assert (onprem.nodes_ready, onprem.nodes_not_ready, onprem.gpus_there) == (1, 1, 8)
    assert len(warned("is not ready", down)) == 1


def test_a_machine_of_a_pool_that_the_stack_does_not_have_is_warned_of():
    (what,) = warned("which the stack does not have")
    assert what.startswith("node ip-10-64-3-9 is a cloud's machine of pool t4")

    def bare(a: Answers) -> None:
        # Its taint alone tells whose it is.
        one(a, "nodes", "ip-10-64-3-9")["metadata"]["labels"] = {}

    assert "of pool (none)" in warned("which the stack does not have", bare)[0]

    def pose(a: Answers) -> None:
        one(a, "nodes", "ip-10-64-3-9")["metadata"]["labels"]["spillway.dev/pool"] = "a100"

    assert "of pool a100" in warned("which the stack does not have", pose)[0]
    assert pool(seen(pose), "a100").nodes_ready == 2
    pools = {"a100": settings().cluster.pools["a100"]}
    found = seen(own=settings(pools=pools))
    assert sum("which the stack does not have" in w.what for w in found.warnings) == 3


def test_work_that_was_admitted_but_no_node_takes_is_warned_of():
    (found,) = [w for w in seen().warnings if "quota is not shape" in w.what]
    assert found.what.startswith("language/tune was admitted to a100 15 min ago")
    assert "2 Insufficient nvidia.com/gpu" in found.what
    assert "elastic" in found.step
    own = settings()
    queue = own.queue.model_copy(update={"placement": Placement.ELASTIC})
    elastic = seen(own=own.model_copy(update={"queue": queue}))
    (found,) = [w for w in elastic.warnings if "quota is not shape" in w.what]
    assert "elastic" not in found.step


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("workloads", "job-tune-77aa0", "admitted"),
        ("pods", "tune-abcde", "created"),
        ("pods", "tune-abcde", "running"),
        ("workloads", "job-tune-77aa0", "burst"),
    ],
)
def test_work_that_has_just_begun_to_wait_or_runs_or_bursts_is_not(kind, name, change):
    def mend(a: Answers) -> None:
        thing = one(a, kind, name)
        if change == "admitted":
            for told_ in thing["status"]["conditions"]:
                told_["lastTransitionTime"] = "2026-11-23T11:50:00Z"
        elif change == "created":
            thing["metadata"]["creationTimestamp"] = "2026-11-23T11:55:00Z"
        elif change == "running":
            thing["status"]["phase"] = "Running"
        else:
            (part,) = thing["status"]["admission"]["podSetAssignments"]
            part["flavors"] = {"nvidia.com/gpu": "l4"}

    assert warned("was admitted", mend) == []


@pytest.mark.parametrize("key", ["annotations", "ownerReferences"])
def test_pods_are_found_by_their_owner_or_by_the_name_of_their_workload(key: str):
    def lose(a: Answers) -> None:
        del one(a, "pods", "tune-abcde")["metadata"][key]

    assert len(warned("quota is not shape", lose)) == 1


def test_work_that_has_its_node_and_does_not_start_is_another_matter():
    def bind(a: Answers) -> None:
        pod = one(a, "pods", "tune-abcde")
        pod["spec"]["nodeName"] = "gpu-1"
        pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]

    (found,) = [w for w in seen(bind).warnings if "was admitted" in w.what]
    assert found.what.endswith("and its pod has not started on gpu-1")
    assert found.step == "kubectl --context onprem describe pod -n language tune-abcde"


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ("dial tcp 10.10.0.2:6443: i/o timeout", "context onprem cannot be reached: dial tcp"),
        ("Error from server (Forbidden): no", "context onprem refuses to list {}: use an account"),
        (
            'error: the server doesn\'t have a resource type "x"',
            "context onprem has no {} of Kueue: apply the stack first (make up)",
        ),
    ],
)
@pytest.mark.parametrize("name", ["nodes", "pods", "workloads"])
def test_a_cluster_that_does_not_answer_is_one_line(name: str, answer: str, line: str):
    with pytest.raises(RigError) as raised:
        seen(lambda a: a.update({f"kubectl {name}": {"error": answer}}))
    assert str(raised.value).startswith(line.format(name))
    assert "\n" not in str(raised.value)
    if "reached" in line:
        assert "kubectl config get-contexts" in str(raised.value)


def test_a_missing_kubectl_is_one_line_with_where_to_get_it():
    class Without:
        def ask(self, question: Question) -> Answer:
            return Answer(error="kubectl is not installed", fix=INSTALL["kubectl"])

    with pytest.raises(RigError, match="kubectl is not installed: install it"):
        report.status("prod", settings(), Without(), NOW)


def test_questions_only_read_and_are_all_recorded():
    asked = questions(settings())
    assert {q.name for q in asked} == set(json.loads(FILE.read_text())) - {"note"}
    for question in asked:
        assert question.command[:4] == ("kubectl", "--context", "onprem", "get")


@pytest.mark.parametrize("kind", ["clusterqueues", "localqueues", "workloads"])
def test_recorded_answers_have_the_shape_of_kueues_definitions(kind: str):
    assert kind in queues.DEFINITIONS
    definition = yaml.load(
        charts.manifest(f"kueue-{kind}").read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )
    (version,) = [v for v in definition["spec"]["versions"] if v["name"] == "v1beta2"]
    schema = version["schema"]["openAPIV3Schema"]
    for item in json.loads(FILE.read_text())[f"kubectl {kind}"]["items"]:
        assert list(wrong(item, schema, "")) == []


def wrong(value: Any, schema: Any, where: str):
    """Fields that the definition does not have, and those that it misses."""
    if isinstance(value, dict) and "properties" in schema:
        yield from (f"{where}.{k}?" for k in value if k not in schema["properties"])
        yield from (f"{where}.{k}!" for k in schema.get("required", ()) if k not in value)
        for key, part in value.items():
            yield from wrong(part, schema["properties"].get(key, {}), f"{where}.{key}")
    elif isinstance(value, list):
        for part in value:
            yield from wrong(part, schema.get("items", {}), f"{where}[]")
    elif value not in schema.get("enum", [value]):
        yield f"{where}={value}"


# -- output ----------------------------------------------------------------------------------------


def test_tables_tell_all_of_it():
    text = told(seen())
    for words in (
        "stack prod, context onprem, 2026-11-23 12:00 UTC",
        "costs now: $0.80/h, at most $4.83/h *",
        "* not verified: l4 $0.401 a node, spot",
        "scientist@example.com",
        "a100 is full: 3 more needed; at most 2 of l4 can be held, it asks for 4",
        "quota is not shape",
        "1 h 40 min",
    ):
        assert words in text
    # Into a file or a log, a row is one line.
    rows = [line for line in text.splitlines() if "a100-80gb" in line]
    assert rows[0].split() == [
        "a100",
        "onprem",
        "a100-80gb",
        "2",
        "0",
        "2",
        "11",
        "16",
        "16",
        "0.00",
    ]


def test_nothing_under_way_is_told_in_words():
    def idle(a: Answers) -> None:
        a["kubectl workloads"]["items"] = []

    text = told(seen(idle))
    assert "nothing is running on GPUs" in text
    assert "nothing is waiting" in text


def test_names_of_others_cannot_write_on_the_terminal():
    def name(a: Answers) -> None:
        notes = one(a, "pods", "jupyter-scientist---1")["metadata"]["annotations"]
        notes["hub.jupyter.org/username"] = "\x1b[2Jme[red]\n"

    text = told(seen(name))
    assert "\x1b" not in text
    assert "�[2Jme[red]�" in text
    assert plain("a\tb") == "a�b"


@pytest.mark.parametrize(
    ("minutes", "text"), [(-1, "0 min"), (59, "59 min"), (200, "3 h 20 min"), (3180, "2 d 5 h")]
)
def test_times_are_told_as_people_tell_them(minutes: int, text: str):
    assert span(timedelta(minutes=minutes)) == text


def test_json_has_the_documented_keys():
    found = json.loads(report.in_json(seen()))
    assert found["at"] == "2026-11-23T12:00:00Z"
    assert found["costs"] == {"usd_now": 0.802, "usd_most": 4.8288, "verified": False}
    assert found["running"][0]["pools"] == ["l4"]
    documented = (paths.ROOT / "docs" / "gpus.md").read_text().partition("`make status`")[2]
    assert set(found) == {field.name for field in fields(Status)}
    for part in (found, *(found[k][0] for k in ("pools", "tenants", "running", "warnings"))):
        assert [key for key in part if f"`{key}`" not in documented] == []
    assert [k for k in found["tenants"][0]["shares"][0] if f"`{k}`" not in documented] == []
    assert [k for k in found["pools"][1]["price"] if f"`{k}`" not in documented] == []
    assert [k for k in found["costs"] if f"`{k}`" not in documented] == []


# -- the command -----------------------------------------------------------------------------------


def test_a_stack_without_pools_is_one_plain_line(capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(Live, "ask_ahead", lambda *_: pytest.fail("nothing is asked"))
    report.tell("dev", as_json=False)
    said = capsys.readouterr().out
    assert said.startswith("stack dev has no pools: ")
    assert said.count("\n") == 1
    report.tell("dev", as_json=True)
    assert json.loads(capsys.readouterr().out)["pools"] == []


def test_json_alone_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch):
    answers = Recorded.load(FILE)
    monkeypatch.setattr(Live, "ask_ahead", lambda *_: None)
    monkeypatch.setattr(Live, "ask", lambda _, question: answers.ask(question))
    report.tell("prod", as_json=True)
    assert json.loads(capsys.readouterr().out)["stack"] == "prod"


def test_a_cluster_behind_a_secret_is_not_mistaken_for_the_current_one(tmp_path, monkeypatch):
    text = (paths.ROOT / "Pulumi.prod.yaml").read_text()
    secret = "  spillway:kubeconfig:\n    secure: v1:xyz\n"
    (tmp_path / "Pulumi.prod.yaml").write_text(text + secret)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    with pytest.raises(RigError, match="known by a secret"):
        report.tell("prod", as_json=False)


def test_an_unknown_stack_is_told_with_those_that_there_are():
    with pytest.raises(RigError, match=r"STACK=nowhere: no Pulumi.nowhere.yaml; there are dev, "):
        report.tell("nowhere", as_json=False)


def test_roles_and_the_persons_annotation_are_those_of_the_platform():
    hub = (paths.ROOT / "images/hub/spillway_hub/jupyterhub_config.py").read_text()
    assert f'"{PERSON}": "{{unescaped_username}}"' in hub
    assert set(ROLES) == {
        tenant_roles.NOTEBOOK,
        tenant_roles.EXECUTOR,
        tenant_roles.JOB,
        tenant_roles.MODEL,
    }
    assert set(CLASSES) == set(PRIORITIES)
