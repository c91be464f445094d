"""Runs a command, shows what it prints, and says when it printed each line."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError
from rig.steps import console

SECONDS_TO_END = 60
"""For a command that is interrupted: it may have a node to stop."""


@dataclass(frozen=True)
class Line:
    """One line of output and the seconds since the command began."""

    at: float
    text: str


@dataclass(frozen=True)
class Timed:
    """A command that ended well."""

    seconds: float
    lines: Sequence[Line]

    def at(self, told: Callable[[str], bool], what: str) -> float:
        """Seconds until the first line that ``told`` accepts."""
        for line in self.lines:
            if told(line.text):
                return line.at
        raise BenchmarkError(f"the output has no line with {what}")


def timed(
    command: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Timed:
    """Run to the end; a command that fails is an error, for its time says nothing."""
    began = time.monotonic()
    lines: list[Line] = []
    process = subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        for text in process.stdout or ():
            line = Line(time.monotonic() - began, text.rstrip())
            lines.append(line)
            console.print(f"{line.at:7.1f}  {line.text}", markup=False, style="dim")
        code = process.wait()
    except BaseException:
        _end(process)
        raise
    if code:
        said = [line.text for line in lines if line.text][-1:]
        words = " ".join(Path(word).name for word in map(str, command))
        raise BenchmarkError(f"{words} failed (exit {code}): {''.join(said)}")
    return Timed(time.monotonic() - began, lines)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
