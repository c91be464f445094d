"""A rig of the benchmarks' own: brought up once, used by all that need it, and deleted after.

It is called ``bench`` and keeps its state where every rig does, so that what a killed run left is
found and removed by the next. The stack file is the one in the checkout with this rig's addresses,
and with people enough for a crowd.
"""

import fcntl
import os
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import project
from benchmarks.errors import BenchmarkError
from benchmarks.memory_use import Sampler
from benchmarks.timing import Timed, timed
from rig import cluster, paths
from rig.errors import RigError
from rig.node import addons
from rig.platform import Platform
from rig.steps import console

RIG = "bench"
NAMESPACE = "spillway"
NODE_PORT, HUB_PORT = 30500, 30080
TENANT = "vision"
PEOPLE = tuple(f"person{n}" for n in range(1, 11))
"""Members of the tenant in the bench's own stack file."""
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

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rig = cluster.Rig(RIG)
        self.layout = self.rig.layout
        self.memory = Sampler(self.layout.cgroup)
        self.url = f"http://{self.layout.address}:{NODE_PORT}"
        self.hub = f"http://{self.layout.address}:{HUB_PORT}"

    @cached_property
    def project(self) -> Path:
        """The folder of the stack that is brought up."""
        return project.adapted(self._folder / "project", self.layout, crowded)

    def up(self) -> Timed:
        """The command that users run."""
        command = [paths.ROOT / "bin" / "rig", "up", "--project", self.project]
        return timed(command, env={"SPILLWAY_RIG": RIG})

    def password(self) -> str:
        """Of the login that everybody shares."""
        platform = Platform("dev", self.project)
        with patch.dict(os.environ, {"SPILLWAY_RIG": RIG}):
            return platform.password()

    def identity(self) -> dict[str, str]:
        """Variables with which a client logs in to MLflow, for an hour."""
        token = self.kubectl.run("create", "token", "notebook", "-n", TENANT).strip()
        return {"MLFLOW_TRACKING_TOKEN": token, "MLFLOW_WORKSPACE": TENANT}

    @cached_property
    def first_up(self) -> FirstUp:
        """Start it from nothing, once."""
        self.memory.start()
        began = time.monotonic()
        usable: list[float] = []
        done = threading.Event()

        _ = self.kubectl

        def ask() -> None:
            identity: dict[str, str] = {}
            while not done.wait(0.2):
                try:
                    # The account is there long before the server is.
                    identity = identity or self.identity()
                except RigError:
                    continue
                if answers(self.url + PROBE, identity):
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


def crowded(config: dict[str, Any]) -> None:
    """Let ten people more into a tenant, which may hold what they start."""
    tenant = config["spillway:tenants"][TENANT]
    tenant["members"] = [*tenant.get("members", ()), *PEOPLE]
    tenant["quota"] = {"cpu": 32, "memory": "64Gi"}


def headers(identity: Mapping[str, str]) -> dict[str, str]:
    """As MLflow's clients send it."""
    return {
        "Authorization": f"Bearer {identity['MLFLOW_TRACKING_TOKEN']}",
        "X-MLFLOW-WORKSPACE": identity["MLFLOW_WORKSPACE"],
    }


def answers(url: str, identity: Mapping[str, str]) -> bool:
    """Whether there is a good answer within two seconds."""
    request = urllib.request.Request(url, headers=headers(identity))  # noqa: S310 - http, ours
    try:
        with urllib.request.urlopen(request, timeout=2) as response:  # noqa: S310
            return response.status == 200  # noqa: PLR2004 - HTTP's own
    except OSError:
        return False


@contextmanager
def bench_rig() -> Iterator[BenchRig]:
    """One at a time on a machine; nothing is left of it, also after Ctrl-C."""
    folder = cluster.Rig(RIG).layout.state.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="spillway-bench-") as own,
        (folder / f".{RIG}.session").open("w") as lock,
    ):
        bench = BenchRig(Path(own))
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
