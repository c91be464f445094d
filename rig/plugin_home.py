"""The engine's home of our own: links to its provider plugins, and no log of its own.

The stand-ins for clouds are for rehearsals alone: nobody may believe that a cloud was changed when
it was not.
"""

import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rig import toolchain

_FOLDER: Final = Path(__file__).parent / "plugins"
CLOUDS: Final = ("aws", "gcp")


def stand_in(name: str) -> Path:
    """Our plugin of the same protocol, where the real one cannot be had."""
    return _FOLDER / name / f"pulumi-resource-{name}"


def for_stacks(programs: Mapping[str, Path], cloud: str) -> dict[str, Path]:
    """The plugins of a stack that is meant: never a stand-in for a cloud."""
    plugins = {
        "kubernetes": programs["pulumi-resource-kubernetes"],
        "random": toolchain.plugin("random") or stand_in("random"),
    }
    if cloud in CLOUDS:
        plugins[cloud] = toolchain.cloud_plugin(cloud, programs["pulumi"])
    return plugins


def for_rehearsals(kubernetes: Path) -> dict[str, Path]:
    """Kubernetes is real; the clouds, and chance, are played."""
    return {"kubernetes": kubernetes, **{name: stand_in(name) for name in (*CLOUDS, "random")}}


def link(home: Path, plugins: Mapping[str, Path]) -> None:
    """Make ``home``, a PULUMI_HOME, hold these plugins in the versions of the SDKs."""
    home.mkdir(parents=True, exist_ok=True)
    _keep_no_log(home / "logs")
    for name, path in plugins.items():
        folder = home / "plugins" / f"resource-{name}-v{version(f'pulumi-{name}')}"
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"pulumi-resource-{name}"
        if place.is_symlink() and place.readlink() == path:
            continue
        place.unlink(missing_ok=True)
        place.symlink_to(path)


def _keep_no_log(logs: Path) -> None:
    """A file where an engine (3.259 does) would log every property of every resource, unasked.

    That log is half of a preview's time and 75 MB for the stack of prod, and no variable turns it
    off. Without the folder the engine goes on; ``--logtostderr`` and ``-v`` work as ever.
    """
    if logs.is_dir():
        shutil.rmtree(logs)
    logs.touch(mode=0o600)
