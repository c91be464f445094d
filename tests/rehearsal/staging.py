"""Stages of the repository's own stack files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from rig import paths
from rig.rehearsal import Stage, scenes

DOOR = ("spillway:domain", "spillway:frontDoor")


def config_of(name: str) -> scenes.Config:
    """As in the file, but without the front door: other projects' definitions are most of a plan.

    The whole life of a stack is played with it.
    """
    config = scenes.config_of(paths.ROOT / f"Pulumi.{name}.yaml")
    return {key: value for key, value in config.items() if key not in DOOR}


def new_stage(folder: Path, name: str, *, crashes: bool = False) -> Stage:
    return Stage(folder, name, paths.ROOT, scenes.context_of(config_of(name)), crashes=crashes)


def both(names: Iterable[str]) -> list[Any]:
    """Stack files, the first at all times and the second cloud's when there is time."""
    first, *others = names
    return [first, *(pytest.param(name, marks=pytest.mark.thorough) for name in others)]
