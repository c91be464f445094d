"""Samples what a rig's cgroup holds, once a second, in the background."""

import threading
from dataclasses import dataclass

from rig.node import cgroups

INTERVAL = 1.0


@dataclass(frozen=True)
class Sample:
    """Bytes of one moment."""

    anonymous: int
    """What processes hold for themselves; the kernel cannot take it back."""
    files: int
    """Page cache and shared memory."""
    shared: int
    """The part of ``files`` that cannot be dropped: shared memory and tmpfs."""


class Sampler:
    """Starts before the rig does: a cgroup that is not there yet gives no sample."""

    def __init__(self, cgroup: str) -> None:
        self._cgroup = cgroup
        self._samples: list[Sample] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """End sampling."""
        self._done.set()

    @property
    def samples(self) -> list[Sample]:
        """All so far, oldest first."""
        return list(self._samples)

    def _run(self) -> None:
        while not self._done.wait(INTERVAL):
            try:
                self._samples.append(_sample(self._cgroup))
            except OSError:
                continue


def _sample(cgroup: str) -> Sample:
    use = cgroups.memory(cgroup)
    v2 = cgroups.unified()
    folder = cgroups.MOUNT / cgroup if v2 else cgroups.MOUNT / "memory" / cgroup
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    shared = int(stat.get("shmem" if v2 else "total_shmem", 0))
    return Sample(anonymous=use["rss"], files=use["cache"], shared=shared)
