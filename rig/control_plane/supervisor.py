"""Starts the processes of one control plane and sees to it that none outlives whoever asked.

It is run as a file, so it uses the standard library alone. Standard input has one JSON object a
line: a process to start or to kill, or whether the folder is to be kept. When that input ends,
because its other end said so or died in whatever way, or when one of the processes ends for good,
everything is killed: nothing here is worth keeping. The kernel does the same when this process is
itself killed. No privilege is needed for any of it.

usage: supervisor.py FOLDER   (the working directory of the processes)
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
FOLDERS, FILES = ("etcd", "pki"), ("kubeconfig", "etcd.sock", "peer.sock")
"""What is removed however the end comes: secrets, and ways to what is gone."""
BACK_OFF = 1.0
"""Seconds before a process is started anew; twice as long each time, as a kubelet does."""
_libc = ctypes.CDLL(None)


@dataclass
class Started:
    """A process, and how often it may end before all others go with it."""

    command: list[str]
    lives: int
    wait: float
    """Seconds before it is started anew."""
    process: subprocess.Popen[bytes]


class Supervisor:
    """The processes, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._me, self._parent = os.getpid(), os.getppid()
        self._running: dict[str, Started] = {}
        self._fallen: dict[str, tuple[float, Started]] = {}
        """Those to start anew, and when."""
        self._keep = True

    def run(self) -> None:
        """Return when the other end of standard input is gone, or when a process ended."""
        for message in self._messages():
            if "start" in message:
                self._start(message["start"], message["command"], message["lives"])
            elif "kill" in message:
                self._kill(message["kill"])
            else:
                self._keep = message["keep"]

    def _messages(self) -> Iterator[dict]:
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        # A handler of Python's must be there for a signal to reach the pipe.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        rest = b""
        while os.getppid() == self._parent and not self._ended():
            self._revive()
            # A fork of the parent's may hold the pipe open after its death; hence the timeout.
            ready, _, _ = select.select([0, woken], [], [], 1.0)
            if woken in ready:
                os.read(woken, 4096)
            if 0 in ready:
                read = os.read(0, 65536)
                if not read:
                    return
                *lines, rest = (rest + read).split(b"\n")
                yield from map(json.loads, lines)

    def _start(self, name: str, command: list[str], lives: int, wait: float = BACK_OFF) -> None:
        self._fallen.pop(name, None)
        log = self._folder / "logs" / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=self._die_with_me,  # noqa: PLW1509 - there is one thread
            )
        self._running[name] = Started(command, lives, wait, process)
        _say(started=name, pid=process.pid)

    def _kill(self, name: str) -> None:
        """Nobody misses who is no longer among the running."""
        self._fallen.pop(name, None)
        if one := self._running.pop(name, None):
            one.process.kill()
            one.process.wait()
        _say(killed=name)

    def _die_with_me(self) -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._me:
            os._exit(1)

    def _ended(self) -> bool:
        """Whether one has ended for the last time; others that ended wait to be started anew."""
        for name, one in [*self._running.items()]:
            if (status := one.process.poll()) is None:
                continue
            if one.lives == 1:
                _say(ended=name, status=status)
                self._keep = True
                return True
            self._fallen[name] = time.monotonic() + one.wait, self._running.pop(name)
            _say(fallen=name)
        return False

    def _revive(self) -> None:
        for name, (due, one) in [*self._fallen.items()]:
            if due <= time.monotonic():
                self._start(name, one.command, one.lives - 1, one.wait * 2)

    def end(self) -> None:
        """Kill what runs, wait for it, and remove what is of no use now."""
        for one in self._running.values():
            one.process.kill()
        for one in self._running.values():
            one.process.wait()
        for name in FOLDERS:
            shutil.rmtree(self._folder / name, ignore_errors=True)
        for name in FILES:
            (self._folder / name).unlink(missing_ok=True)
        if not self._keep:
            shutil.rmtree(self._folder, ignore_errors=True)


def _say(**message: str | int) -> None:
    with suppress(BrokenPipeError):
        print(json.dumps(message), flush=True)


def main(folder: str) -> None:
    """Supervise until the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    supervisor = Supervisor(Path(folder))
    try:
        supervisor.run()
    finally:
        supervisor.end()


if __name__ == "__main__":
    main(sys.argv[1])
