"""Where the rig keeps things: rebuildable ones in the cache, remembered ones in the state."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""


def instance() -> str:
    """Name of the rig in use: ``SPILLWAY_RIG``, or ``dev``. Tests use a rig of their own."""
    name = os.environ.get("SPILLWAY_RIG") or "dev"
    # The name becomes part of a network interface's name, which the kernel cuts at 15 characters.
    if not re.fullmatch(r"[a-z][a-z0-9]{0,9}", name):
        raise SystemExit(
            f"SPILLWAY_RIG={name!r}: a rig's name is 1 to 10 lower-case letters or digits, "
            "a letter first"
        )
    return name


def cache_dir() -> Path:
    """Built tools and images, shared by every clone: ``${XDG_CACHE_HOME:-~/.cache}/spillway``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spillway"


def state_dir(name: str | None = None) -> Path:
    """A rig's memory, volumes included: ``${XDG_STATE_HOME:-~/.local/state}/spillway/<name>``."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "spillway" / (name or instance())


def log_dir() -> Path:
    """Logs of set-up and builds."""
    return cache_dir() / "logs"
