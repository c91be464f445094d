"""Questions with their answers: asked of a live cluster and cloud, or recorded in a file.

Every question is one command that only reads, with JSON as its output. Checks see answers alone, so
that a recorded file judges the same as the real thing.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

SECONDS: Final = 60.0
"""That a command may take: a cluster behind a broken tunnel never answers."""
INSTALL: Final[Mapping[str, str]] = {
    "kubectl": "install it: https://kubernetes.io/docs/tasks/tools/",
    "aws": "install it: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
    "gcloud": "install it: https://cloud.google.com/sdk/docs/install",
}


@dataclass(frozen=True)
class Question:
    """Something to ask, by a name that recordings use."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What came back: JSON, or why there is none."""

    value: Any = None
    error: str = ""
    fix: str = ""
    """What to do about the error, where that is known."""


class Facts(Protocol):
    """Whoever answers questions."""

    def ask(self, question: Question) -> Answer:
        """The answer; an error is an answer too."""
        ...


class Recorded:
    """Answers from a JSON file: a map of questions' names to values, or to ``{"error": …}``."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    @classmethod
    def load(cls, file: Path) -> "Recorded":
        """Read a file."""
        return cls(json.loads(file.read_text(encoding="utf-8")))

    def ask(self, question: Question) -> Answer:
        """What was recorded; what was not is an error that says so."""
        if question.name not in self._answers:
            return Answer(error=f"no answer to {question.name} was recorded")
        value = self._answers[question.name]
        if isinstance(value, dict) and set(value) == {"error"}:
            return Answer(error=value["error"])
        return Answer(value=value)


class Live:
    """Answers from the programs of the cluster and the clouds, each question asked once."""

    def __init__(self, run: Callable[[Sequence[str]], Answer] | None = None) -> None:
        self._run = run or _run
        self._answers: dict[Question, Answer] = {}

    def ask_ahead(self, questions: Sequence[Question]) -> None:
        """Ask several at a time: each command waits for a network far away."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            answers = pool.map(lambda question: self._run(question.command), questions)
            self._answers.update(zip(questions, answers, strict=True))

    def ask(self, question: Question) -> Answer:
        """Ask, or remember."""
        if question not in self._answers:
            self._answers[question] = self._run(question.command)
        return self._answers[question]


def _run(command: Sequence[str]) -> Answer:
    if shutil.which(command[0]) is None:
        return Answer(error=f"{command[0]} is not installed", fix=INSTALL[command[0]])
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(error=f"{' '.join(command[:3])} … gave no answer in {SECONDS:.0f} s")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return Answer(error=lines[-1].strip())
    try:
        return Answer(value=json.loads(done.stdout or "null"))
    except ValueError:
        return Answer(error=f"{' '.join(command[:3])} … did not answer with JSON")
