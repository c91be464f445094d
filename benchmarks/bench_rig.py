"""A rig of the benchmarks' own: brought up once, used by all that need it, and deleted after.

It is called ``bench`` and keeps its state where every rig does, so that what a killed run left is
found and removed by the next. The stack file is the one in the checkout: its addresses are those of
the rig ``dev``, which changes who passes as an outsider of the cluster, but nothing that is timed.
"""

import fcntl
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from benchmarks.errors import BenchmarkError
from benchmarks.memory_use import Sampler
from benchmarks.timing import Timed, timed
from rig import cluster, paths
from rig.node import addons
from rig.steps import console

RIG = "bench"
NAMESPACE = "spillway"
NODE_PORT = 30500
PROBE = "/api/2.0/mlflow/experiments/search?max_results=1"
"""Needs the database: more than that a port is open."""


@dataclass(frozen=True)
class FirstUp:
    """From no state at all to a platform."""

    command: Timed
    usable: float
    """Seconds until MLflow answered a question that needs its database."""


class BenchRig:
    """The rig, started by whoever asks first."""

    def __init__(self) -> None:
        self.rig = cluster.Rig(RIG)
        self.layout = self.rig.layout
        self.memory = Sampler(self.layout.cgroup)
        self.url = f"http://{self.layout.address}:{NODE_PORT}"

    def up(self) -> Timed:
        """The command that users run."""
        return timed([paths.ROOT / "bin" / "rig", "up"], env={"SPILLWAY_RIG": RIG})

    @cached_property
    def first_up(self) -> FirstUp:
        """Start it from nothing, once."""
        self.memory.start()
        began = time.monotonic()
        usable: list[float] = []
        done = threading.Event()

        def ask() -> None:
            while not done.wait(0.2):
                if answers(self.url + PROBE):
                    usable.append(time.monotonic() - began)
                    return

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        try:
            command = self.up()
        finally:
            # A server that is there answers in much less.
            asking.join(5)
            done.set()
        if not usable:
            raise BenchmarkError(f"bin/rig up ended, but {self.url} does not answer")
        return FirstUp(command, usable[0])

    @cached_property
    def kubectl(self) -> addons.Cluster:
        """The cluster as kubectl sees it."""
        return addons.Cluster(cluster.setup()["kubectl"], self.layout.kubeconfig)


def answers(url: str) -> bool:
    """Whether there is a good answer within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - http, ours
            return response.status == 200  # noqa: PLR2004 - HTTP's own
    except OSError:
        return False


@contextmanager
def bench_rig() -> Iterator[BenchRig]:
    """One at a time on a machine; nothing is left of it, also after Ctrl-C."""
    bench = BenchRig()
    folder = bench.layout.state.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{RIG}.session").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("another run of the benchmarks is under way; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        bench.rig.delete()
        try:
            yield bench
        finally:
            bench.memory.stop()
            if bench.layout.state.exists():
                bench.rig.delete()
