"""What the engine prints, and how the gate ends."""

import io
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from gate_plans import AWS, CONFIG, GCP, KUBERNETES, RECORDED, Planned

from infra.gate import PlanError, judge
from infra.gate.__main__ import main
from infra.gate.dangers import DANGERS, GUARDS
from infra.gate.floor import _BY_USE, _FREE, _RATES  # pyright: ignore[reportPrivateUsage]
from infra.gate.plan import Change, parse
from infra.gate.precious import PRECIOUS
from infra.gate.values import MISSING, at

ROOT = Path(__file__).resolve().parents[2]
FINE, REFUSED, NOT_JUDGED = 0, 1, 2
PROTECTED = (
    'error: unable to replace resource "urn:pulumi:prod::spillway::x:y:Z::z"\nas it is currently '
    "marked for protection. To unprotect the resource, remove the `protect` flag from the resource"
)


@pytest.fixture
def recorded() -> dict[str, Any]:
    return json.loads(RECORDED.read_text())


def test_plans_of_these_tests_have_the_shape_that_the_engine_prints(recorded: dict[str, Any]):
    plan = Planned(*AWS)
    plan.replace("network", "Vpc", cidrBlock="10.65.0.0/16")
    made = plan.json()
    assert set(made) == set(recorded)
    real = next(s for s in recorded["steps"] if s["op"] == "replace")
    own = next(s for s in made["steps"] if s["op"] == "replace")
    assert set(own) == set(real)
    assert set(own["oldState"]) <= set(real["oldState"])
    assert {d["kind"] for d in own["detailedDiff"].values()} == {
        d["kind"] for d in real["detailedDiff"].values()
    }


def test_a_plan_that_the_engine_printed(recorded: dict[str, Any]):
    verdict = judge(recorded)
    assert len(verdict.reasons) == 2
    assert "`length: 16 → 20`" in verdict.markdown
    assert "**0** to create, **0** to update, **2** to replace, **0** to delete, 3 unchanged" in (
        verdict.markdown
    )


def test_the_steps_of_one_replacement_are_one_replacement(recorded: dict[str, Any]):
    step = next(s for s in recorded["steps"] if s["op"] == "replace")
    at_ = recorded["steps"].index(step)
    created = {**step, "op": "create-replacement"}
    deleted = {k: v for k, v in step.items() if k not in ("newState", "replaceReasons")}
    recorded["steps"][at_ : at_ + 1] = [
        created,
        step,
        {**deleted, "op": "delete-replaced", "detailedDiff": None},
    ]
    assert len(judge(recorded).reasons) == 2
    assert "`length: 16 → 20`" in judge(recorded).markdown


def test_the_engine_that_stopped_at_something_protected_is_still_reported():
    plan = Planned(*AWS)
    urn = plan.replace("network", "Vpc", cidrBlock="10.65.0.0/16")
    plan.diagnostics += [
        {"urn": urn, "message": PROTECTED, "severity": "error"},
        {"message": "error: preview failed\n", "severity": "error"},
    ]
    verdict = judge(plan.json(), CONFIG)
    assert verdict.exit_code == REFUSED
    assert "ec2:Vpc network` is replaced" in verdict.reasons[0]
    assert "make the plan with `--ignore-protect`" in verdict.markdown
    allowed = judge(plan.json(), {**CONFIG, "allow": [urn]})
    assert allowed.exit_code == NOT_JUDGED, "what comes after it was never told"


def test_an_engine_that_failed_is_no_verdict_but_a_report():
    plan = Planned(*AWS)
    plan.diagnostics.append({"message": "error: boom\n", "severity": "error"})
    verdict = judge(plan.json(), CONFIG)
    assert verdict.exit_code == NOT_JUDGED
    assert "Not judged" in verdict.markdown.splitlines()[1]
    assert "error: boom" in verdict.markdown


def test_a_failure_of_another_kind_is_not_taken_for_a_lock():
    plan = Planned(*AWS)
    plan.diagnostics += [
        {"message": "error: Preview failed: no such region\n", "severity": "error"},
        {"message": "error: preview failed\n", "severity": "error"},
    ]
    verdict = judge(plan.json(), CONFIG)
    assert verdict.exit_code == NOT_JUDGED
    assert len(verdict.failures) == 1
    assert "--ignore-protect" not in verdict.markdown
    plan.diagnostics.pop(0)
    assert judge(plan.json(), CONFIG).exit_code == NOT_JUDGED, "failed, and did not say why"


def test_a_warning_is_no_failure():
    plan = Planned(*AWS)
    plan.diagnostics.append({"message": "warning: old\n", "severity": "warning"})
    assert judge(plan.json(), CONFIG).exit_code == FINE


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "not a JSON object"),
        ({}, "no steps"),
        ({"steps": []}, "no steps"),
        (
            {"steps": [], "diagnostics": [{"message": "error: no stack\n", "severity": "error"}]},
            "no steps: no stack",
        ),
        ({"steps": [{"op": "create"}]}, "unexpected shape at steps.0.urn"),
        ({"steps": [{"op": "create", "urn": "u"}]}, "URN is none"),
        ({"steps": [{"op": "create", "urn": "urn:pulumi:a::b::c:d:E::f"}]}, "neither what was"),
        (
            {
                "steps": [
                    {"op": "vanish", "urn": "urn:pulumi:a::b::c:d:E::f", "newState": {"type": "x"}}
                ]
            },
            "does not know: vanish",
        ),
    ],
)
def test_what_cannot_be_read_is_an_error_in_one_line(document: Any, says: str):
    with pytest.raises(PlanError, match=says) as told:
        judge(document)
    assert "\n" not in str(told.value)


def test_every_operation_of_the_engine_is_known():
    # pkg/resource/deploy/step.go of the engine, StepOps.
    replacing = ["replace", "create-replacement", "delete-replaced", "import-replacement"]
    plain = ["same", "create", "update", "delete", "import", "diff", "extend-parameterize"]
    reading = ["read", "read-replacement", "refresh", "discard", "discard-replaced"]
    operations = [*plain, *reading, *replacing, "remove-pending-replace"]
    plan = Planned(*KUBERNETES).json()
    for operation in operations:
        plan["steps"][-1]["op"] = operation
        judge(plan)


def test_importing_is_adopting():
    plan = Planned(*AWS)
    plan.steps[plan.urn("object-store", "Bucket")]["op"] = "import"
    document = plan.json()
    assert Change.ADOPT in {r.change for r in parse(document).resources}
    verdict = judge(document, CONFIG)
    assert verdict.exit_code == FINE
    assert "**1** to adopt" in verdict.markdown


# -- paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"b": [{"c": 1}, 2], "x.y": 3}),
        ("a.b[0].c", 1),
        ("a.b[1]", 2),
        ('a["x.y"]', 3),
        ("a.b[9]", MISSING),
        ("a.b.c", MISSING),
        ("z", MISSING),
        ("a.b[1].c", MISSING),
    ],
)
def test_a_value_is_found_by_its_path(path: str, value: Any):
    found = at({"a": {"b": [{"c": 1}, 2], "x.y": 3}}, path)
    assert found == value or found is value


# -- types -----------------------------------------------------------------------------------------


def sdk_types() -> set[str]:
    """Every type token that the installed SDKs know."""
    found = set[str]()
    for package in ("pulumi_aws", "pulumi_gcp", "pulumi_kubernetes", "pulumi_random"):
        source = Path(import_module(package).__file__ or "").read_text()
        found |= {part for part in source.split('"') if part.count(":") == 2}
    return found


def test_every_type_in_the_tables_exists():
    tables = {*PRECIOUS, *DANGERS, *GUARDS, *_RATES, *_BY_USE}
    installed = {t for t in tables if t.partition(":")[0] != "tls"}
    # Gone since version 7 of the AWS SDK; states made with older ones still have it.
    assert installed - sdk_types() == {"aws:s3/bucketV2:BucketV2"} - sdk_types()


def test_what_is_precious_and_free_is_not_also_priced():
    for type_ in (*_RATES, *_BY_USE):
        assert type_ in _BY_USE or not _FREE.match(type_), type_


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    return tmp_path / "plan.json"


def run(plan: Any, file: Path, *arguments: str) -> int:
    file.write_text(json.dumps(plan))
    return main([str(file), *arguments])


def test_the_status_says_what_the_report_says(plan_file: Path, capsys: pytest.CaptureFixture[str]):
    plan = Planned(*AWS, *KUBERNETES)
    assert run(plan.json(), plan_file) == FINE
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1] == "## ✅ Fine: stack `prod`"
    assert shown.err == ""

    plan.delete("object-store", "Bucket")
    assert run(plan.json(), plan_file) == REFUSED
    assert capsys.readouterr().err.startswith("refused: `aws:s3:Bucket object-store` is deleted")

    broken = Planned(*AWS)
    broken.diagnostics.append({"message": "error: boom", "severity": "error"})
    assert run(broken.json(), plan_file) == NOT_JUDGED
    assert "not judged: the engine" in capsys.readouterr().err


def test_the_report_goes_into_a_file(plan_file: Path, capsys: pytest.CaptureFixture[str]):
    report = plan_file.with_suffix(".md")
    assert run(Planned(*AWS).json(), plan_file, "--output", str(report)) == FINE
    assert report.read_text("utf-8").startswith("<!-- spillway-gate -->\n## ✅")
    assert capsys.readouterr().out == ""


def test_the_plan_may_come_through_a_pipe(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(Planned(*GCP).json())))
    assert main(["-"]) == FINE


@pytest.mark.parametrize("content", ["", "{", "null", '{"steps": 1}', "\ufeff{}", "[]"])
def test_a_file_that_is_no_plan(plan_file: Path, capsys: pytest.CaptureFixture[str], content: str):
    plan_file.write_text(content)
    assert main([str(plan_file)]) == NOT_JUDGED
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said


def test_a_missing_file_and_bytes_that_are_no_text(
    plan_file: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([str(plan_file)]) == NOT_JUDGED
    plan_file.write_bytes(b"\xff\xfe\x00")
    assert main([str(plan_file)]) == NOT_JUDGED
    assert capsys.readouterr().err.count("error: ") == 2


@pytest.mark.parametrize(("name", "made"), [("prod", AWS), ("prod-gcp", GCP)])
def test_the_example_stacks_are_in_their_budgets(plan_file: Path, name: str, made: tuple[Any, ...]):
    settings = ROOT / f"Pulumi.{name}.yaml"
    plan = Planned(*made, *KUBERNETES).json()
    assert run(plan, plan_file, "--settings", str(settings)) == FINE


def test_settings_that_are_wrong_are_told_and_nothing_is_judged(
    plan_file: Path, capsys: pytest.CaptureFixture[str]
):
    wrong = plan_file.with_name("Pulumi.prod.yaml")
    wrong.write_text("config:\n  spillway:cluod: aws\n")
    assert run(Planned(*AWS).json(), plan_file, "--settings", str(wrong)) == NOT_JUDGED
    assert "spillway:cluod" in capsys.readouterr().err
    assert run(Planned(*AWS).json(), plan_file, "--settings", "/nowhere.yaml") == NOT_JUDGED


def test_settings_in_the_plan_count_when_no_others_are_given(plan_file: Path):
    plan = Planned(*AWS).json()
    plan["config"]["spillway:budget"] = json.dumps({"idlePerMonth": 1})
    assert run(plan, plan_file) == REFUSED
    plan["config"]["spillway:budget"] = "{broken"
    assert run(plan, plan_file) == NOT_JUDGED


def test_help(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "--ignore-protect" in capsys.readouterr().out


def test_it_runs_as_a_module(plan_file: Path):
    plan_file.write_text(json.dumps(Planned(*AWS).json()))
    done = subprocess.run(
        [sys.executable, "-m", "infra.gate", str(plan_file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (FINE, "")
