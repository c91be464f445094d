"""Which archives of images stay: those used of late, for each content of an image is a new file.

A notebook's is more than a gigabyte, and so is what a builder keeps of it besides.
"""

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rig.image_tools import Builder, answer, succeeds

KEPT = 2
"""Archives of an image that stay whatever their age: what runs, and what ran before it."""
IN_USE = 3600
"""Seconds after its last use in which an archive stays: somebody may be reading it, or about to.

A node takes minutes to load one, and a command that needs several marks them all first."""
_TAG = "[0-9a-f]{16}"


def used(archives: Iterable[Path]) -> None:
    """Remember that these are needed now, those of them that are there."""
    for archive in archives:
        with suppress(FileNotFoundError):
            os.utime(archive)


def drop_old(store: Path, image: str) -> list[Path]:
    """Delete the archives of an image that nobody has used for a while; which ones it were."""
    own = re.compile(rf"{re.escape(image)}-{_TAG}\.tar")
    found = [(file.stat().st_mtime, file) for file in store.iterdir() if own.fullmatch(file.name)]
    late = time.time() - IN_USE
    old = [file for when, file in sorted(found, reverse=True)[KEPT:] if when < late]
    for file in old:
        file.unlink(missing_ok=True)
    return old


def forget_others(builder: Builder, reference: str) -> None:
    """Let the builder's own store forget the image's other tags: its archives are what is used.

    Only a store that nobody else uses. What cannot go, such as the base of another image, stays.
    """
    if builder.tool != "buildah":
        return
    name = reference.rpartition(":")[0]
    words = ("images", "--noheading", "--format", "{{.Name}}:{{.Tag}}")
    for other in answer(builder.command(*words), 60).split():
        if other.rpartition(":")[0] == name and other != reference:
            succeeds(builder.command("rmi", other), 120)
