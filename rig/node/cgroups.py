"""The rig's own branch of the cgroup tree: made at start, measured, removed at stop."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")


def unified() -> bool:
    """Whether the machine has cgroup v2 alone."""
    return (MOUNT / "cgroup.controllers").exists()


def _hierarchies() -> Iterator[Path]:
    if unified():
        yield MOUNT
        return
    # cpu and cpuacct are often one folder under two names.
    seen = set[Path]()
    for folder in sorted(MOUNT.iterdir()):
        real = folder.resolve()
        if real not in seen and (real / "cgroup.procs").exists():
            seen.add(real)
            yield real


def create(name: str, pid: int) -> None:
    """Make the branch in every hierarchy and move a process, and with it its children, there."""
    for hierarchy in _hierarchies():
        branch = hierarchy / name
        leaf = branch / "system"
        branch.mkdir(exist_ok=True)
        if unified():
            _delegate(hierarchy)
            _delegate(branch)
        _inherit_cpuset(branch)
        leaf.mkdir(exist_ok=True)
        _inherit_cpuset(leaf)
        (leaf / "cgroup.procs").write_text(str(pid))


def _delegate(folder: Path) -> None:
    have = (folder / "cgroup.controllers").read_text().split()
    wanted = [c for c in V2_CONTROLLERS if c in have]
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in wanted))


def _inherit_cpuset(folder: Path) -> None:
    # A v1 cpuset starts empty, and no process may enter an empty one.
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = folder / name
        if not unified() and file.exists() and not file.read_text().strip():
            file.write_text((folder.parent / name).read_text())


def pids(name: str, below: str = "") -> set[int]:
    """Processes in the branch, as the machine numbers them."""
    found = set[int]()
    for hierarchy in _hierarchies():
        for folder in _folders(hierarchy / name / below):
            try:
                found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
            except OSError:
                continue
    return found


def _folders(branch: Path) -> list[Path]:
    """The branch and all below it. Pods end meanwhile: ``rglob`` fails when a folder goes."""
    return [Path(folder) for folder, _, _ in os.walk(branch)]


def remains(name: str) -> list[Path]:
    """Folders of the branch that are still there."""
    return [h / name for h in _hierarchies() if (h / name).exists()]


def remove(name: str, timeout: float = 10) -> list[Path]:
    """Remove the branch, leaves first; returns what would not go within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while (left := remains(name)) and time.monotonic() < deadline:
        for branch in left:
            for folder in sorted(_folders(branch), reverse=True):
                try:
                    folder.rmdir()
                except OSError:
                    # A process that is just ending still holds it.
                    time.sleep(0.02)
    return remains(name)


def memory(name: str) -> dict[str, int]:
    """Bytes in use by the branch now: ``rss`` (anonymous) and ``cache`` (files, reclaimable)."""
    if unified():
        stat = _stat(MOUNT / name / "memory.stat")
        return {"rss": stat["anon"], "cache": stat["file"]}
    stat = _stat(MOUNT / "memory" / name / "memory.stat")
    return {"rss": stat["total_rss"], "cache": stat["total_cache"]}


def _stat(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in file.read_text().splitlines())
    return {key: int(value) for key, value in pairs}
