"""A tiny program in a folder of its own, run by the real engine with a state of its own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from rig.stack import STAND_INS, Stack, environment

PROGRAM = """\
import pulumi
import pulumi_random as random

config = pulumi.Config()
password = random.RandomPassword("db", length=config.require_int("length"), special=False)
salt = random.RandomBytes("salt", length=16, keepers={"of": password.result})
pulumi.export("length", password.length)
pulumi.export("password", password.result)
pulumi.export("salt", salt.hex)
"""
# The odd spacing would not survive a file that the engine writes.
CONFIG = "# tiny\nconfig:\n    tiny:length:   16   # characters\n"

NewStack = Callable[..., Stack]


def clean(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a user who has not set up Pulumi."""
    return {name: value for name, value in variables.items() if not name.startswith("PULUMI_")}


@pytest.fixture
def new_stack(tmp_path: Path) -> NewStack:
    """Makes a stack of the tiny program, with no engine run yet."""
    if shutil.which("pulumi") is None or shutil.which("pulumi-language-python") is None:
        pytest.skip("NO PULUMI ENGINE ON PATH: nothing of the engine is tested; run `make setup`")

    def make(program: str = PROGRAM, config: str = CONFIG) -> Stack:
        project = tmp_path / "tiny"
        project.mkdir()
        (project / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
        (project / "Pulumi.dev.yaml").write_text(config)
        (project / "__main__.py").write_text(program)
        return refresh(Stack(project=project, state=tmp_path / "state", env={}))

    return make


def refresh(stack: Stack) -> Stack:
    """The same stack in the environment of a new command."""
    env = environment(stack.state, tools=[STAND_INS["random"]], base=clean(os.environ))
    return replace(stack, env=env)


def pulumi(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The engine as a user runs it by hand, with the exported environment."""
    return subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        cwd=stack.project,
        env=dict(stack.env),
        text=True,
        capture_output=True,
        check=False,
    )
