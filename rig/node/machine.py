"""Starts and stops the node: a set of namespaces whose first process is a supervisor.

Processes, mounts, interfaces, netfilter rules and ipsets of the rig live in pid, mount and network
namespaces of its own. The kernel ends them all with the first process, so that a stop, or a crash,
cannot leave one behind; only cgroups are removed by hand.
"""

import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rig.errors import RigError
from rig.node import cgroups, loopback
from rig.node.layout import NODE_NAME, QUEUE, Layout

T = TypeVar("T")

INIT = Path(__file__).parent / "init.sh"
STOP_CONTAINERS = 15.0
"""Seconds the containers have to end by themselves."""
STOP_PROCESSES = 20.0
"""Seconds the control plane has to end by itself."""


def start(layout: Layout) -> None:
    """Make the namespaces and start the supervisor in them. The files must be written already."""
    layout.state.mkdir(parents=True, exist_ok=True)
    refuse_taken_network(layout)
    log = (layout.logs / "init.log").open("ab")
    holder = subprocess.Popen(
        [
            *("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork"),
            *("--kill-child", "--mount-proc", "--propagation", "private", "--"),
            *("/bin/sh", INIT, layout.state, NODE_NAME, layout.address, layout.gateway),
            *(str(layout.pods), str(QUEUE), Path(sys.executable).parent / "supervisord"),
        ],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        first = wait_for(lambda: _child(holder.pid), 10, "the rig's namespaces")
        cgroups.create(layout.cgroup, holder.pid)
        cgroups.create(layout.cgroup, first)
        layout.pid_file.write_text(f"{holder.pid} {_started(holder.pid)}\n")
        _link(layout, first)
        assert holder.stdin  # noqa: S101 - we asked for a pipe
        holder.stdin.write(b"\n")
        holder.stdin.close()
        control = Path(f"/proc/{first}/root/run/supervisor.sock")
        wait_for(lambda: control.exists() or None, 20, f"the supervisor (see {layout.logs})")
    except BaseException:
        holder.kill()
        stop(layout)
        raise


def _link(layout: Layout, first: int) -> None:
    """A pair of interfaces: one end here, the other in the node."""
    end = layout.interface
    _ip("link", "delete", end, check=False)
    _ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", str(first))
    _ip("address", "add", f"{layout.gateway}/30", "dev", end)
    _ip("link", "set", end, "up")
    for ranges in (layout.pods, layout.services):
        _ip("route", "replace", str(ranges), "via", layout.address, "dev", end)


def refuse_taken_network(layout: Layout) -> None:
    """Error when another interface of the machine already routes a part of the rig's network."""
    for route in json.loads(_ip("-json", "route", "show", "table", "all", "type", "unicast")):
        destination = route.get("dst", "default")
        if destination == "default" or ":" in destination or route.get("dev") == layout.interface:
            continue
        if _overlaps(destination, layout):
            raise RigError(
                f"network {layout.network} is in use: {destination} goes to {route.get('dev')}; "
                "name the rig otherwise (SPILLWAY_RIG=other) to get another network"
            )


def _overlaps(destination: str, layout: Layout) -> bool:
    return ipaddress.IPv4Network(destination, strict=False).overlaps(layout.network)


def holder_pid(layout: Layout) -> int | None:
    """Pid of the process that holds the namespaces, or None when the rig is down."""
    try:
        pid, started = layout.pid_file.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    # A pid is used again after a while; with its start time it is not.
    return int(pid) if _started(int(pid)) == started else None


def first_pid(layout: Layout) -> int | None:
    """Pid, on the machine, of the rig's supervisor."""
    holder = holder_pid(layout)
    return _child(holder) if holder else None


def inside(layout: Layout, *command: str | Path) -> list[str]:
    """Command line that runs ``command`` in the node."""
    first = first_pid(layout)
    if not first:
        raise RigError(f"the rig {layout.name!r} is not running; start it with: bin/rig start")
    return ["nsenter", f"--target={first}", "--mount", "--net", "--pid", "--uts", "--ipc", "--"] + [
        str(word) for word in command
    ]


def run_inside(layout: Layout, *command: str | Path, timeout: float = 60) -> str:
    """Run a command in the node and return what it prints."""
    done = subprocess.run(
        inside(layout, *command), capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        text = (done.stderr or done.stdout).strip()
        raise RigError(f"{command[0]} in the node: {text.splitlines()[-1] if text else 'failed'}")
    return done.stdout


def processes(layout: Layout) -> dict[str, str]:
    """State of each supervised process: ``RUNNING``, ``STARTING``, ``BACKOFF``, ..."""
    control = Path(sys.executable).parent / "supervisorctl"
    done = subprocess.run(
        inside(layout, control, "-c", layout.etc / "supervisord.conf", "status"),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    rows = (line.split() for line in done.stdout.splitlines())
    return {row[0]: row[1] for row in rows if len(row) > 1}


def stop(layout: Layout, notice: Callable[[str], None] = lambda _: None) -> None:
    """End the rig and remove every trace but its state. Does nothing when there is none."""
    first = first_pid(layout)
    if first:
        _stop_containers(layout, notice)
        notice("stopping the control plane")
        _signal(first, signal.SIGTERM)
        _await_end(lambda: holder_pid(layout) is None, STOP_PROCESSES)
    holder = holder_pid(layout)
    if holder:
        # --kill-child: the supervisor, and with it its whole pid namespace, goes too.
        _signal(holder, signal.SIGKILL)
    for pid in cgroups.pids(layout.cgroup):
        _signal(pid, signal.SIGKILL)
    _await_end(lambda: not cgroups.pids(layout.cgroup), 10)
    _ip("link", "delete", layout.interface, check=False)
    if shutil.which("nft"):
        loopback.retract(layout)
    if left := cgroups.remove(layout.cgroup):
        raise RigError(f"cgroups that would not go: {', '.join(map(str, left))}")
    layout.pid_file.unlink(missing_ok=True)


def _stop_containers(layout: Layout, notice: Callable[[str], None]) -> None:
    """Give databases their own way of ending: the signal that each image names."""
    control = Path(sys.executable).parent / "supervisorctl"
    # Otherwise it starts again what is stopped here.
    _quietly(inside(layout, control, "-c", layout.etc / "supervisord.conf", "stop", "kubelet"))
    ctr = inside(layout, "ctr", "--namespace=k8s.io")
    tasks = _quietly([*ctr, "tasks", "list", "--quiet"]).split()
    notice(f"stopping {len(tasks)} containers")
    for task in tasks:
        info = _quietly([*ctr, "containers", "info", task])
        labels = json.loads(info).get("Labels", {}) if info else {}
        wanted = labels.get("io.containerd.image.config.stop-signal", "SIGTERM")
        _quietly([*ctr, "tasks", "kill", "--signal", wanted, task])
    below = "kubepods"
    _await_end(lambda: not cgroups.pids(layout.cgroup, below), STOP_CONTAINERS)


def traces(layout: Layout) -> list[str]:
    """What of the rig is left on the machine; empty after a stop."""
    found = [f"process {pid}" for pid in cgroups.pids(layout.cgroup)]
    found += [f"cgroup {folder}" for folder in cgroups.remains(layout.cgroup)]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount {line.split()[4]}" for line in mounts if str(layout.state) in line]
    if _ip("link", "show", layout.interface, check=False):
        found.append(f"interface {layout.interface}")
    if shutil.which("nft"):
        tables = _quietly(["nft", "list", "tables"])
        own = f"table ip {loopback.table(layout)}"
        found += [line for line in tables.splitlines() if "kube" in line or line == own]
    return found


def wait_for(probe: Callable[[], T | None], seconds: float, what: str) -> T:
    """First answer of ``probe`` that is not None; an error names ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while (answer := probe()) is None:
        if time.monotonic() > deadline:
            raise RigError(f"{what}: not there after {seconds:.0f} s")
        time.sleep(0.1)
    return answer


def _await_end(ended: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ended() and time.monotonic() < deadline:
        time.sleep(0.1)


def _quietly(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _child(pid: int) -> int | None:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return None
    return int(children[0]) if children else None


def _started(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot; None for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def _ip(*words: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RigError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
