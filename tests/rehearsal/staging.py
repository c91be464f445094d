"""Stages of the repository's own stack files."""

from pathlib import Path

from rig import paths
from rig.rehearsal import Stage, scenes


def config_of(name: str) -> scenes.Config:
    return scenes.config_of(paths.ROOT / f"Pulumi.{name}.yaml")


def new_stage(folder: Path, name: str) -> Stage:
    return Stage(folder, name, paths.ROOT, scenes.context_of(config_of(name)))
