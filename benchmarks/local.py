"""Benchmarks that start no cluster: set-up on a bare cache, and the unit tests."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench_rig import BenchRig
from benchmarks.report import Report, Row, seconds
from benchmarks.timing import Timed, timed
from rig import host, paths

STEP = re.compile(r"^✓ (?P<name>.+?)  (?P<seconds>\d+) s$")
COLD_MINUTES = 20
UNIT_SECONDS = 15
UNIT_RUNS = 3


def cold_setup(_: BenchRig) -> Report:
    """``make setup`` in a fresh clone, with nothing of ours on the machine but its packages."""
    missing = sorted(set(host.missing()))
    packages = f"installed by it: {', '.join(missing)}" if missing else "were installed before"
    with _empty_folder() as folder:
        clone, cache = folder / "clone", folder / "cache"
        source = ["git", "clone", "--quiet", "--no-hardlinks", paths.ROOT]
        timed([*source, clone])
        commit = _git(clone, "rev-parse", "--short", "HEAD")
        bare = {"XDG_CACHE_HOME": str(cache), "GOMODCACHE": str(folder / "modules")}
        setup = timed(["make", "setup"], env=bare, cwd=clone)
        kept = _size(cache / "spillway")
    minutes = Row(
        what="`make setup`, whole",
        result=f"{setup.seconds / 60:.1f} min",
        goal=f"≤ {COLD_MINUTES} min",
    )
    size = Row(what="disk that stays in use in the cache", result=kept)
    notes = (
        f"Commit {commit}. Cache, Go modules, pip's cache and image layers began empty; Debian "
        f"packages {packages}. Steps that overlap run side by side.",
    )
    return Report(rows=[minutes, *_steps(setup), size], notes=notes)


def unit_tests(_: BenchRig) -> Report:
    """The tests that need no cluster."""
    options = ["-q", "-p", "no:cacheprovider", "--numprocesses=auto", "--dist=loadfile"]
    pytest = [sys.executable, "-m", "pytest", *options, "tests/unit"]
    runs = [timed(pytest, cwd=paths.ROOT) for _ in range(UNIT_RUNS)]
    last = next((line.text for line in reversed(runs[-1].lines) if " passed" in line.text), "")
    row = seconds("`pytest tests/unit`, whole command", [r.seconds for r in runs], UNIT_SECONDS)
    return Report(rows=[row], notes=(f"pytest's last words: {last.strip('= ')}.",))


def _steps(setup: Timed) -> list[Row]:
    found = [match for line in setup.lines if (match := STEP.match(line.text))]
    return [Row(what=match["name"], result=f"{match['seconds']} s") for match in found]


@contextmanager
def _empty_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="spillway-cold-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        try:
            yield folder
        finally:
            # An image builder leaves its store mounted, and Go its modules read-only.
            for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
                mount = line.split()[4]
                if Path(mount).is_relative_to(folder):
                    subprocess.run(["umount", mount], check=False)
            subprocess.run(["chmod", "-R", "u+w", folder], check=False)
            shutil.rmtree(folder, ignore_errors=True)


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", folder, *words], capture_output=True, text=True, check=True
    ).stdout.strip()


def _size(folder: Path) -> str:
    done = subprocess.run(["du", "-sm", folder], capture_output=True, text=True, check=True)
    return f"{int(done.stdout.split()[0]) / 1024:.1f} GiB"
