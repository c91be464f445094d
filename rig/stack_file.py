"""A stack's file, by the stack's name, for commands that run without the engine."""

from pathlib import Path

import pulumi

from infra import settings as stack_settings
from infra.settings import Settings
from rig import paths
from rig.errors import RigError


def read(name: str) -> Settings:
    """Its settings, checked; secrets stay out."""
    file = path(name)
    try:
        return stack_settings.read(file)
    except pulumi.RunError as error:
        raise RigError(str(error)) from None


def path(name: str) -> Path:
    """The file; one that is not there is an error that lists those that are."""
    file = paths.ROOT / f"Pulumi.{name}.yaml"
    if not file.exists():
        known = sorted(f.name.split(".")[1] for f in paths.ROOT.glob("Pulumi.*.yaml"))
        raise RigError(f"STACK={name}: no {file.name}; there are {', '.join(known)}")
    return file
