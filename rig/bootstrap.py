"""Makes the virtual environment that everything else runs in. Needs nothing but Python itself.

The environment lies in the cache under the hash of the requirements, so that a fresh clone on the
same machine finds it; ``.venv`` in the checkout points there.
"""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
OLDEST = (3, 11)


def main() -> None:
    """Make the environment, or find it, and point ``.venv`` at it."""
    if sys.version_info < OLDEST:
        raise SystemExit(
            f"{sys.executable} is Python {sys.version.split()[0]}; Spillway needs 3.11 or later: "
            "install it, then: make setup PYTHON=python3.11"
        )
    link = ROOT / ".venv"
    if link.exists() and not link.is_symlink():
        raise SystemExit(f"{link} is a folder that Spillway did not make: move it away")
    environment = _cache() / "venvs" / _key()
    if not (environment / "complete").exists():
        _make(environment)
    if not link.exists() or link.resolve() != environment.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(environment)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spillway"


def _key() -> str:
    python = f"{sys.version_info[:2]} {sys.base_prefix}"
    return hashlib.sha256(REQUIREMENTS.read_bytes() + python.encode()).hexdigest()[:16]


def _make(environment: Path) -> None:
    log = _cache() / "logs" / "venv.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    print(f"→ Python packages (log: {log})", flush=True)
    with log.open("ab") as out:
        # A virtual environment with pip in it, even where an interrupted run left half of one.
        _run([sys.executable, "-m", "venv", "--clear", str(environment)], out, log)
        pip = [
            str(environment / "bin" / "pip"),
            "--disable-pip-version-check",
            "install",
            "--no-compile",
        ]
        _run([*pip, "--require-hashes", "--requirement", str(REQUIREMENTS)], out, log)
        # By all cores, and also where Python is told to write no bytecode: the SDKs of the clouds
        # take seconds to import without it. Templates of other packages do not compile: no matter.
        python = str(environment / "bin" / "python")
        command = [python, "-m", "compileall", "-q", "-j", "0", str(environment / "lib")]
        subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
    (environment / "complete").touch()
    print(f"✓ Python packages  {time.monotonic() - started:.0f} s", flush=True)


def _run(command: list[str], out: BinaryIO, log: Path) -> None:
    if subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise SystemExit(f"making the Python environment failed: {''.join(last)} (log: {log})")


if __name__ == "__main__":
    main()
