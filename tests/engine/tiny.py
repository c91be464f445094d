"""A tiny program in a folder of its own, run by the real engine with a state of its own."""

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace

from rig import plugin_home
from rig.stack import Stack, environment

PROGRAM = """\
import pulumi
import pulumi_random as random

config = pulumi.Config()
password = random.RandomPassword("db", length=config.require_int("length"), special=False)
salt = random.RandomPassword("salt", length=32, special=False, keepers={"of": password.result})
pulumi.export("length", password.length)
pulumi.export("password", password.result)
pulumi.export("salt", salt.result)
"""
# The odd spacing would not survive a file that the engine writes.
CONFIG = "# tiny\nconfig:\n    tiny:length:   16   # characters\n"

NewStack = Callable[..., Stack]


def clean(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a user who has not set up Pulumi."""
    return {name: value for name, value in variables.items() if not name.startswith("PULUMI_")}


def refresh(stack: Stack) -> Stack:
    """The same stack in the environment of a new command."""
    env = environment(
        stack.state, tools=[plugin_home.stand_in("random").parent], base=clean(os.environ)
    )
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
