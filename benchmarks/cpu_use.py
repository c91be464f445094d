"""What pods take of the cores, as their cgroups count it: a busy machine makes it little dearer."""

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError
from rig.node import cgroups


class Clock:
    """The processor's time of some pods together."""

    def __init__(self, cgroup: str, uids: Sequence[str]) -> None:
        """``cgroup`` is the rig's; ``uids`` are those of the pods' objects."""
        top = (cgroups.MOUNT if cgroups.unified() else cgroups.MOUNT / "cpuacct") / cgroup
        wanted = {f"pod{uid}" for uid in uids}
        self._folders = [Path(f) for f, _, _ in os.walk(top) if Path(f).name in wanted]
        if len(self._folders) != len(wanted):
            raise BenchmarkError(f"{top} has {len(self._folders)} of {len(wanted)} pods")

    def seconds(self) -> float:
        """Since the pods began."""
        return sum(map(_seconds, self._folders))


def _seconds(folder: Path) -> float:
    if not cgroups.unified():
        return int((folder / "cpuacct.usage").read_text()) / 1e9
    pairs = (line.split() for line in (folder / "cpu.stat").read_text().splitlines())
    return int(dict(pairs)["usage_usec"]) / 1e6
