"""The folder a model is put into: whole, or not at all.

A model arrives in ``.incoming`` inside the target, not beside it: the target is where a volume is
mounted, so nothing beside it can be written, or renamed into it. ``.spillway-model`` comes last and
says which model is there; until it does, nothing there counts.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from spillway_fetch.words import Hopeless

INCOMING = ".incoming"
MARK = ".spillway-model"
FOREIGN = {"lost+found"}
"""What a new volume may have of its own."""


class Occupied(Hopeless):
    """The folder holds what was not put there by this program."""


def complete(target: Path, uri: str) -> bool:
    """Whether an earlier run has finished with the same model."""
    mark = target / MARK
    return mark.is_file() and mark.read_text().strip() == uri


def claim(target: Path) -> Path:
    """An empty folder to download into; what an earlier run has left is deleted."""
    target.mkdir(parents=True, exist_ok=True)
    found = {file.name for file in target.iterdir()} - FOREIGN
    if found and not found & {INCOMING, MARK}:
        some = ", ".join(sorted(found)[:3])
        raise Occupied(f"{target} is not empty and no model was fetched into it: there is {some}")
    # The mark goes first and the empty folder last: until then it is known whose all this is.
    incoming = target / INCOMING
    incoming.mkdir(exist_ok=True)
    for name in sorted(found - {INCOMING}, key=lambda name: name != MARK):
        _delete(target / name)
    _delete(incoming)
    incoming.mkdir()
    return incoming


def arrive(target: Path, model: Path, uri: str) -> None:
    """Move the model's files to where they belong, then say that they are all there."""
    mark = target / INCOMING / MARK
    mark.write_text(f"{uri}\n")
    for name in arrived(target / INCOMING):
        # The mark must not outlive a machine's crash with less than it stands for.
        with (target / INCOMING / name).open("rb") as file:
            os.fsync(file.fileno())
    for file in model.iterdir():
        if file != mark:
            file.rename(target / file.name)
    mark.rename(target / MARK)
    _delete(target / INCOMING)


def arrived(folder: Path) -> Mapping[str, int]:
    """Files that are there so far, and their bytes."""
    found: dict[str, int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            file = Path(parent) / name
            try:
                found[file.relative_to(folder).as_posix()] = file.stat().st_size
            except FileNotFoundError:  # renamed meanwhile
                continue
    return found


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
