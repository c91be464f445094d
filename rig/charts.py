"""Manifests of other projects, fetched while there is a network: the engine takes them later."""

import subprocess
import tempfile
from pathlib import Path

from rig.errors import RigError
from rig.paths import ROOT
from rig.steps import step


def fetch(project: Path = ROOT, reference: str | None = None) -> None:
    """Those of a checkout's lock file, and of its lock file at a git reference."""
    from infra import charts  # noqa: PLC0415 - the SDK takes a second to import

    with step("fetching manifests"), tempfile.TemporaryDirectory() as folder:
        locks = [project / "infra" / charts.LOCK.name]
        if reference and (text := _at(project, reference, charts.LOCK.name)):
            locks.append(Path(folder) / charts.LOCK.name)
            locks[-1].write_text(text)
        try:
            for lock in locks:
                charts.fetch_all(lock)
        except charts.ChartError as error:
            raise RigError(str(error)) from None


def _at(project: Path, reference: str, name: str) -> str:
    """The lock file as it was; nothing where there was none yet."""
    command = ["git", "-C", str(project), "show", f"{reference}:infra/{name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout
