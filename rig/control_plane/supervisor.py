"""Starts the processes of one control plane and sees to it that none outlives whoever asked.

It is run as a file, so it uses the standard library alone. Standard input has one JSON object a
line: a process to start or to kill, or whether the folder is to be kept. When that input ends,
because its other end said so or died in whatever way, or when one of the processes ends by itself,
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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
FOLDERS, FILES = ("etcd", "pki"), ("kubeconfig", "etcd.sock", "peer.sock")
"""What is removed however the end comes: secrets, and ways to what is gone."""
_libc = ctypes.CDLL(None)


class Supervisor:
    """The processes, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._me, self._parent = os.getpid(), os.getppid()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._keep = True

    def run(self) -> None:
        """Return when the other end of standard input is gone, or when a process ended."""
        for message in self._messages():
            if "start" in message:
                self._start(message["start"], message["command"])
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

    def _start(self, name: str, command: list[str]) -> None:
        log = self._folder / "logs" / f"{name}.log"
        with log.open("ab") as out:
            self._running[name] = subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=self._die_with_me,  # noqa: PLW1509 - there is one thread
            )
        _say(started=name, pid=self._running[name].pid)

    def _kill(self, name: str) -> None:
        """Nobody misses who is no longer among the running."""
        if process := self._running.pop(name, None):
            process.kill()
            process.wait()
        _say(killed=name)

    def _die_with_me(self) -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._me:
            os._exit(1)

    def _ended(self) -> bool:
        for name, process in self._running.items():
            if process.poll() is not None:
                _say(ended=name, status=process.returncode)
                self._keep = True
                return True
        return False

    def end(self) -> None:
        """Kill what runs, wait for it, and remove what is of no use now."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
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
