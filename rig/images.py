"""Container images: which there are, what builds them here, and where their archives lie.

``ensure("mlflow", log)`` returns an uncompressed archive for ``ctr images import`` and
``docker load``. It is built once per content: the archive's name carries the content's tag.
Nothing here prints; what a build says goes to the log file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from infra.images import IMAGES, content_tag
from rig import base_image
from rig.image_tools import PROBE_SECONDS, Builder, ImageError, Log, choose_builder, succeeds
from rig.paths import ROOT, cache_dir, log_dir

ADDONS = ROOT / "rig" / "addons"
ADDONS_MODULE = ROOT / "rig" / "go" / "addons"
REGISTRY = "localhost/spillway"


@dataclass(frozen=True, kw_only=True)
class Image:
    """A folder with a Dockerfile, and the Go programs it wants in ``bin/`` of its context."""

    name: str
    folder: Path
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    """Binary name -> Go package, built unless the caller has the binary."""
    module: Path | None = None
    """Where the packages' ``go.mod`` is, when it is not the folder."""

    @property
    def tag(self) -> str:
        """Follows the folder and, for an add-on, the module its program is built from."""
        tag = content_tag(self.folder.name, self.folder.parent)
        if self.module is None:
            return tag
        source = content_tag(self.module.name, self.module.parent)
        return hashlib.sha256(f"{tag}{source}".encode()).hexdigest()[:16]

    @property
    def reference(self) -> str:
        """What a node and a manifest call it."""
        return f"{REGISTRY}/{self.name}:{self.tag}"


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


def platform_images() -> list[str]:
    """What the stacks run: every folder of ``images/`` with a Dockerfile."""
    return sorted(dockerfile.parent.name for dockerfile in IMAGES.glob("*/Dockerfile"))


def rig_images() -> list[str]:
    """What the one-node cluster itself runs."""
    return list(_RIG)


def independent() -> list[str]:
    """Images with no program of ours in them."""
    return [name for name in (*platform_images(), *rig_images()) if not find(name).packages]


def find(name: str) -> Image:
    """The image of that name, or an error that lists the names."""
    if name in _RIG:
        return _RIG[name]
    if name not in platform_images():
        known = ", ".join([*platform_images(), *rig_images()])
        raise ImageError(f"no image named {name!r}; there are {known}")
    return _PROGRAMS.get(name) or Image(name=name, folder=IMAGES / name)


def archive_of(name: str) -> Archive:
    """Where the archive of the current content lies, whether or not it is built."""
    image = find(name)
    return Archive(reference=image.reference, path=_store() / f"{name}-{image.tag}.tar")


def ensure(name: str, log: Path, binaries: Mapping[str, Path] | None = None) -> Archive:
    """Builds the image unless its archive is there; ``binaries`` spares building its programs."""
    archive = archive_of(name)
    if archive.path.is_file():
        return archive
    with _one_build_at_a_time():
        if not archive.path.is_file():  # built by somebody else while we waited
            _build(find(name), archive, Log(log), binaries or {})
    return archive


def _build(image: Image, archive: Archive, log: Log, binaries: Mapping[str, Path]) -> None:
    builder = choose_builder()
    with tempfile.TemporaryDirectory(prefix=f"spillway-{image.name}-") as folder:
        context = Path(folder) / "context"
        shutil.copytree(image.folder, context, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        _add_programs(image, context / "bin", binaries, log)
        _build_context(builder, context, archive.reference, _base(builder, log), log)
    partial = archive.path.with_suffix(f".{os.getpid()}.partial")
    partial.unlink(missing_ok=True)  # docker-archive refuses a file that is there
    try:
        log.run(builder.save(archive.reference, partial), f"saving image {image.name}")
        partial.replace(archive.path)
    finally:
        partial.unlink(missing_ok=True)


def _add_programs(image: Image, target: Path, given: Mapping[str, Path], log: Log) -> None:
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


@cache
def _base(builder: Builder, log: Log) -> str:
    """The base to build on: the one the user names, the public one, or one made here."""
    if named := base_image.wanted():
        return named
    reference = f"{REGISTRY}/base:{base_image.bootstrap_tag()}"
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


def main(names: Sequence[str]) -> None:
    """``python -m rig.images NAME...``: for work on one image."""
    for name in names:
        archive = ensure(name, log_dir() / f"image-{name}.log")
        sys.stdout.write(f"{archive.reference} {archive.path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
