"""Long work, told to a person: each step's name, progress, elapsed time and log."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape

from rig.errors import RigError
from rig.paths import log_dir

console = Console(highlight=False, soft_wrap=True)
HEARTBEAT = 30.0
"""Seconds between two signs of life where output is not a terminal."""


class Step:
    """One step under way; ``progress`` is shown beside its name."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.progress = ""
        self.started = time.monotonic()

    @property
    def elapsed(self) -> str:
        """Seconds since the step began, as text."""
        return f"{time.monotonic() - self.started:.0f} s"

    def __rich__(self) -> str:
        return f"{escape(self.name)}  [dim]{self.elapsed}  {escape(self.progress)}[/dim]"

    def run(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Run a tool; what it says goes to the log, its last line beside the step's name."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        words = [str(word) for word in command]
        last = ""
        with self.log.open("a") as out:
            out.write(f"+ {' '.join(words)}\n")
            out.flush()
            process = _open(words, {**os.environ, **(env or {})}, cwd)
            try:
                for count, line in enumerate(process.stdout or (), 1):
                    out.write(line)
                    last = line.strip() or last
                    self.progress = f"{count} lines, {last[-60:]}"
            except BaseException:
                _end(process)
                raise
        self.progress = ""
        if process.wait():
            raise RigError(f"{self.name} failed: {last or words[0]} (log: {self.log})")


def _open(words: list[str], env: Mapping[str, str], cwd: Path | None) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            words,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise RigError(f"{words[0]} is not installed") from error


def _end(process: "subprocess.Popen[str]") -> None:
    """Ctrl-C ends the tool with all it started; a build cache keeps what was done."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


class Board:
    """The steps under way, several when threads work side by side, on one live display."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __rich__(self) -> Group:
        return Group(*self._steps)

    @contextmanager
    def showing(self, current: Step) -> Generator[None]:
        """Show a step until it ends."""
        with self._lock:
            self._steps.append(current)
            if self._live is None:
                self._live = Live(self, console=console, transient=True, refresh_per_second=4)
                self._live.start()
        try:
            yield
        finally:
            with self._lock:
                self._steps.remove(current)
                if not self._steps and self._live:
                    self._live.stop()
                    self._live = None


_board = Board()


@contextmanager
def step(name: str, log: str | None = None) -> Generator[Step]:
    """Show a step while it is under way, and how long it took; ``log`` is the log file's name."""
    current = Step(name, log_dir() / f"{log or name.replace(' ', '-')}.log")
    if console.is_terminal:
        with _board.showing(current):
            yield current
    else:
        console.print(f"→ {escape(name)}" + (f" (log: {current.log})" if log else ""))
        with _heartbeat(current):
            yield current
    console.print(f"[green]✓[/green] {escape(name)}  [dim]{current.elapsed}[/dim]")


@contextmanager
def _heartbeat(current: Step) -> Generator[None]:
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT):
            console.print(
                f"  {escape(current.name)}  {current.elapsed}  {escape(current.progress)}"
            )

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
