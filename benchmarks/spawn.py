"""Benchmark of notebook servers: how soon one is there, alone and in a crowd, and the hub's memory.

From the request for a server to its page through the proxy, as a browser asks for both.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from benchmarks.bench_rig import NAMESPACE, PEOPLE, BenchRig
from benchmarks.errors import BenchmarkError
from benchmarks.report import Report, Row
from rig import paths
from rig.errors import RigError
from rig.steps import step

SPAWNS = 20
ALONE_SECONDS, CROWD_SECONDS = 12, 40
MEMORY_MIB = 400
PATIENCE = 1800
SAMPLE_SECONDS = 5
MIB = 2**20


def spawn(bench: BenchRig) -> Report:
    """Twenty servers one after another, then ten at once."""
    _ = bench.first_up
    with HubMemory(bench) as memory:
        with step("a first server, which makes the home"):
            _crowd(bench, PEOPLE[:1], 1)
        with step(f"{SPAWNS} servers, one after another"):
            alone = _crowd(bench, PEOPLE[:1], SPAWNS)
        with step(f"{len(PEOPLE)} people at once"):
            together = _crowd(bench, PEOPLE, 1)
    rows = [
        *_rows("one server", alone, ALONE_SECONDS),
        *_rows(f"a server when {len(PEOPLE)} start at once", together, CROWD_SECONDS),
        Row(
            what="the hub's memory meanwhile, peak (working set)",
            result=f"{memory.peak / MIB:.0f} MiB",
            goal=f"≤ {MEMORY_MIB} MiB",
        ),
    ]
    notes = (
        "Profile `small`; from the request to the answer 200 of the server's page through the "
        "proxy. The image is on the node.",
        f"In the crowd {len(PEOPLE) - 1} people have no home yet: their volumes are made as well.",
        f"Memory is what the kubelet says of the hub's container, every {SAMPLE_SECONDS} s; "
        f"{memory.samples} samples.",
    )
    return Report(rows=rows, notes=notes)


def percentile(times: Sequence[float], share: float) -> float:
    """The least time within which ``share`` of all were done."""
    ordered = sorted(times)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _rows(what: str, times: Sequence[float], goal: float) -> list[Row]:
    return [
        Row(
            what=f"{what}: median",
            result=f"{percentile(times, 0.5):.1f} s",
            samples=", ".join(f"{t:.1f}" for t in times),
        ),
        Row(
            what=f"{what}: 95th percentile",
            result=f"{percentile(times, 0.95):.1f} s",
            goal=f"≤ {goal:g} s",
        ),
    ]


def _crowd(bench: BenchRig, people: Sequence[str], times: int) -> list[float]:
    found = os.pathsep.join([str(paths.ROOT), str(paths.ROOT / "tests" / "cluster")])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.crowd", bench.hub],
        cwd=paths.ROOT,
        env={**os.environ, "PYTHONPATH": found},
        # Arguments can be read by everybody.
        input=json.dumps({"people": people, "times": times, "password": bench.password()}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise BenchmarkError(f"a server did not come: {said[0]}")
    return json.loads(done.stdout)


class HubMemory:
    """The most that the hub's container held between entering and leaving."""

    def __init__(self, bench: BenchRig) -> None:
        self._bench = bench
        self._found: list[int] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "HubMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(60)
        if not self._found:
            raise BenchmarkError("the kubelet said nothing of the hub's memory")

    @property
    def peak(self) -> int:
        """Bytes."""
        return max(self._found)

    @property
    def samples(self) -> int:
        """How often it was looked at."""
        return len(self._found)

    def _run(self) -> None:
        while True:
            with suppress(RigError, StopIteration):  # the kubelet is late: the next one will do
                self._found.append(self._now())
            if self._done.wait(SAMPLE_SECONDS):
                return

    def _now(self) -> int:
        kubectl = self._bench.kubectl
        node = kubectl.run("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
        text = kubectl.run("get", "--raw", f"/api/v1/nodes/{node.strip()}/proxy/stats/summary")
        return next(
            container["memory"]["workingSetBytes"]
            for pod in json.loads(text)["pods"]
            if pod["podRef"]["namespace"] == NAMESPACE
            for container in pod["containers"]
            if container["name"] == "hub"
        )
