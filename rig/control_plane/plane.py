"""A control plane's life: its certificates, its processes, when it is ready, and its end."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TextIO, TypeVar

from rig import toolchain
from rig.control_plane import nodes as fakes
from rig.control_plane.api import Api
from rig.control_plane.nodes import FakeNode
from rig.errors import RigError
from rig.node import config, machine, pki
from rig.node.layout import Layout

T = TypeVar("T")

PROGRAMS = ("etcd", "kubernetes", "kwok")
"""The tools it is made of; see ``rig.toolchain``."""
START_SECONDS = 60.0
CLIENTS: pki.Clients = {
    "admin": ("spillway-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    # It plays every kubelet and the storage driver.
    "kwok": ("spillway:kwok", "system:masters"),
    "front-proxy": ("front-proxy", None),
}
_HERE = Path(__file__).parent
_RANGES = Layout("dev", Path())
"""Pods and Services have the addresses they have on the rig; nothing is routed."""
_DOCUMENTATION_ADDRESS = "192.0.2.1"
"""The API server insists on an address to advertise that is not loopback; nobody uses it."""


class ControlPlane:
    """etcd, API server, controller manager, scheduler and kwok as plain processes of this user.

    ``with ControlPlane() as plane:`` yields one that works, with ``plane.kubeconfig``. Every start
    is a new, empty cluster. Its processes end with the ``with`` block, and also when this process
    is killed. Without ``folder`` it uses a temporary one and removes it; a folder that is given
    keeps ``logs``. Several may run side by side: the one port is the kernel's choice and held.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        programs: Mapping[str, Path] | None = None,
        nodes: Sequence[FakeNode] = (FakeNode(),),
        storage_classes: Sequence[str] = ("local-path",),
        context: str = "rehearsal",
    ) -> None:
        """``context`` is the kubeconfig's; the first of ``storage_classes`` is the default one."""
        self._temporary = folder is None
        self._given = folder
        self._programs = programs
        self._nodes = nodes
        self._storage_classes = storage_classes
        self._context = context
        self._supervisor: subprocess.Popen[str] | None = None
        self._said = ""
        self._hold: socket.socket | None = None
        self.folder = folder.resolve() if folder else Path()
        self.pids = dict[str, int]()
        """Its processes by name, the supervisor's too, as far as they have been started."""

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
    def api(self) -> Api:
        """Requests as the administrator."""
        return Api(self.port, self.folder / "pki" / "admin")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        failure = self.failure
        self.stop()
        if failure and kind is None:
            raise RigError(failure)

    # -- start and stop ----------------------------------------------------------------------------

    def start(self) -> None:
        """Return when a node is Ready and pods can be made."""
        if self._supervisor:
            raise RigError("the control plane is running already")
        programs = self._programs or toolchain.ensure_all(PROGRAMS)
        if self._temporary:
            self.folder = Path(tempfile.mkdtemp(prefix="spillway-control-plane-"))
        try:
            self._prepare()
            commands = self._commands(programs)
            for name in ("etcd", "kube-apiserver"):
                self._run(name, commands.pop(name))
            api = self.api
            self._wait(api.ready, "the API server")
            for name, command in commands.items():
                self._run(name, command)
            for count, name in enumerate(self._storage_classes):
                classes = "/apis/storage.k8s.io/v1/storageclasses"
                api.create(classes, fakes.storage_class(name, default=count == 0))
            for node in self._nodes:
                api.create("/api/v1/nodes", node.manifest)
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            self._wait(lambda: api.get(account), "the default service account")
            for node in self._nodes:
                self._wait(lambda n=node.name: _ready(api, n), f"the fake node {node.name}")
        except BaseException:
            # The logs are what tells why.
            self._tell(temporary=False)
            self.stop()
            raise

    def stop(self) -> None:
        """Kill it all, and remove what it remembered; a folder that was given keeps the logs."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor:
            # The end of its input is the sign for it to end.
            supervisor.communicate()
        if self._hold:
            self._hold.close()
            self._hold = None

    @property
    def failure(self) -> str | None:
        """Which process ended by itself, and its last words; None while all is well."""
        self._listen()
        supervisor = self._supervisor
        for line in self._said.splitlines():
            message = json.loads(line)
            if "ended" in message:
                name = message["ended"]
                return f"{name} ended with status {message['status']}: {self._last_words(name)}"
        if supervisor and supervisor.poll() is not None:
            return f"the control plane's supervisor ended with status {supervisor.returncode}"
        return None

    def wait(self) -> None:
        """Return, with an error, only when a process has ended by itself."""
        if self._supervisor:
            self._supervisor.wait()
        raise RigError(self.failure or "the control plane is not running")

    def _last_words(self, name: str) -> str:
        log = self.logs / f"{name}.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return f"{lines[-1] if lines else 'no word'} (log: {log})"

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = machine.wait_for(self._lock, 5, f"{self.folder}: in use by another control plane")
        with lock:
            for name in ("etcd", "pki", "logs"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            self.logs.mkdir()
            self._hold = _hold_port()
            service = str(_RANGES.services.network_address + 1)
            issued = self.folder / "pki"
            pki.issue(issued, CLIENTS, {"apiserver": pki.api_server(service)})
            for name in ("controller-manager", "scheduler", "kwok"):
                path = issued / f"{name}.kubeconfig"
                pki.kubeconfig(path, issued / name, server=self.server, context=self._context)
            admin = issued / "admin"
            pki.kubeconfig(self.kubeconfig, admin, server=self.server, context=self._context)
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", str(_HERE / "supervisor.py"), str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(self.logs / "supervisor.log").open("w"),
                text=True,
                # Ctrl-C is for this process to act upon.
                start_new_session=True,
                # The lock is the supervisor's, so that it lasts until the last process is gone.
                pass_fds=(lock.fileno(),),
                env={**os.environ, "KWOK_WORKDIR": str(self.folder)},
            )
        self._said = ""
        self.pids = {"supervisor": self._supervisor.pid}
        self._tell(temporary=self._temporary)

    def _lock(self) -> TextIO | None:
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock

    # -- the supervisor ----------------------------------------------------------------------------

    def _run(self, name: str, command: Sequence[str]) -> None:
        self._tell(start=name, command=command)

    def _tell(self, **message: object) -> None:
        if self._supervisor and self._supervisor.stdin:
            try:
                self._supervisor.stdin.write(json.dumps(message) + "\n")
                self._supervisor.stdin.flush()
            except BrokenPipeError:
                return

    def _listen(self) -> None:
        if not self._supervisor or not self._supervisor.stdout:
            return
        pipe = self._supervisor.stdout.fileno()
        os.set_blocking(pipe, False)
        try:
            while read := os.read(pipe, 65536):
                self._said += read.decode()
        except BlockingIOError:
            pass
        for line in self._said.splitlines():
            message = json.loads(line)
            if "started" in message:
                self.pids[message["started"]] = message["pid"]

    def _wait(self, probe: Callable[[], T | None], what: str) -> T:
        def unless_failed() -> T | None:
            if failure := self.failure:
                raise RigError(failure)
            return probe()

        return machine.wait_for(unless_failed, START_SECONDS, f"{what} (see {self.logs})")

    # -- command lines -----------------------------------------------------------------------------

    def _commands(self, programs: Mapping[str, Path]) -> dict[str, list[str]]:
        issued = self.folder / "pki"
        return {
            "etcd": [
                str(programs["etcd"]),
                "--data-dir=etcd",
                # Sockets in the folder: no port to collide, and no other user gets in.
                "--listen-client-urls=unix://etcd.sock",
                "--listen-peer-urls=unix://peer.sock",
                # Names only: there is nobody to tell them to.
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--initial-advertise-peer-urls=http://127.0.0.1:2380",
                "--initial-cluster=default=http://127.0.0.1:2380",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
            "kube-apiserver": [
                str(programs["kube-apiserver"]),
                *config.api_server(issued),
                "--etcd-servers=unix://etcd.sock",
                "--bind-address=127.0.0.1",
                f"--secure-port={self.port}",
                "--permit-port-sharing",
                f"--advertise-address={_DOCUMENTATION_ADDRESS}",
                "--endpoint-reconciler-type=none",
                f"--service-cluster-ip-range={_RANGES.services}",
            ],
            "kube-controller-manager": [
                str(programs["kube-controller-manager"]),
                *config.controller_manager(issued),
                "--secure-port=0",
            ],
            "kube-scheduler": [
                str(programs["kube-scheduler"]),
                *config.scheduler(issued),
                "--secure-port=0",
            ],
            "kwok": [
                str(programs["kwok"]),
                f"--kubeconfig={issued}/kwok.kubeconfig",
                f"--config={_HERE / 'stages.yaml'}",
                "--manage-all-nodes=false",
                f"--manage-nodes-with-annotation-selector={'='.join(fakes.ANNOTATION)}",
                "--node-lease-duration-seconds=40",
                f"--cidr={_RANGES.pods}",
                f"--node-ip={_DOCUMENTATION_ADDRESS}",
            ],
        }


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
    status = (api.get(f"/api/v1/nodes/{node}") or {}).get("status", {})
    conditions = status.get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions) or None
