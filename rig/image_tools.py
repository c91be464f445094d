"""The tools that build images here: docker, podman or buildah, found by asking them.

Owns their command lines and how they are run; what is built is ``rig.images``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rig.paths import cache_dir

PROBE_SECONDS = 10
TOOL_HINT = (
    "install docker, podman, or buildah with mmdebstrap (apt-get install buildah mmdebstrap)"
)

PIP_CONFIG = Path("/etc/pip.conf")
"""Lent to the one command that installs Python packages, as a secret: in no layer."""

TRUST = Path("/etc/ssl/certs/ca-certificates.crt")
"""Mounted over the base's own file while building, where a pip.conf tells that the registries sit
behind this machine's own CA. Never copied."""


class ImageError(RuntimeError):
    """An image cannot be had; one line that says what to do."""


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
    """docker, podman or buildah behind the three things an image needs."""

    tool: str
    options: tuple[str, ...] = ()

    @property
    def environment(self) -> Mapping[str, str]:
        """Where buildah runs without user namespaces, it can still change root."""
        if self.tool != "buildah":
            return {}
        return {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "overlay"}

    def command(self, *arguments: str) -> list[str]:
        """The tool with its global options."""
        return [self.tool, *self.options, *arguments]

    def build(self, context: Path, reference: str, base: str) -> list[str]:
        """An image from a folder. Only docker builds elsewhere, so only it cannot mount."""
        arguments = ["bud" if self.tool == "buildah" else "build"]
        arguments += ["--tag", reference, "--build-arg", f"BASE={base}"]
        if PIP_CONFIG.is_file():
            arguments += ["--secret", f"id=pip.conf,src={PIP_CONFIG}"]
        if self.tool != "docker":
            arguments += ["--network=host", "--layers"]
            if PIP_CONFIG.is_file() and TRUST.is_file():
                arguments += [f"--volume={TRUST}:{TRUST}:ro"]
        return self.command(*arguments, str(context))

    def save(self, reference: str, path: Path) -> list[str]:
        """An uncompressed archive that containerd and docker both read."""
        if self.tool == "buildah":
            return self.command("push", "--quiet", reference, f"docker-archive:{path}:{reference}")
        return self.command("save", "--output", str(path), reference)

    def load(self, path: Path) -> list[str]:
        """An archive back among the tool's own images, under the name it was saved with."""
        if self.tool == "buildah":
            return self.command("pull", "--quiet", f"docker-archive:{path}")
        return self.command("load", "--input", str(path))


@cache
def choose_builder() -> Builder:
    """The first that works here: an engine of docker, podman, buildah."""
    if shutil.which("docker") and succeeds(["docker", "info"], PROBE_SECONDS):
        return Builder(tool="docker")
    if shutil.which("podman") and succeeds(["podman", "info"], PROBE_SECONDS):
        return Builder(tool="podman")
    if shutil.which("buildah"):
        root = cache_dir() / "buildah"
        options = ("--root", str(root), "--runroot", str(cache_dir() / "buildah-run"))
        return Builder(tool="buildah", options=options)
    raise ImageError(f"no container builder works here: {TOOL_HINT}")


def succeeds(command: Sequence[str], seconds: float) -> bool:
    """Whether a silent question to a tool is answered with yes, in time."""
    done = _asked(command, seconds)
    return done is not None and done.returncode == 0


def answer(command: Sequence[str], seconds: float) -> str:
    """What a tool answers to a question; nothing when it fails or takes too long."""
    done = _asked(command, seconds)
    return done.stdout if done is not None and done.returncode == 0 else ""


def _asked(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str] | None:
    quiet, heard = subprocess.DEVNULL, subprocess.PIPE
    try:
        return subprocess.run(
            command,
            stdin=quiet,
            stdout=heard,
            stderr=quiet,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return None
