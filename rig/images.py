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
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from infra.images import IMAGES, content_tag
from rig import base_image
from rig.paths import ROOT, cache_dir, log_dir

ADDONS = ROOT / "rig" / "addons"
ADDONS_MODULE = ROOT / "rig" / "go" / "addons"
REGISTRY = "localhost/spillway"
PROBE_SECONDS = 10
TOOL_HINT = (
    "install docker, podman, or buildah with mmdebstrap (apt-get install buildah mmdebstrap)"
)

HOST_TRUST = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf"))
"""Mounted into a build, never copied: where the package registries sit behind their own CA, which
a machine-wide pip.conf tells."""


class ImageError(RuntimeError):
    """An image cannot be had; one line that says what to do."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A folder with a Dockerfile, and the Go programs it wants in ``bin/`` of its context."""

    name: str
    folder: Path
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    """Binary name -> Go package, built in ``module`` unless the caller has the binary."""
    module: Path | None = None

    @property
    def tag(self) -> str:
        """Follows the folder and, for an add-on, the module its program is built from."""
        tag = content_tag(self.folder.name, self.folder.parent)
        if self.module is None or self.module == self.folder:
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
        module=_STORE,
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


@dataclass(frozen=True)
class Log:
    """A file that receives everything the tools say."""

    path: Path

    def run(self, command: Sequence[str], what: str, **env: str) -> None:
        """Runs a tool; a failure becomes one line that names the log."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as out:
            out.write(f"+ {' '.join(command)}\n".encode())
            out.flush()
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                check=False,
            )
        if done.returncode:
            raise ImageError(f"{what} failed (exit {done.returncode}); see {self.path}")


@dataclass(frozen=True, kw_only=True)
class Builder:
    """docker, podman or buildah behind the two things an image needs."""

    tool: str
    options: tuple[str, ...] = ()

    def command(self, *arguments: str) -> list[str]:
        """The tool with its global options."""
        return [self.tool, *self.options, *arguments]

    def build(self, context: Path, reference: str, base: str) -> list[str]:
        """An image from a folder. Only docker builds elsewhere, so only it cannot mount."""
        arguments = ["bud" if self.tool == "buildah" else "build"]
        arguments += ["--tag", reference, "--build-arg", f"BASE={base}"]
        if self.tool != "docker":
            arguments += ["--network=host", "--layers"]
            if all(file.is_file() for file in HOST_TRUST):
                arguments += [f"--volume={file}:{file}:ro" for file in HOST_TRUST]
        return self.command(*arguments, str(context))

    def save(self, reference: str, path: Path) -> list[str]:
        """An uncompressed archive that containerd and docker both read."""
        if self.tool == "buildah":
            return self.command("push", "--quiet", reference, f"docker-archive:{path}:{reference}")
        return self.command("save", "--output", str(path), reference)


@cache
def choose_builder() -> Builder:
    """The first that works here: an engine of docker, podman, buildah."""
    if shutil.which("docker") and _succeeds(["docker", "info"], PROBE_SECONDS):
        return Builder(tool="docker")
    if shutil.which("podman") and _succeeds(["podman", "info"], PROBE_SECONDS):
        return Builder(tool="podman")
    if shutil.which("buildah"):
        root = cache_dir() / "buildah"
        options = ("--root", str(root), "--runroot", str(cache_dir() / "buildah-run"))
        return Builder(tool="buildah", options=options)
    raise ImageError(f"no container builder works here: {TOOL_HINT}")


def _build(image: Image, archive: Archive, log: Log, binaries: Mapping[str, Path]) -> None:
    builder = choose_builder()
    base = _base(builder, log)
    archive.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"spillway-{image.name}-") as folder:
        context = Path(folder) / "context"
        shutil.copytree(image.folder, context, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for name, package in image.packages.items():
            _put_binary(image, name, package, binaries, context / "bin" / name, log)
        _build_context(builder, context, image.reference, base, log)
    partial = archive.path.with_suffix(f".{os.getpid()}.partial")
    partial.unlink(missing_ok=True)  # docker-archive refuses a file that is there
    try:
        log.run(builder.save(image.reference, partial), f"saving image {image.name}")
        partial.replace(archive.path)
    finally:
        partial.unlink(missing_ok=True)


def _put_binary(
    image: Image, name: str, package: str, given: Mapping[str, Path], target: Path, log: Log
) -> None:
    target.parent.mkdir(exist_ok=True)
    if name in given:
        shutil.copy2(given[name], target)
        return
    if shutil.which("go") is None:
        raise ImageError(f"image {image.name} needs {name}: install Go 1.26 or later")
    assert image.module is not None
    flags = ("-C", str(image.module), "-trimpath", "-ldflags", "-s -w")
    log.run(
        ["go", "build", *flags, "-o", str(target), package],
        f"building {name}",
        CGO_ENABLED="0",
        GOCACHE=str(cache_dir() / "go-build"),
    )


def _build_context(builder: Builder, context: Path, reference: str, base: str, log: Log) -> None:
    # Without user namespaces or a seccomp of its own, buildah needs no more than a chroot.
    env = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "overlay"}
    command = builder.build(context, reference, base)
    log.run(command, f"building image {reference}", **(env if builder.tool == "buildah" else {}))


@cache
def _base(builder: Builder, log: Log) -> str:
    """The base to build on: the one the user names, the public one, or one made here."""
    if named := base_image.wanted():
        return named
    reference = f"{REGISTRY}/base:{base_image.bootstrap_tag()}"
    if _succeeds(builder.command("inspect", "--type", "image", reference), 60):
        return reference
    if _succeeds(builder.command("manifest", "inspect", base_image.PUBLIC), PROBE_SECONDS):
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


def _succeeds(command: Sequence[str], seconds: float) -> bool:
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=seconds, check=False
        )
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0


def _store() -> Path:
    return cache_dir() / "images"


def main(names: Sequence[str]) -> None:
    """``python -m rig.images NAME...``: for work on one image."""
    for name in names:
        archive = ensure(name, log_dir() / f"image-{name}.log")
        sys.stdout.write(f"{archive.reference} {archive.path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
