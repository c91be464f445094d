"""A control plane's life: its folder and port, when it is ready, and its end."""

import fcntl
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TextIO, TypeVar

from rig import toolchain
from rig.control_plane.api import Api
from rig.control_plane.commands import PROGRAMS, STAGES, commands, issue
from rig.control_plane.nodes import FakeNode, storage_class
from rig.control_plane.supervised import Supervised
from rig.errors import RigError
from rig.kube import ready
from rig.node.machine import wait_for

T = TypeVar("T")

START_SECONDS = 60.0


class ControlPlane:
    """etcd, API server, controller manager, scheduler and kwok as plain processes of this user.

    ``with ControlPlane() as plane:`` yields one that works, with ``plane.kubeconfig``. Every start
    is a new, empty cluster. Its processes end with the ``with`` block, and also when this process
    is killed. Without ``folder`` it uses a temporary one and removes it; a folder that is given
    keeps ``logs``. Several may run side by side.
    """

    def __init__(  # noqa: PLR0913 - in what one differs from another
        self,
        folder: Path | None = None,
        *,
        programs: Mapping[str, Path] | None = None,
        nodes: Sequence[FakeNode] = (FakeNode(),),
        storage_classes: Sequence[str] = ("local-path",),
        context: str = "rehearsal",
        webhooks: bool = False,
        stages: Path = STAGES,
    ) -> None:
        """``context`` is the kubeconfig's; the first of ``storage_classes`` is the default one.

        With ``webhooks`` the API server asks them: for a caller that runs what answers. ``stages``
        is what kwok does to nodes and pods.
        """
        self._temporary = folder is None
        self._programs = programs
        self._nodes = nodes
        self._storage_classes = storage_classes
        self._context = context
        self._webhooks = webhooks
        self._stages = stages
        self._commands = dict[str, Sequence[str]]()
        self._lives = dict[str, int]()
        self._processes: Supervised | None = None
        self._hold: socket.socket | None = None
        self.folder = folder.resolve() if folder else Path()
        self._last = dict[str, int]()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's way in."""
        return self.folder / "kubeconfig"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.folder / "logs"

    @property
    def port(self) -> int:
        """Where the API server listens on 127.0.0.1."""
        if self._hold is None:
            raise RigError("the control plane is not running")
        return self._hold.getsockname()[1]

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def pids(self) -> Mapping[str, int]:
        """Its processes by name, the supervisor too; those of the last start after a stop."""
        return self._processes.pids if self._processes else self._last

    @property
    def api(self) -> Api:
        """Requests as the administrator."""
        return Api(self.port, self.folder / "pki" / "admin")

    @property
    def failure(self) -> str | None:
        """Which process ended for good, and its last words; None while all is well."""
        return self._processes.failure if self._processes else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        failure = self.failure
        self.stop()
        if failure and kind is None:
            raise RigError(failure)

    def start(self) -> None:
        """Return when the nodes are Ready and pods can be made."""
        if self._processes:
            raise RigError("the control plane is running already")
        programs = self._programs or toolchain.ensure_all(PROGRAMS)
        if self._temporary:
            self.folder = Path(tempfile.mkdtemp(prefix="spillway-control-plane-"))
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with wait_for(self._lock, 5, f"{self.folder}: in use by another control plane") as lock:
            try:
                self._prepare()
                self._processes = Supervised(self.folder, lock, temporary=self._temporary)
                self._bring_up(self._processes, programs)
            except BaseException as error:
                # When a process dies the API server goes too, in the middle of whatever was said.
                failure = self.failure
                if self._processes and (failure or isinstance(error, RigError)):
                    # The message names the logs, so they stay.
                    self._processes.keep(True)
                self.stop()
                if failure and isinstance(error, Exception):
                    raise RigError(failure) from error
                raise

    def stop(self) -> None:
        """Kill it all, and remove what it remembered; a folder that was given keeps the logs."""
        processes, self._processes = self._processes, None
        if processes:
            self._last = processes.pids
            processes.stop()
        if self._hold:
            self._hold.close()
            self._hold = None

    def wait(self) -> None:
        """Return, with an error, only when a process has ended by itself."""
        if self._processes:
            self._processes.wait()
        raise RigError(self.failure or "the control plane is not running")

    def run(self, name: str, command: Sequence[str], lives: int = 1) -> None:
        """Start one more process, in its folder; it ends with all others, and they with it.

        With more ``lives`` it is started anew when it ends by itself, as a kubelet does with what
        is in a pod: a second later, then two, then four.
        """
        processes = self._running()
        if name in processes.pids:
            raise RigError(f"{name} is running already")
        self._commands[name] = command
        self._lives[name] = lives
        processes.run(name, command, lives)
        self.await_answer(lambda: processes.pids.get(name), f"a process for {name}")

    def kill(self, name: str) -> None:
        """End one process as a crash does, and let all others go on."""
        processes = self._running()
        if name not in processes.pids:
            raise RigError(f"no process {name!r}; there are {', '.join(processes.pids)}")
        processes.kill(name)

    def restart(self, name: str) -> None:
        """Kill one process, if it runs, and start it as before; the API server until it answers."""
        if name not in self._commands:
            raise RigError(f"no process {name!r}; there are {', '.join(self._commands)}")
        if name in self._running().pids:
            self.kill(name)
        self.run(name, self._commands[name], self._lives.get(name, 1))
        if name == "kube-apiserver":
            self.await_answer(self.api.ready, "the API server")

    def await_answer(
        self, probe: Callable[[], T | None], what: str, seconds: float = START_SECONDS
    ) -> T:
        """First answer that is not None; an error when a process ends, or after ``seconds``."""

        def unless_failed() -> T | None:
            if failure := self.failure:
                raise RigError(failure)
            return probe()

        return wait_for(unless_failed, seconds, f"{what} (see {self.logs})")

    def _running(self) -> Supervised:
        if self._processes is None:
            raise RigError("the control plane is not running")
        return self._processes

    def _prepare(self) -> None:
        for name in ("etcd", "pki", "logs"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.logs.mkdir()
        self._hold = _hold_port()
        issue(self.folder, self.server, self._context)

    def _bring_up(self, processes: Supervised, programs: Mapping[str, Path]) -> None:
        planned = commands(
            self.folder, self.port, programs, webhooks=self._webhooks, stages=self._stages
        )
        self._commands = dict[str, Sequence[str]](planned)
        for name in ("etcd", "kube-apiserver"):
            processes.run(name, planned.pop(name))
        api = self.api
        self.await_answer(api.ready, "the API server")
        for name, command in planned.items():
            processes.run(name, command)
        for count, name in enumerate(self._storage_classes):
            classes = "/apis/storage.k8s.io/v1/storageclasses"
            api.create(classes, storage_class(name, default=count == 0))
        for node in self._nodes:
            api.create("/api/v1/nodes", node.manifest)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.await_answer(lambda: api.get(account), "the default service account")
        for node in self._nodes:
            self.await_answer(
                lambda name=node.name: _ready(api, name), f"the fake node {node.name}"
            )

    def _lock(self) -> TextIO | None:
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock


def _hold_port() -> socket.socket:
    """A port of loopback that nobody else gets: bound here, shared with the API server alone.

    The kernel never picks a bound port for others; only who asks for it by number, as the same
    user and with the same option, may share it.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held


def _ready(api: Api, node: str) -> bool | None:
    return ready(api.get(f"/api/v1/nodes/{node}") or {}) or None
