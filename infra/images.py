"""Which image a pod runs: a tag that follows the content of the image's folder.

Imports nothing of Pulumi: the image builder asks for the same tags without an engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.settings import Images

IMAGES = Path(__file__).resolve().parent.parent / "images"
TAG_LENGTH = 16
IGNORED_SUFFIXES = {".pyc", ".pyo", ".swp"}


def tagged(images: Images, name: str) -> str:
    """An image's name and tag, to be put behind a registry."""
    return f"{name}:{images.tag or content_tag(name)}"


def content_tag(name: str, root: Path = IMAGES) -> str:
    """Sixteen hex digits over every file of ``images/<name>/`` that can change the image."""
    digest = hashlib.sha256()
    files = sorted(_files(root / name), key=lambda f: f[0])
    if not files:
        known = ", ".join(sorted(p.name for p in root.glob("*/"))) or "none"
        raise ValueError(f"no image named {name!r} in {root} (there are: {known})")
    for path, content in files:
        # The length keeps two files apart from one that contains both.
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:TAG_LENGTH]


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in folder.rglob("*"):
        path = file.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
        if hidden or path.name == "README.md" or path.suffix in IGNORED_SUFFIXES:
            continue
        if file.is_file():
            yield path.as_posix(), file.read_bytes()
