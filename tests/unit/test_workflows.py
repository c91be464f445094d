"""The workflows: who may do what in them, and what their scripts really do."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from gate_plans import AWS, Planned

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
FILES = sorted(GITHUB.glob("workflows/*.yml"))
ACTIONS = sorted(GITHUB.glob("actions/*/action.yml"))
SCRIPTS = sorted(GITHUB.glob("*.sh"))
PIN = re.compile(r"uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$")


def loaded(file: Path) -> dict[str, Any]:
    content = yaml.safe_load(file.read_text())
    # YAML 1.1 takes `on` for a truth value.
    return {("on" if key is True else key): value for key, value in content.items()}


WORKFLOWS = {file.stem: loaded(file) for file in FILES}


JOBS = [
    pytest.param(content, job, id=f"{workflow}.{name}")
    for workflow, content in WORKFLOWS.items()
    for name, job in content["jobs"].items()
]


def steps() -> Iterator[dict[str, Any]]:
    for content in WORKFLOWS.values():
        for job in content["jobs"].values():
            yield from job["steps"]
    for file in ACTIONS:
        yield from loaded(file)["runs"]["steps"]


def test_the_workflows_are_there():
    assert set(WORKFLOWS) == {"preview", "comment", "up", "drift"}


@pytest.mark.parametrize("file", [*FILES, *ACTIONS], ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_every_foreign_action_is_pinned_to_a_commit_with_its_version(file: Path):
    for line in file.read_text().splitlines():
        if "uses:" in line and "uses: ./" not in line:
            assert PIN.search(line), line


def test_an_action_has_one_version_everywhere():
    pins: dict[str, set[str]] = {}
    for file in [*FILES, *ACTIONS]:
        for line in file.read_text().splitlines():
            if found := PIN.search(line):
                pins.setdefault(found[1], set()).add(f"{found[2]} {found[3]}")
    assert len(pins) >= 7
    assert {action: found for action, found in pins.items() if len(found) > 1} == {}


def test_no_trigger_gives_foreign_code_secrets():
    for name, content in WORKFLOWS.items():
        triggers = content["on"] if isinstance(content["on"], dict) else {content["on"]: None}
        assert "pull_request_target" not in triggers
        assert "issue_comment" not in triggers
        assert ("workflow_run" in triggers) == (name == "comment")


@pytest.mark.parametrize(("content", "job"), JOBS)
def test_a_job_may_do_only_what_it_says(content: Mapping[str, Any], job: Mapping[str, Any]):
    assert content["permissions"] == {}
    assert job["permissions"].get("contents") == "read"
    writes = {name for name, level in job["permissions"].items() if level == "write"}
    assert writes in (set(), {"id-token"}, {"issues"}, {"pull-requests"})
    assert 0 < job["timeout-minutes"] <= 120
    assert content["concurrency"]["group"]


@pytest.mark.parametrize(("content", "job"), JOBS)
def test_secrets_and_clouds_are_behind_an_environment(
    content: Mapping[str, Any], job: Mapping[str, Any]
):
    text = json.dumps(job)
    if "secrets." in text or "id-token" in job["permissions"]:
        assert job["environment"] in ("preview", "production")
        assert "vars.SPILLWAY_" in job.get("if", "") or "needs" in job, "runs in every fork"


def test_the_rehearsal_has_nothing_that_could_be_stolen():
    job = WORKFLOWS["preview"]["jobs"]["rehearse"]
    assert job["permissions"] == {"contents": "read"}
    assert not re.search(r"secrets\.|github\.token|GH_TOKEN|id-token", json.dumps(job))
    assert job["strategy"]["matrix"]["stack"] == ["prod", "prod-gcp"]
    for stack in job["strategy"]["matrix"]["stack"]:
        assert (ROOT / f"Pulumi.{stack}.yaml").exists()


def test_the_preview_of_the_real_stack_is_not_for_forks():
    condition = WORKFLOWS["preview"]["jobs"]["live"]["if"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in condition
    assert "vars.SPILLWAY_LIVE_PREVIEW == 'true'" in condition
    assert "||" not in condition


def test_who_may_write_comments_runs_nothing_of_the_pull_request():
    job = WORKFLOWS["comment"]["jobs"]["comment"]
    checkout = next(s for s in job["steps"] if "checkout" in s.get("uses", ""))
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"
    download = next(s for s in job["steps"] if "download-artifact" in s.get("uses", ""))
    assert download["with"]["path"].startswith("${{ runner.temp }}/")


def test_no_token_stays_in_a_checkout():
    checkouts = [step for step in steps() if "actions/checkout" in step.get("uses", "")]
    assert len(checkouts) >= 6
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_nothing_foreign_is_pasted_into_a_script():
    for step in steps():
        assert "${{" not in step.get("run", ""), step["run"]


def test_only_the_second_job_changes_anything_and_only_by_the_plan():
    plan, up = (WORKFLOWS["up"]["jobs"][name] for name in ("plan", "up"))
    assert up["needs"] == "plan"
    assert up["environment"] == "production"
    assert plan["environment"] == "preview"
    run = up["steps"][-1]["run"]
    assert "--plan reports/update-plan.json" in run
    assert "--ignore-protect" not in run
    for file in [*FILES, *SCRIPTS]:
        changing = re.findall(r"pulumi (?:up|destroy|cancel|import|state)\b", file.read_text())
        assert changing == (["pulumi up"] if file.name == "up.yml" else [])


def test_an_update_is_never_stopped_half_way_nor_beside_another():
    assert WORKFLOWS["up"]["concurrency"]["cancel-in-progress"] is False
    groups = [WORKFLOWS[name]["concurrency"]["group"] for name in ("up", "drift")]
    assert all(group.startswith("stack-") for group in groups)


def test_the_engine_has_the_version_of_the_sdk():
    engine = (ROOT / "requirements" / "dev.in").read_text().partition("pulumi==")[2].split()[0]
    assert f"pulumi-version: {engine}\n" in ACTIONS[0].read_text()


# -- other people's checks -------------------------------------------------------------------------


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_zizmor_finds_nothing():
    command = [tool("zizmor"), "--offline", "--no-progress", str(GITHUB)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing():
    command = [tool("actionlint"), *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout


# -- the scripts -----------------------------------------------------------------------------------


class Machine:
    """A runner on which `pulumi` and `gh` are played."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        self.output = folder / "output"
        self.programs = folder / "bin"
        self.programs.mkdir()

    def play(self, program: str, script: str) -> None:
        file = self.programs / program
        file.write_text(f'#!/usr/bin/env bash\necho "{program} $*" >> "{self.calls}"\n{script}\n')
        file.chmod(0o755)

    def run(self, script: str, *arguments: str | Path, **env: str) -> tuple[int, str]:
        path = f"{self.programs}:{os.environ['PATH']}"
        done = subprocess.run(
            [GITHUB / script, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "GITHUB_OUTPUT": str(self.output), **env},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    @property
    def called(self) -> str:
        return self.calls.read_text() if self.calls.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def in_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("the scripts use .venv, which is not there")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.name)
def test_a_script_can_be_run_and_stops_at_the_first_error(script: Path):
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    used = "\n".join(file.read_text() for file in FILES)
    assert f".github/{script.name}" in used


@pytest.mark.usefixtures("in_this_python")
@pytest.mark.parametrize(
    ("engine", "deletes", "status"),
    [(0, False, 0), (0, True, 1), (255, False, 255), (255, True, 1)],
)
def test_a_plan_is_judged_by_the_gate_and_by_the_engine(
    machine: Machine, tmp_path: Path, engine: int, deletes: bool, status: int
):
    plan = Planned(*AWS)
    if deletes:
        plan.delete("object-store", "Bucket")
    (tmp_path / "plan.json").write_text(json.dumps(plan.json()))
    machine.play("pulumi", f'cat "{tmp_path}/plan.json"; exit {engine}')
    summary = tmp_path / "summary.md"
    code, _ = machine.run("plan.sh", "prod", tmp_path / "r", GITHUB_STEP_SUMMARY=str(summary))
    assert code == status
    assert "--json --show-sames --ignore-protect --save-plan" in machine.called
    assert summary.read_text() == (tmp_path / "r" / "preview.md").read_text()
    assert ("Refused" in summary.read_text()) == deletes


@pytest.mark.usefixtures("in_this_python")
def test_an_engine_that_prints_nothing_is_no_approval(machine: Machine, tmp_path: Path):
    machine.play("pulumi", "exit 1")
    assert machine.run("plan.sh", "prod", tmp_path / "r")[0] == 2
    machine.play("pulumi", "exit 0")
    assert machine.run("plan.sh", "prod", tmp_path / "r")[0] == 2


@pytest.mark.usefixtures("in_this_python")
def test_a_comment_is_made_of_plans_judged_anew(machine: Machine, tmp_path: Path):
    plan = Planned(*AWS)
    plan.delete("object-store", "Bucket")
    plans = tmp_path / "plans"
    for name, text in {
        "rehearsal-prod": json.dumps(plan.json()),
        "rehearsal-prod-gcp": "{broken",
        "evil": "x",
    }.items():
        (plans / name).mkdir(parents=True)
        (plans / name / "preview.json").write_text(text)
        (plans / name / "preview.md").write_text("## ✅ Fine, says the pull request, @octocat")
    code, comment = machine.run("report.sh", plans, "https://github.example/run/1")
    assert code == 0
    assert comment.startswith("<!-- spillway-gate -->\n")
    assert comment.count("spillway-gate") == 1
    assert "Refused: stack `prod`" in comment
    assert "No plan: rehearsal-prod-gcp" in comment
    assert "octocat" not in comment
    assert "evil" not in comment
    assert len(comment) < 65_536


def test_a_run_without_plans_still_says_so(machine: Machine, tmp_path: Path):
    code, comment = machine.run("report.sh", tmp_path, "https://github.example/run/1")
    assert code == 0
    assert comment.startswith("<!-- spillway-gate -->\n")
    assert "Nothing was planned" in comment


HEAD = {
    "REPOSITORY": "org/repo",
    "HEAD_OWNER": "someone",
    "HEAD_BRANCH": "a b&c=d",
    "HEAD_SHA": "0" * 40,
}


@pytest.mark.parametrize(("existing", "verb"), [("", "POST"), ("42", "PATCH")])
def test_there_is_one_comment(machine: Machine, tmp_path: Path, existing: str, verb: str):
    machine.play(
        "gh",
        f'case "$*" in *pulls*) echo 7;; *--paginate*) echo "{existing}";; esac',
    )
    code, _ = machine.run("comment.sh", tmp_path / "comment.md", **HEAD)
    assert code == 0
    last = machine.called.splitlines()[-1]
    place = "issues/comments/42" if existing else "issues/7/comments"
    assert last.startswith(f"gh api --method {verb} repos/org/repo/{place} -F body=@")
    assert "-f head=someone:a b&c=d" in machine.called


def test_a_run_of_an_older_head_says_nothing(machine: Machine, tmp_path: Path):
    machine.play("gh", "true")
    assert machine.run("comment.sh", tmp_path / "comment.md", **HEAD)[0] == 0
    assert "--method PATCH" not in machine.called
    assert "--method POST" not in machine.called


DRIFTED = "error: no changes were expected for refresh but changes were proposed"


@pytest.mark.parametrize(
    ("status", "says", "ends", "output"),
    [
        (0, "", 0, "drifted=false\n"),
        (1, DRIFTED, 0, "drifted=true\n"),
        (1, "error: no network", 1, ""),
    ],
)
def test_drift_is_not_failure(machine: Machine, status: int, says: str, ends: int, output: str):
    machine.play("pulumi", f"echo '{says}' >&2; exit {status}")
    assert machine.run("drift.sh", "prod")[0] == ends
    assert (machine.output.read_text() if machine.output.exists() else "") == output
    assert "--preview-only --expect-no-changes" in machine.called


@pytest.mark.parametrize(
    ("drifted", "issue", "does"),
    [
        ("true", "", "issue create --title Drift: stack prod"),
        ("true", "5", "issue comment 5"),
        ("false", "5", "issue close 5"),
        ("false", "", ""),
    ],
)
def test_there_is_one_issue_while_a_stack_has_drifted(
    machine: Machine, drifted: str, issue: str, does: str
):
    machine.play("gh", f'case "$*" in *list*) echo "{issue}";; esac')
    assert machine.run("issue.sh", "prod", drifted, "https://github.example/run/1")[0] == 0
    doing = [line for line in machine.called.splitlines() if line.startswith("gh issue")][1:]
    assert len(doing) == bool(does)
    assert all(line.startswith(f"gh {does}") for line in doing)
