"""The life of a simulated fleet: control plane first, then the queue, then the autoscaler."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from components.cluster.nodes import POOL_LABEL
from rig import toolchain
from rig.control_plane import PROGRAMS, ControlPlane, FakeNode
from rig.control_plane.api import Api
from rig.errors import RigError
from rig.simulation import stages
from rig.simulation.autoscaler import Autoscaler
from rig.simulation.groups import NAMESPACE, Group, config_maps
from rig.simulation.ports import answers, free_port
from rig.simulation.queue import Queue
from rig.simulation.reaper import reap

TOOLS = (*PROGRAMS, "kueue", "cluster-autoscaler-kwok")
"""What it is made of; see ``rig.toolchain``."""
QUEUE, AUTOSCALER, API_SERVER = "kueue", "cluster-autoscaler", "kube-apiserver"
"""Names of processes."""
LIVES = 5
"""Of what is in a pod elsewhere, and gives up when it cannot ask the API server."""


class Fleet:
    """Real API server, scheduler, queue and autoscaler; machines, clouds and work are played.

    ``with Fleet(nodes) as fleet:`` yields a control plane whose webhooks nobody answers yet. When
    Kueue's chart has been applied to it, ``start_queue`` runs what the chart describes. It may be
    called from another thread while an ``up`` goes on: Kueue's Deployment is Ready when Kueue is.
    ``start_autoscaler`` is independent of both. All of it ends with the ``with`` block.
    """

    def __init__(
        self,
        nodes: Sequence[FakeNode],
        folder: Path | None = None,
        *,
        programs: Mapping[str, Path] | None = None,
        context: str = "simulation",
        factor: float = 1,
    ) -> None:
        """``folder`` keeps the logs; ``context`` is the kubeconfig's.

        ``factor`` is how much faster than the world the queue's own times go by.
        """
        self._factor = factor
        self._nodes = nodes
        self._folder = folder
        self._programs = programs
        self._context = context
        self._ends = ExitStack()
        self._plane: ControlPlane | None = None
        self._again: Callable[[], None] = self._never_ran

    @property
    def plane(self) -> ControlPlane:
        """Of which any process can be killed and started again."""
        if self._plane is None:
            raise RigError("the fleet is not running")
        return self._plane

    @property
    def api(self) -> Api:
        """Requests as the administrator."""
        return self.plane.api

    def __enter__(self) -> Self:
        self._programs = self._programs or toolchain.ensure_all(TOOLS)
        with ExitStack() as ends:
            scratch = Path(ends.enter_context(TemporaryDirectory(prefix="spillway-stages-")))
            self._plane = ends.enter_context(
                ControlPlane(
                    self._folder,
                    programs=self._programs,
                    nodes=self._nodes,
                    context=self._context,
                    webhooks=True,
                    stages=stages.write(scratch / "stages.yaml"),
                )
            )
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._plane = None
        self._ends.__exit__(*exception)

    def add(self, node: FakeNode) -> None:
        """One more machine, Ready when its annotations let it."""
        self.api.create("/api/v1/nodes", node.manifest)

    def start_queue(self, within: float = 300) -> None:
        """Run Kueue as its chart configures it; return when it admits.

        The chart has ``within`` seconds to be applied.
        """
        queue = Queue(self.plane, self._factor)
        applied = self.plane.await_answer(queue.applied, "Kueue's chart, all of it", within)
        command = queue.prepare(applied, self._program("kueue"))
        self.plane.run(QUEUE, command, LIVES)
        self.plane.await_answer(queue.admits, "Kueue")
        queue.tell_ready()

    def restart_queue(self) -> None:
        """Kill Kueue and start it anew, with the configuration that is there now."""
        self.plane.kill(QUEUE)
        self.start_queue()

    def start_autoscaler(
        self, groups: Sequence[Group], flags: Sequence[str] = (), factor: float = 1
    ) -> None:
        """Run Cluster Autoscaler as the stack says, over these groups; return when it answers.

        ``flags`` count more than the stack's. ``factor`` is how much faster than the world it runs:
        by default it waits half a minute before it makes a machine with GPUs, and a quarter of an
        hour for one that is a node but not Ready.
        One that runs is replaced: only at its start does it read what groups there are.
        """
        if AUTOSCALER in self.plane.pids:
            self.plane.kill(AUTOSCALER)
        for config in config_maps([self._remembered(group) for group in groups]):
            self._put(f"/api/v1/namespaces/{NAMESPACE}/configmaps", config)
        self._again = lambda: self.start_autoscaler(groups, flags, factor)
        port, program = free_port(), str(self._program("cluster-autoscaler-kwok"))
        command = Autoscaler(self.plane).command(program, port, flags, factor)
        self.plane.run(AUTOSCALER, command, LIVES)
        health = f"http://127.0.0.1:{port}/health-check"
        self.plane.await_answer(lambda: answers(health), "the autoscaler")

    def restart_autoscaler(self) -> None:
        """Kill the autoscaler and start it again; it remembers nothing but what the cluster has."""
        self._again()

    def _remembered(self, group: Group) -> Group:
        """The group with as many machines as a cloud would know that it has."""
        selector = f"{POOL_LABEL}%3D{group.name}"
        found = self.api.get(f"/api/v1/nodes?labelSelector={selector}")["items"]
        return replace(group, running=len(found))

    @staticmethod
    def _never_ran() -> None:
        raise RigError("the autoscaler was not started yet")

    def restart_api_server(self) -> None:
        """Kill the API server and start it again; everybody else has to find back to it."""
        self.plane.restart(API_SERVER)

    def reap(self, seconds: float) -> str:
        """Run what the stack's reaper of nodes runs, once, as its own account; what it said.

        ``seconds`` take the place of the stack's, for how long a node may be silent.
        """
        return reap(self.plane, seconds)

    def memory(self) -> dict[str, int]:
        """MiB that each process holds now."""
        found: dict[str, int] = {}
        for name, pid in self.plane.pids.items():
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                line = next((x for x in status.splitlines() if x.startswith("VmRSS:")), "")
                found[name] = int(line.split()[1]) // 1024 if line else 0
        return found

    def _program(self, name: str) -> Path:
        if not self._programs or name not in self._programs:
            raise RigError(f"no program {name!r} was given")
        return self._programs[name]

    def _put(self, path: str, document: dict[str, Any]) -> None:
        name = document["metadata"]["name"]
        if self.api.get(f"{path}/{name}") is None:
            self.api.create(path, document)
        else:
            self.api.merge(f"{path}/{name}", document)
