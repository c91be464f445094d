"""What a user sees of a wrong config: the real engine's one line, and nothing was made."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from testbed import Testbed
from wrong_configs import SECRET_TEXT, WRONG, Wrong

SAMPLE = (
    "a misspelt key",
    "a misspelt project",
    "a cloud nobody knows",
    "more processes than the database has connections",
    "a size in another spelling",
    "a section that is empty",
    "a kubeconfig in plain text",
    "an unknown secret",
)
"""One of each kind; an engine takes seconds, and unit tests have the whole table."""
CHOSEN = [w for w in WRONG if os.environ.get("SPILLWAY_ALL") or w.name in SAMPLE]


@pytest.fixture(scope="module")
def wrong_stack(bed: Testbed) -> Iterator[str]:
    """A stack without resources beside `dev`."""
    name = "wrong"
    file = bed.platform.project / f"Pulumi.{name}.yaml"
    file.write_text("config: {}\n")
    assert pulumi(bed, "stack", "init", name).returncode == 0
    yield name
    assert pulumi(bed, "stack", "rm", name, "--yes").returncode == 0
    file.unlink(missing_ok=True)


def pulumi(bed: Testbed, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["pulumi", *words, "--non-interactive"],
        cwd=bed.platform.project,
        env=dict(bed.stack.env),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def write(bed: Testbed, stack: str, wrong: Wrong) -> Path:
    file = bed.platform.project / f"Pulumi.{stack}.yaml"
    plain = {key: value for key, value in wrong.config.items() if key not in wrong.secret}
    file.write_text(yaml.safe_dump({"config": plain}))
    for key in wrong.secret:
        value = wrong.config[key]
        assert isinstance(value, str), "sections with secrets are for the unit tests"
        assert pulumi(bed, "config", "set", "--secret", key, value, "-s", stack).returncode == 0
    return file


def test_the_sample_is_of_the_table():
    assert set(SAMPLE) <= {wrong.name for wrong in WRONG}


@pytest.mark.parametrize("wrong", CHOSEN, ids=lambda w: w.name)
def test_the_engine_stops_with_one_line_before_the_first_resource(
    bed: Testbed, wrong_stack: str, wrong: Wrong
):
    if any(not isinstance(wrong.config[key], str) for key in wrong.secret):
        pytest.skip("a secret inside a section: told to the program by unit tests")
    file = write(bed, wrong_stack, wrong)

    done = pulumi(bed, "preview", "--stack", wrong_stack)

    shown = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in shown
    assert SECRET_TEXT not in shown
    assert "kubernetes:" not in shown.replace(told(shown), "")
    assert told(shown).startswith(f"{wrong.key} ")
    assert wrong.value in told(shown)
    assert wrong.allowed in told(shown)
    assert told(shown).endswith(f"Fix it in {file.name}.")


def told(shown: str) -> str:
    """The one error; how the program ended is nothing for the user."""
    assert "exit code" not in shown
    report = shown.partition("Diagnostics:")[2].partition("Resources:")[0]
    _, line = (line.strip() for line in report.splitlines() if line.strip())
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def test_a_wrong_config_leaves_the_running_stack_alone(bed: Testbed, wrong_stack: str):
    write(bed, wrong_stack, WRONG[0])

    done = pulumi(bed, "up", "--yes", "--stack", wrong_stack)

    assert done.returncode != 0
    assert told(done.stdout).startswith(WRONG[0].key)
    state = json.loads(pulumi(bed, "stack", "export", "--stack", wrong_stack).stdout)
    made = {r["type"] for r in state["deployment"].get("resources") or []}
    assert made <= {"pulumi:pulumi:Stack"}
