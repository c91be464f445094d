"""This side of the supervisor: what to start goes to it, what became of it comes back."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rig.node.machine import wait_for


class Supervised:
    """The processes of one control plane, under a supervisor of their own."""

    def __init__(self, folder: Path, lock: TextIO, *, temporary: bool) -> None:
        """Start the supervisor; ``lock`` is held until it, and so every process, is gone."""
        self._logs = folder / "logs"
        self._heard = ""
        self._messages = list[dict[str, str | int]]()
        with (self._logs / "supervisor.log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(Path(__file__).with_name("supervisor.py")), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # Ctrl-C is for this process to act upon.
                start_new_session=True,
                pass_fds=(lock.fileno(),),
                # Else kwok reads a file in the user's home as well.
                env={**os.environ, "KWOK_WORKDIR": str(folder)},
            )
        self.keep(not temporary)

    def run(self, name: str, command: Sequence[str], lives: int = 1) -> None:
        """Start a process, and start it anew until it has ended ``lives`` times by itself."""
        self._tell(start=name, command=command, lives=lives)

    def kill(self, name: str) -> None:
        """Return when the process is gone; unlike one that ends by itself, it takes none along."""
        before = self._killed(name)
        self._tell(kill=name)

        def gone() -> bool | None:
            return self._killed(name) > before or bool(self.failure) or None

        wait_for(gone, 10, f"the end of {name}")

    def _killed(self, name: str) -> int:
        self._listen()
        return sum(message.get("killed") == name for message in self._messages)

    def keep(self, wanted: bool) -> None:
        """Whether the folder stays when all has ended."""
        self._tell(keep=wanted)

    def stop(self) -> None:
        """Return when every process is gone."""
        # The end of its input is the sign for it to end.
        self._process.communicate()

    def wait(self) -> None:
        """Return when it has ended by itself."""
        self._process.wait()

    @property
    def pids(self) -> dict[str, int]:
        """Processes by name, the supervisor too."""
        self._listen()
        running = {"supervisor": self._process.pid}
        for message in self._messages:
            if "started" in message:
                running[str(message["started"])] = int(message["pid"])
            running.pop(str(message.get("killed", message.get("fallen"))), None)
        return running

    @property
    def failure(self) -> str | None:
        """Which process ended for good, and its last words; None while all is well."""
        ended = self._process.poll() is not None
        self._listen()
        for message in self._messages:
            if "ended" in message:
                return self._told(str(message["ended"]), message["status"])
        return self._told("supervisor", self._process.returncode) if ended else None

    def _told(self, name: str, status: str | int) -> str:
        log = self._logs / f"{name}.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        last = lines[-1] if lines else "no word"
        return f"{name} ended with status {status}: {last} (log: {log})"

    def _tell(self, **message: object) -> None:
        assert self._process.stdin  # noqa: S101 - we asked for a pipe
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def _listen(self) -> None:
        assert self._process.stdout  # noqa: S101 - we asked for a pipe
        if self._process.stdout.closed:
            return
        pipe = self._process.stdout.fileno()
        os.set_blocking(pipe, False)
        try:
            while read := os.read(pipe, 65536):
                self._heard += read.decode()
        except BlockingIOError:
            pass
        *lines, self._heard = self._heard.split("\n")
        self._messages += map(json.loads, lines)
