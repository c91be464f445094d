"""The doctor, on answers recorded in tests/unit/doctor.

They are made by hand by the documented formats of kubectl, the AWS CLI and gcloud: no cloud was
asked. Each test changes one answer, and sees what the doctor says of it.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from infra import settings as stack_settings
from infra.settings import Settings
from rig import paths
from rig.doctor import cluster, examine
from rig.doctor.findings import Finding, Severity, fine, unsure, wrong
from rig.doctor.versions import of_image, version
from rig.facts import INSTALL, Answer, Live, Question, Recorded

HERE = Path(__file__).parent / "doctor"
STACKS = {"aws": "prod", "gcp": "prod-gcp"}
Answers = dict[str, Any]


def settings(cloud: str) -> Settings:
    return stack_settings.read(paths.ROOT / f"Pulumi.{STACKS[cloud]}.yaml")


def said(cloud: str, change: Callable[[Answers], object] = lambda _: None) -> list[Finding]:
    answers = deepcopy(json.loads((HERE / f"{cloud}.json").read_text()))
    change(answers)
    return list(examine.findings(settings(cloud), Recorded(answers)))


def bad(cloud: str, change: Callable[[Answers], object]) -> Finding:
    """The only finding that is not fine."""
    (found,) = [f for f in said(cloud, change) if f.severity is not Severity.FINE]
    assert found.fix
    assert "\n" not in found.what + found.fix
    return found


@pytest.mark.parametrize("cloud", STACKS)
def test_a_good_stack_has_nothing_to_mend(cloud: str):
    found = said(cloud)
    assert [f for f in found if f.severity is not Severity.FINE] == []
    assert len(found) >= 6


@pytest.mark.parametrize("cloud", STACKS)
def test_every_question_that_is_asked_is_known_beforehand(cloud: str):
    asked = {q.name for q in examine.questions(settings(cloud))}
    recorded = set(json.loads((HERE / f"{cloud}.json").read_text())) - {"note"}
    assert asked == recorded - {"aws quota L-DB2E81BA"}


@pytest.mark.parametrize("cloud", STACKS)
def test_questions_only_read(cloud: str):
    verbs = {"get", "version", "list", "describe"}
    for question in examine.questions(settings(cloud)):
        words = {word.partition("-")[0] for word in question.command}
        assert words & verbs, question
        assert not words & {"create", "delete", "put", "update", "set", "add", "enable", "apply"}


# -- cluster ---------------------------------------------------------------------------------------


def test_a_cluster_that_does_not_answer_is_one_finding():
    error = {"error": "dial tcp 10.10.0.2:6443: i/o timeout"}
    found = said("aws", lambda a: a.update({"kubectl version": error}))
    broken = [f for f in found if f.severity is Severity.WRONG]
    assert broken[0].what == f"context onprem cannot be reached: {error['error']}"
    assert len(broken) == 1


def node(answers: Answers, name: str) -> Any:
    return next(n for n in answers["kubectl nodes"]["items"] if n["metadata"]["name"] == name)


def test_a_node_of_the_settings_that_is_not_there():
    def rename(a: Answers) -> None:
        node(a, "gpu-1")["metadata"]["name"] = "gpu-01"

    found = bad("aws", rename)
    assert found.what == "pool a100: there is no node gpu-1"
    assert "gpu-01" in found.fix


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ({"allocatable": {}}, "node gpu-0 advertises no nvidia.com/gpu"),
        (
            {"allocatable": {"nvidia.com/gpu": "16"}},
            "advertises 16 nvidia.com/gpu, the settings say",
        ),
        ({"allocatable": {"nvidia.com/gpu": "7"}}, "advertises 7 nvidia.com/gpu, the settings say"),
        ({"conditions": [{"type": "Ready", "status": "Unknown"}]}, "node gpu-0 is not ready"),
        ({"nodeInfo": {"kubeletVersion": "v1.37.0"}}, "gpu-0 runs kubelet v1.37.0"),
        ({"nodeInfo": {"kubeletVersion": "v1.32.9"}}, "gpu-0 runs kubelet v1.32.9"),
        (
            {"addresses": [{"type": "InternalIP", "address": "10.11.0.1"}]},
            "outside of 10.10.0.0/16",
        ),
    ],
)
def test_a_node_that_is_not_as_the_settings_say(status: dict[str, Any], what: str):
    found = bad("aws", lambda a: node(a, "gpu-0")["status"].update(status))
    assert what in found.what


def test_shared_gpus_are_advertised_several_times():
    stack = settings("aws")
    pools = stack.cluster.pools
    parts = pools["a100"].model_copy(update={"mig": "1g.10gb"})
    shared = stack.model_copy(
        update={"cluster": stack.cluster.model_copy(update={"pools": {**pools, "a100": parts}})}
    )

    def found(gpus: int) -> list[Severity]:
        answers = json.loads((HERE / "aws.json").read_text())
        node(answers, "gpu-0")["status"]["allocatable"]["nvidia.com/gpu"] = str(gpus)
        return [f.severity for f in examine.findings(shared, Recorded(answers))]

    assert set(found(56)) == {Severity.FINE}
    assert Severity.WRONG in found(32)


def test_pods_in_the_clouds_network_are_seen():
    def move(a: Answers) -> None:
        node(a, "gpu-0")["spec"] = {"podCIDRs": ["10.64.9.0/24"]}

    texts = [f.what for f in said("aws", move) if f.severity is Severity.WRONG]
    assert texts == [
        "pods of gpu-0 use 10.64.9.0/24, outside of 10.42.0.0/16",
        "pods of gpu-0 use 10.64.9.0/24, which overlaps spillway:aws.network (10.64.0.0/16)",
    ]


def test_services_elsewhere_are_seen_by_their_range_or_by_one_address():
    other: Any = {"items": [{"spec": {"cidrs": ["10.97.0.0/16", "fd00::/112"]}}]}
    texts = [
        f.what
        for f in said("gcp", lambda a: a.update({"kubectl servicecidrs": other}))
        if f.severity is Severity.WRONG
    ]
    assert texts == [
        "Services use 10.97.0.0/16, outside of 10.43.0.0/16",
        "Services use 10.97.0.0/16, which overlaps spillway:gcp.services (10.97.0.0/20)",
    ]

    def old(a: Answers) -> None:
        a["kubectl servicecidrs"] = {"error": "the server doesn't have a resource type"}
        a["kubectl service"]["spec"]["clusterIP"] = "10.96.0.1"

    assert bad("aws", old).what == "Services use 10.96.0.1, outside of 10.43.0.0/16"


@pytest.mark.parametrize(
    ("cloud", "tag", "severity"),
    [
        ("gcp", "v1.36.1", Severity.WRONG),
        ("gcp", "v1.37.0@sha256:abc", Severity.FINE),
        ("gcp", "latest", Severity.UNSURE),
        ("aws", "v1.36.1", Severity.FINE),
    ],
)
def test_old_autoscalers_are_refused_on_google_cloud(cloud: str, tag: str, severity: Severity):
    def use(a: Answers) -> None:
        spec = a["kubectl deployments"]["items"][0]["spec"]["template"]["spec"]
        spec["containers"][0]["image"] = f"example.com:5000/cluster-autoscaler:{tag}"

    (found,) = [f for f in said(cloud, use) if "spillway/cluster-autoscaler" in f.what]
    assert found.severity is severity


def test_versions_are_read_as_they_are_written():
    assert version("v1.36.2+k3s1") == (1, 36, 2)
    assert version("1.37") == (1, 37, 0)
    assert version("main") is None
    assert of_image("host:5000/a/cluster-autoscaler:v1.37.1@sha256:12") == (1, 37, 1)
    assert of_image("host:5000/a/cluster-autoscaler") is None


# -- AWS -------------------------------------------------------------------------------------------


def test_another_account_is_refused():
    found = bad("aws", lambda a: a["aws identity"].update(Account="999999999999"))
    assert "999999999999, the stack's is 123456789012" in found.what


def test_a_cli_that_is_missing_is_named_with_where_to_get_it():
    class Without:
        def ask(self, question: Question) -> Answer:
            if question.command[0] == "aws":
                return Answer(error="aws is not installed", fix=INSTALL["aws"])
            return Recorded.load(HERE / "aws.json").ask(question)

    (found,) = [f for f in examine.findings(settings("aws"), Without()) if f.fix]
    assert found == unsure("AWS: aws is not installed", INSTALL["aws"])


def test_a_limit_below_the_pools_is_refused_with_the_command_that_raises_it():
    found = bad("aws", lambda a: a["aws quota L-3819A6DF"]["Quota"].update(Value=31.0))
    assert "(L-3819A6DF): 31 vCPUs, 8 g6.xlarge of l4 need 32" in found.what
    assert "--quota-code L-3819A6DF --desired-value 32 --region eu-central-1" in found.fix


def test_on_demand_has_a_limit_of_its_own():
    own = settings("aws")
    pool = own.cluster.pools["l4"].model_copy(update={"spot": False})
    pools = {**own.cluster.pools, "l4": pool}
    changed = own.model_copy(update={"cluster": own.cluster.model_copy(update={"pools": pools})})
    found = examine.findings(changed, Recorded.load(HERE / "aws.json"))
    (broken,) = [f for f in found if f.severity is Severity.WRONG]
    assert "Running On-Demand G and VT instances (L-DB2E81BA): 0 vCPUs" in broken.what


@pytest.mark.parametrize(("zones", "severity"), [("bc", Severity.UNSURE), ("c", Severity.WRONG)])
def test_a_machine_that_is_not_offered_in_the_zones(zones: str, severity: Severity):
    def only(a: Answers) -> None:
        offers = a["aws offerings"]["InstanceTypeOfferings"]
        a["aws offerings"]["InstanceTypeOfferings"] = [
            o for o in offers if o["Location"][-1] in zones
        ]

    found = bad("aws", only)
    assert found.severity is severity
    assert "eu-central-1c" in found.fix


def test_a_gpu_that_the_cloud_does_not_sell():
    own = settings("gcp")
    pool = own.cluster.pools["l4"].model_copy(update={"gpus_per_node": 8})
    pools = {**own.cluster.pools, "l4": pool}
    changed = own.model_copy(update={"cluster": own.cluster.model_copy(update={"pools": pools})})
    found = examine.findings(changed, Recorded.load(HERE / "gcp.json"))
    (broken,) = [f for f in found if f.severity is Severity.WRONG]
    assert broken.what == "pool l4: gcp sells no machine with 8 l4"
    assert "1, 2 GPUs a machine" in broken.fix


# -- Google Cloud ----------------------------------------------------------------------------------


def test_interfaces_that_are_off_are_named_with_the_command():
    found = bad("gcp", lambda a: a["gcp services"].pop(7))
    assert "off in example-ds: sqladmin.googleapis.com" in found.what
    assert found.fix == "gcloud services enable sqladmin.googleapis.com --project example-ds"


def limit(answers: Answers, place: str, metric: str, **values: float) -> None:
    next(q for q in answers[place]["quotas"] if q["metric"] == metric).update(values)


@pytest.mark.parametrize(
    ("place", "metric", "values", "severity"),
    [
        ("gcp region", "PREEMPTIBLE_NVIDIA_L4_GPUS", {"limit": 7.0}, Severity.WRONG),
        ("gcp region", "PREEMPTIBLE_NVIDIA_L4_GPUS", {"usage": 1.0}, Severity.UNSURE),
        ("gcp project", "GPUS_ALL_REGIONS", {"limit": 0.0}, Severity.WRONG),
    ],
)
def test_limits_of_gpus(place: str, metric: str, values: dict[str, float], severity: Severity):
    found = bad("gcp", lambda a: limit(a, place, metric, **values))
    assert found.severity is severity
    assert found.what.startswith(metric)
    assert "the pools need 8" in found.what


# -- live ------------------------------------------------------------------------------------------


def test_questions_are_asked_once():
    asked: list[str] = []

    def run(command: Any) -> Answer:
        asked.append(command[0])
        return Answer(value=1)

    live, question = Live(run), Question("x", ("kubectl",))
    live.ask_ahead([question])
    assert live.ask(question) == Answer(value=1)
    assert asked == ["kubectl"]


def test_programs_are_run_and_their_errors_are_one_line(tmp_path: Path, monkeypatch):
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\n[ "$1" = ok ] && echo "{\\"a\\": 1}" || echo "no\nway" >&2\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert Live().ask(Question("x", ("kubectl", "ok"))) == Answer(value={"a": 1})
    program.write_text('#!/bin/sh\necho "no\nway" >&2\nexit 3\n')
    assert Live().ask(Question("x", ("kubectl", "bad"))) == Answer(error="way")
    monkeypatch.setenv("PATH", "/nowhere")
    gone = Live().ask(Question("x", ("gcloud", "ok")))
    assert gone == Answer(error="gcloud is not installed", fix=INSTALL["gcloud"])


def test_the_context_of_the_settings_is_asked():
    commands = [q.command for q in cluster.questions(settings("aws"))]
    assert all(command[:3] == ("kubectl", "--context", "onprem") for command in commands)


def test_what_is_wrong_ends_with_failure(capsys):
    assert examine.tell([fine("a"), unsure("b", "look")])
    assert not examine.tell([wrong("c [x]", "mend it")])
    assert "c [x]" in capsys.readouterr().out
