"""The base of every image: Debian's public one, or the same made on this machine by mmdebstrap.

Owns which of the two is used and the recipe of the second. Nothing of this machine gets in:
mmdebstrap takes packages and their keys, not the host's sources, proxies or certificates.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

PUBLIC = "docker.io/library/debian:trixie-slim"
SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-trixie-stable.gpg")
EPOCH = "1767225600"
"""Upper bound of the timestamps in the root file system: two builds of the same packages agree."""

UNWANTED = ("doc/*", "man/*", "info/*", "locale/*", "lintian/*", "linda/*", "groff/*")
CLEANING = (
    "rm -f {}/etc/resolv.conf {}/etc/hostname {}/etc/machine-id {}/etc/.pwd.lock "
    "{}/etc/passwd- {}/etc/group- {}/etc/shadow- {}/etc/gshadow- "
    "{}/var/lib/dpkg/*-old {}/var/cache/debconf/*-old",
    "rm -rf {}/var/log/* {}/var/cache/apt/* {}/var/lib/apt/lists/* {}/tmp/*",
)


def wanted() -> str | None:
    """A base the user names (a mirror behind a company's firewall), by environment."""
    return os.environ.get("SPILLWAY_BASE_IMAGE") or None


def bootstrap_command(target: Path) -> list[str]:
    """mmdebstrap of Debian with its security updates, as small as the public slim image."""
    unwanted = [f"--dpkgopt=path-exclude=/usr/share/{path}" for path in UNWANTED]
    keep = "--dpkgopt=path-include=/usr/share/doc/*/copyright"
    cleaning = [f"--customize-hook={_on_root(command)}" for command in CLEANING]
    # The dpkg options shape this file system only; an image built on it must be free to differ.
    forget = '--customize-hook=rm -f "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap'
    return [
        *("mmdebstrap", "--mode=root", "--variant=apt", "--include=ca-certificates,passwd"),
        *([f"--keyring={KEYRING}"] if KEYRING.is_file() else []),
        *unwanted,
        keep,
        *cleaning,
        forget,
        SUITE,
        str(target),
    ]


def bootstrap_tag() -> str:
    """Follows the recipe, not the packages: `rm` the archive to take newer ones."""
    recipe = "\n".join([*bootstrap_command(Path("base.tar")), EPOCH])
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def can_bootstrap() -> bool:
    """Whether mmdebstrap is installed and may run here."""
    return shutil.which("mmdebstrap") is not None and os.geteuid() == 0


def _on_root(command: str) -> str:
    return command.replace("{}", '"$1"')
