"""Which image a pod runs: a tag that follows the content of the image's folder.

Imports nothing of Pulumi: the image builder asks for the same tags without an engine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.settings import Images

IMAGES = Path(__file__).resolve().parent.parent / "images"
RIG = IMAGES.parent / "rig"
TAG_LENGTH = 16
LOADED = "localhost/spillway"
"""Where no registry is named, images are loaded into the nodes under this name."""
IGNORED_SUFFIXES = {".pyc", ".pyo", ".swp"}
TEAM = "team"
"""The recipe of teams' images: a folder with a Dockerfile that is no image by itself."""

TEAM_BASES = ("notebook", "notebook-spark")
"""What a team's packages are added to."""

OPERATORS = {
    "istio-pilot": "istio",
    "istio-proxy": "istio",
    "seldon-operator": "seldon",
    "cert-manager-controller": "cert-manager",
    "cert-manager-webhook": "cert-manager",
    "cert-manager-cainjector": "cert-manager",
    "cert-manager-acmesolver": "cert-manager",
    "kueue": "kueue",
    "cluster-autoscaler": "cluster-autoscaler",
}
"""Operators that a rig builds: folder of ``rig/operators`` -> its module in ``rig/go``.

Elsewhere they are the official images, which ``infra.charts`` names."""

DEVICE_PLUGIN = "nvcr.io/nvidia/k8s-device-plugin:v0.18.2"
"""NVIDIA's own: nobody builds it without their libraries. github.com/NVIDIA/k8s-device-plugin"""

BASE_IMAGE = re.compile(r"^ARG BASE=spillway/([a-z0-9-]+)$", re.MULTILINE)
REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)"
    r"(?P<rest>(\[[A-Za-z0-9._,-]+\])?==[A-Za-z0-9.!+_-]+)"
)


def tagged(images: Images, name: str) -> str:
    """An image's name and tag, to be put behind a registry."""
    return f"{name}:{images.tag or content_tag(name)}"


def content_tag(name: str, root: Path = IMAGES) -> str:
    """Sixteen hex digits over every file of ``images/<name>/`` that can change the image.

    An image that is built on another of them changes with it.
    """
    digest = hashlib.sha256()
    files = sorted(_files(root / name), key=lambda f: f[0])
    if not files:
        known = ", ".join(sorted(p.name for p in root.glob("*/"))) or "none"
        raise ValueError(f"no image named {name!r} in {root} (there are: {known})")
    for path, content in files:
        # The length keeps two files apart from one that contains both.
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    if base := base_of(name, root):
        digest.update(f"base\0{content_tag(base, root)}\0".encode())
    return digest.hexdigest()[:TAG_LENGTH]


def operator_image(name: str) -> str:
    """Name and tag of a built operator: the tag follows its folder and its program's module."""
    folder = content_tag(name, RIG / "operators")
    module = content_tag(OPERATORS[name], RIG / "go")
    return f"{name}:{combined_tag(folder, module)}"


def combined_tag(*tags: str) -> str:
    """One tag that follows several."""
    return hashlib.sha256("".join(tags).encode()).hexdigest()[:TAG_LENGTH]


def base_of(name: str, root: Path = IMAGES) -> str | None:
    """The image that this one is built on, if that is one of ours too: its ``ARG BASE``."""
    dockerfile = root / name / "Dockerfile"
    found = BASE_IMAGE.search(dockerfile.read_text()) if dockerfile.is_file() else None
    return found[1] if found else None


def team_image(base: str, requirements: Sequence[str]) -> str:
    """Name and tag of ``base`` with a team's own packages, each ``name==version``.

    The same packages in another order are the same image; without any it is ``base`` itself.
    """
    lines = team_requirements(requirements)
    tag = content_tag(base)
    if not lines:
        return f"{base}:{tag}"
    recipe = "\n".join([tag, content_tag(TEAM), *lines])
    return f"{base}-team:{hashlib.sha256(recipe.encode()).hexdigest()[:TAG_LENGTH]}"


def team_requirements(requirements: Sequence[str]) -> list[str]:
    """The packages as pip reads them, in one order and spelling; an error names a bad line."""
    lines = set[str]()
    for line in requirements:
        found = REQUIREMENT.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"{line!r} is no pinned requirement: write name==version")
        lines.add(re.sub(r"[-_.]+", "-", found["name"]).lower() + found["rest"])
    return sorted(lines)


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in folder.rglob("*"):
        path = file.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
        if hidden or path.name == "README.md" or path.suffix in IGNORED_SUFFIXES:
            continue
        if file.is_file():
            yield path.as_posix(), file.read_bytes()
