"""Container images: which there are, what builds them here, and where their archives lie.

``ensure("mlflow", log)`` returns an uncompressed archive for ``ctr images import`` and
``docker load``. It is built once per content: the archive's name carries the content's tag.
Nothing here prints; what a build says goes to the log file.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from infra.images import (
    IMAGES,
    LOADED,
    OPERATORS,
    RIG,
    TEAM,
    TEAM_BASES,
    base_of,
    combined_tag,
    content_tag,
    operator_image,
    team_image,
    team_requirements,
)
from rig import base_image, kept_images, toolchain
from rig.image_tools import PROBE_SECONDS, Builder, ImageError, Log, choose_builder, succeeds
from rig.paths import cache_dir, log_dir

ADDONS = RIG / "addons"
ADDONS_MODULE = RIG / "go" / "addons"


@dataclass(frozen=True, kw_only=True)
class Image:
    """A folder with a Dockerfile, and the Go programs it wants in ``bin/`` of its context."""

    name: str
    folder: Path
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    """Binary name -> Go package, built unless the caller has the binary."""
    module: Path | None = None
    """Where the packages' ``go.mod`` is, when it is not the folder."""
    tool: str | None = None
    """What of the toolchain makes its programs, when it takes more than Go."""
    files: Sequence[str] = ()
    """What of the tool's folder goes into ``bin/``."""
    base: str | None = None
    """The image of ours that it is built on; without one, Debian."""
    requirements: Sequence[str] = ()
    """A team's packages, pinned; its image is ``base`` with them."""

    @property
    def tag(self) -> str:
        """Follows the folder, what it is built on and, for an add-on, its program's module."""
        if self.tool:
            return operator_image(self.name).partition(":")[2]
        if self.base and self.requirements:
            return team_image(self.base, self.requirements).partition(":")[2]
        tag = content_tag(self.folder.name, self.folder.parent)
        if self.module is None:
            return tag
        return combined_tag(tag, content_tag(self.module.name, self.module.parent))

    @property
    def reference(self) -> str:
        """What a node and a manifest call it."""
        return f"{LOADED}/{self.name}:{self.tag}"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An image on disk, ready to be loaded into a node or an engine."""

    reference: str
    path: Path


def _addon(name: str, package: str) -> Image:
    return Image(name=name, folder=ADDONS / name, packages={name: package}, module=ADDONS_MODULE)


_STORE = IMAGES / "object-store"
_PROGRAMS = {
    "object-store": Image(
        name="object-store",
        folder=_STORE,
        packages={
            "versitygw": "github.com/versity/versitygw/cmd/versitygw",
            "make-bucket": "./make-bucket",
        },
    )
}
_RIG = {
    image.name: image
    for image in (
        _addon("pause", "./pause"),
        _addon("coredns", "./coredns"),
        _addon("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"),
        _addon("local-path-provisioner", "github.com/rancher/local-path-provisioner"),
        Image(name="helper", folder=ADDONS / "helper"),
    )
}


def _operator(name: str, tool: str, *files: str) -> Image:
    return Image(name=name, folder=RIG / "operators" / name, tool=tool, files=files or (name,))


_OPERATORS = {
    image.name: image
    for image in (
        _operator("istio-pilot", "pilot-discovery", "pilot-discovery"),
        _operator("istio-proxy", "pilot-agent", "pilot-agent", "envoy_bootstrap.json"),
        _operator("seldon-operator", "seldon-operator"),
        _operator("cert-manager-controller", "cert-manager"),
        _operator("cert-manager-webhook", "cert-manager"),
        _operator("cert-manager-cainjector", "cert-manager"),
        _operator("cert-manager-acmesolver", "cert-manager"),
        _operator("kueue", "kueue"),
        _operator("cluster-autoscaler", "cluster-autoscaler"),
    )
}
CHALLENGED = ("cert-manager-acmesolver",)
_NOTEBOOKS = ("hub", "proxy", "notebook", "notebook-spark")
_SERVING = ("model-server", "storage-initializer")


def platform_images() -> list[str]:
    """What every stack runs: the folders of ``images/`` that have a Dockerfile and no condition."""
    folders = {dockerfile.parent.name for dockerfile in IMAGES.glob("*/Dockerfile")}
    return sorted(folders - {*_NOTEBOOKS, *_SERVING, TEAM})


def notebook_images() -> list[str]:
    """What stacks with notebooks run besides."""
    return list(_NOTEBOOKS)


def serving_images() -> list[str]:
    """What stacks that serve models, or score tables with them, run besides."""
    return list(_SERVING)


def rig_images() -> list[str]:
    """What the one-node cluster itself runs."""
    return list(_RIG)


def operator_images() -> list[str]:
    """Operators of other projects, for stacks that cannot pull the official images."""
    return [name for name in OPERATORS if name not in (*toolchain.QUEUE, *CHALLENGED)]


def challenged_images() -> list[str]:
    """The same for stacks that an ACME server asks: what answers it."""
    return list(CHALLENGED)


def queue_images() -> list[str]:
    """The same for clusters with pools of GPUs: what admits work, and what makes nodes for it."""
    return list(toolchain.QUEUE)


def independent() -> list[str]:
    """Images with no program of ours in them."""
    names = (*platform_images(), *notebook_images(), *serving_images(), *rig_images())
    return [name for name in names if not find(name).packages]


def find(name: str) -> Image:
    """The image of that name, or an error that lists the names."""
    if image := _RIG.get(name) or _OPERATORS.get(name):
        return image
    names = [*platform_images(), *notebook_images(), *serving_images(), *rig_images()]
    names += [*operator_images(), *queue_images(), *challenged_images()]
    if name not in names:
        raise ImageError(f"no image named {name!r}; there are {', '.join(names)}")
    return _PROGRAMS.get(name) or Image(name=name, folder=IMAGES / name, base=base_of(name))


def team(base: str, requirements: Sequence[str]) -> Image:
    """``base`` with a team's pinned packages; ``base`` itself without any."""
    lines = team_requirements(requirements)
    if not lines:
        return find(base)
    return Image(
        name=f"{find(base).name}-team", folder=IMAGES / TEAM, base=base, requirements=lines
    )


def wanted(settings: Mapping[str, Any]) -> list[str | Image]:
    """All images that a stack with these settings, as written in its file, runs."""
    more = _operators(settings) + _models(settings)
    if not settings.get("spillway:login"):
        return [*platform_images(), *more]
    teams: Mapping[str, Any] = settings.get("spillway:tenants") or {}
    own = [image for one in teams.values() if isinstance(one, dict) for image in _own(one)]
    return [*platform_images(), *more, *notebook_images(), *own]


def _operators(settings: Mapping[str, Any]) -> list[str]:
    """Before all others: whose pods wait for them."""
    images: Mapping[str, Any] = settings.get("spillway:images") or {}
    cluster: Mapping[str, Any] = settings.get("spillway:cluster") or {}
    if images.get("operators") != "built":
        return []
    door = _door(settings) if settings.get("spillway:domain") else []
    return [*door, *(queue_images() if cluster.get("pools") else [])]


def _door(settings: Mapping[str, Any]) -> list[str]:
    said: Mapping[str, Any] = settings.get("spillway:frontDoor") or {}
    # As where nothing is said.
    asked = said.get("certificates", "acme") == "acme"
    return [*operator_images(), *(challenged_images() if asked else [])]


def _models(settings: Mapping[str, Any]) -> list[str]:
    """What runs models, where there are any; only servers of them need the front door."""
    served = settings.get("spillway:domain") and settings.get("spillway:models")
    return serving_images() if served or settings.get("spillway:batch") else []


def _own(tenant: Mapping[str, Any]) -> list[Image]:
    """A team's images with its packages; without the profile, the one with Spark is not run."""
    lines, profiles = tenant.get("requirements"), tenant.get("profiles")
    bases = [b for b in TEAM_BASES if not profiles or "spark" in profiles or b == TEAM_BASES[0]]
    return [team(base, lines) for base in bases] if lines else []


def archive_of(image: str | Image) -> Archive:
    """Where the archive of the current content lies, whether or not it is built."""
    image = find(image) if isinstance(image, str) else image
    return Archive(reference=image.reference, path=_store() / f"{image.name}-{image.tag}.tar")


def ensure(image: str | Image, log: Path, binaries: Mapping[str, Path] | None = None) -> Archive:
    """Builds the image unless its archive is there; ``binaries`` spares building its programs."""
    image = find(image) if isinstance(image, str) else image
    archive = archive_of(image)
    kept_images.used([archive.path])
    if archive.path.is_file():
        return archive
    with _one_build_at_a_time():
        if not archive.path.is_file():  # built by somebody else while we waited
            _build(image, archive, Log(log), binaries or {})
    return archive


def _build(image: Image, archive: Archive, log: Log, binaries: Mapping[str, Path]) -> None:
    builder = choose_builder()
    base = _image_of(image.base, builder, log) if image.base else _base(builder, log)
    with tempfile.TemporaryDirectory(prefix=f"spillway-{image.name}-") as folder:
        context = Path(folder) / "context"
        shutil.copytree(image.folder, context, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        _add_programs(image, context / "bin", binaries, log)
        if image.requirements:
            text = "".join(f"{line}\n" for line in image.requirements)
            (context / "requirements.txt").write_text(text)
        _build_context(builder, context, archive.reference, base, log)
    partial = archive.path.with_suffix(f".{os.getpid()}.partial")
    partial.unlink(missing_ok=True)  # docker-archive refuses a file that is there
    try:
        log.run(builder.save(archive.reference, partial), f"saving image {image.name}")
        partial.replace(archive.path)
    finally:
        partial.unlink(missing_ok=True)
    kept_images.drop_old(_store(), image.name)
    kept_images.forget_others(builder, archive.reference)


def _add_programs(image: Image, target: Path, given: Mapping[str, Path], log: Log) -> None:
    if image.tool:
        target.mkdir(exist_ok=True)
        folder = next(iter(toolchain.ensure_all([image.tool]).values())).parent
        for name in image.files:
            shutil.copy2(folder / name, target / name)
    for name, package in image.packages.items():
        target.mkdir(exist_ok=True)
        if name in given:
            shutil.copy2(given[name], target / name)
            continue
        if shutil.which("go") is None:
            raise ImageError(f"image {image.name} needs {name}: install Go 1.26 or later")
        module = str(image.module or image.folder)
        flags = ("-trimpath", "-ldflags", "-s -w", "-o", str(target / name))
        log.run(
            ["go", "build", "-C", module, *flags, package],
            f"building {name}",
            CGO_ENABLED="0",
            GOCACHE=str(cache_dir() / "go-build"),
        )


def _build_context(builder: Builder, context: Path, reference: str, base: str, log: Log) -> None:
    log.run(builder.build(context, reference, base), f"building {reference}", **builder.environment)


def _image_of(name: str, builder: Builder, log: Log) -> str:
    """An image of ours as the builder knows it: built or loaded, if it has to be."""
    archive = archive_of(name)
    kept_images.used([archive.path])
    if not archive.path.is_file():
        _build(find(name), archive, log, {})
    if not succeeds(builder.command("inspect", "--type", "image", archive.reference), 60):
        log.run(builder.load(archive.path), f"loading image {name}")
    return archive.reference


@cache
def _base(builder: Builder, log: Log) -> str:
    """The base to build on: the one the user names, the public one, or one made here."""
    if named := base_image.wanted():
        return named
    reference = f"{LOADED}/base:{base_image.bootstrap_tag()}"
    if succeeds(builder.command("inspect", "--type", "image", reference), 60):
        return reference
    if succeeds(builder.command("manifest", "inspect", base_image.PUBLIC), PROBE_SECONDS):
        return base_image.PUBLIC
    if not base_image.can_bootstrap():
        raise ImageError(
            f"{base_image.PUBLIC} cannot be pulled: install mmdebstrap (as root), "
            "or name a Debian trixie image in SPILLWAY_BASE_IMAGE"
        )
    with tempfile.TemporaryDirectory(prefix="spillway-base-") as folder:
        context = Path(folder)
        command = base_image.bootstrap_command(context / "base.tar")
        log.run(command, "making a base image", SOURCE_DATE_EPOCH=base_image.EPOCH)
        (context / "Dockerfile").write_text('FROM scratch\nADD base.tar /\nCMD ["/bin/bash"]\n')
        _build_context(builder, context, reference, base_image.PUBLIC, log)
    return reference


@contextmanager
def _one_build_at_a_time() -> Generator[None]:
    _store().mkdir(parents=True, exist_ok=True)
    with (_store() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _store() -> Path:
    return cache_dir() / "images"


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m rig.images NAME... [--require PACKAGE==VERSION]...``: for work on one image."""
    parser = argparse.ArgumentParser(prog="python -m rig.images")
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--require", action="append", default=[], metavar="PACKAGE==VERSION")
    wanted = parser.parse_args(arguments)
    for name in wanted.names:
        image = team(name, wanted.require)
        archive = ensure(image, log_dir() / f"image-{image.name}.log")
        sys.stdout.write(f"{archive.reference} {archive.path}\n")


if __name__ == "__main__":
    main()
