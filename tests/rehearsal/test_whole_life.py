"""`bin/rig rehearse` as a person or CI runs it: a process of its own, offline, by stack file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rig import paths
from rig.rehearsal import Rehearsal

SHARES = {1: 90, 2: 10}
SWITCH = {"prod": "gcp", "prod-gcp": "aws"}
MODELS = {
    "iris": {
        "tenant": "vision",
        "strategy": "canary",
        "versions": [{"uri": f"models:/iris/{n}", "traffic": share} for n, share in SHARES.items()],
    },
    "scaled": {
        "tenant": "vision",
        "versions": [{"uri": "models:/scaled@champion"}],
        "autoscaling": {"maxReplicas": 3},
    },
}
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "hunter2-from-outside",
    "GOOGLE_APPLICATION_CREDENTIALS": "/hunter2-from-outside",
    "PULUMI_ACCESS_TOKEN": "hunter2-from-outside",
}


def rehearse(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rig", "rehearse", *map(str, words)],
        cwd=paths.ROOT,
        env={**os.environ, **CREDENTIALS},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


@pytest.fixture(scope="module", params=SWITCH)
def rehearsed(request, tmp_path_factory):
    reports = tmp_path_factory.mktemp("reports")
    done = rehearse("--stack", request.param, "--reports", reports)
    assert done.returncode == 0, done.stdout + done.stderr
    return request.param, done, {f.name: f.read_text() for f in reports.iterdir()}


def test_the_whole_life_is_played_offline(rehearsed):
    _, done, _ = rehearsed

    scenes = [line.split("  ")[0][2:] for line in done.stdout.splitlines() if line[:1] == "✓"]
    assert {
        "a control plane without machines",
        "up",
        "preview again: no change",
        "up of the change, and all locks off",
        "destroy",
    } <= set(scenes)
    assert "offline" in done.stdout.splitlines()[-1]


def test_first_plan_and_ordinary_change_pass_the_gate(rehearsed):
    _, _, files = rehearsed

    for name in ("preview.md", "preview-of-an-ordinary-change.md"):
        assert "✅" in files[name].splitlines()[1], files[name]


def test_the_other_cloud_is_refused_and_the_way_there_is_told(rehearsed):
    name, _, files = rehearsed

    report = files[f"preview-of-cloud-{SWITCH[name]}.md"]
    assert "✅" not in report.splitlines()[1]
    for what in ("database-instance", "object-store-bucket", "registry"):
        assert what in report
    assert "by hand" in report
    for command in ("pg_dump", "rclone" if "rclone" in report else "sync"):
        assert command in report


def test_two_stack_files_differ_in_one_line():
    one, other = ((paths.ROOT / f"Pulumi.{name}.yaml").read_text().splitlines() for name in SWITCH)

    differences = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    assert differences == [("  spillway:cloud: aws", "  spillway:cloud: gcp")]


def test_a_stack_file_that_is_not_there_is_named_with_those_that_are():
    done = rehearse("--stack", "staging")

    assert done.returncode == 1
    assert "STACK=staging: no Pulumi.staging.yaml; there are dev, prod, prod-gcp" in done.stderr


def test_a_base_that_git_does_not_know_is_one_line(tmp_path):
    done = rehearse("--stack", "prod", "--base", "no-such-branch")

    assert done.returncode == 1
    assert "--base no-such-branch" in done.stderr
    assert "Traceback" not in done.stderr


def test_dev_can_be_rehearsed_too_and_with_models(tmp_path):
    for name in ("Pulumi.yaml", "__main__.py", "components", "infra", "images", ".venv"):
        (tmp_path / name).symlink_to(paths.ROOT / name)
    document = yaml.safe_load((paths.ROOT / "Pulumi.dev.yaml").read_text())
    document["config"]["spillway:models"] = MODELS
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump(document))
    played = Rehearsal("dev", reports=tmp_path / "reports", project=tmp_path)
    played.fetch()

    played.play()

    up = next((tmp_path / "reports").glob("*-up.log")).read_text()
    assert "model-iris-serving created" in up
    assert "model-scaled-scaling-a created" in up
