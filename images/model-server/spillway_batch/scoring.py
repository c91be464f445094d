"""The run: every file of the input in parts, each scored once, with a line for each.

An output's part is one object, written when all of it is scored. What is there is not done again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from spillway_batch import tables
from spillway_batch.places import Place
from spillway_batch.record import File, Hopeless, Record, continued

if TYPE_CHECKING:
    from spillway_batch.predictions import Predictor

ROWS = 100_000
"""Of a part: what is in memory at a time."""


class Refused(Exception):
    """A file that cannot be scored; one line that says why."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is scored with what."""

    name: str
    """Starts each line."""
    uri: str
    """Of the model."""
    model: Path
    """The folder it was fetched into."""
    source: Place
    target: Place
    rows: int = ROWS
    """Of a part, in an output that is new."""


def score(job: Job, stop: Callable[[], bool]) -> bool:
    """Whether everything is scored; not if it was asked to stop before."""
    inputs = {name: info for name, info in job.source.listed().items() if tables.is_table(name)}
    if not inputs:
        raise Hopeless(f"no file in {job.source.uri} ends in {' or '.join(tables.READ)}")
    record = continued(job.uri, job.model, job.rows, job.target, inputs)
    there = set(job.target.listed())
    todo = [name for name in inputs if not record.finished(name, there)]
    if before := len(inputs) - len(todo):
        say(f"{job.name}: {before} of {len(inputs)} files were scored before")
    return not todo or _Run(job, record, there, stop).through(todo, len(inputs))


class _Run:
    """One start of the program that has something to do."""

    def __init__(self, job: Job, record: Record, there: set[str], stop: Callable[[], bool]) -> None:
        # Takes seconds, and is not needed where everything is scored.
        from spillway_batch.predictions import Predictor  # noqa: PLC0415

        self._job, self._record, self._there, self._stop = job, record, there, stop
        record.save(job.target)
        self._predictor: Predictor = Predictor(job.model)
        self._rows, self._began = 0, time.monotonic()

    def through(self, names: list[str], files: int) -> bool:
        """What is left of so many files."""
        name = self._job.name
        for at, file in enumerate(names, files - len(names) + 1):
            if not self._file(file, f"{name}: file {at} of {files}"):
                say(f"{name}: stopped after {self._rows:,} rows; the next start goes on")
                return False
        say(
            f"{name}: all {files} files are in {self._job.target.uri}, {self._rows:,} rows just now"
        )
        return True

    def _file(self, file: str, where: str) -> bool:
        source, record = self._job.source, self._record
        rows = 0
        try:
            with source.open(file) as opened:
                parts = tables.parts(file, opened, record.rows, self._predictor.types)
                for number, part in enumerate(parts):
                    if self._stop():
                        return False
                    self._part(file, tables.part_name(file, number), part, where)
                    rows += part.num_rows
        except pa.ArrowInvalid as error:
            raise Refused(f"{file} cannot be read: {error}") from error
        if not record.files[file].same(File.of(source.info(file))):
            raise Hopeless(f"{file} was changed while it was scored: delete what there is of it")
        record.files[file].rows = rows
        record.save(self._job.target)
        return True

    def _part(self, file: str, name: str, part: pa.Table, where: str) -> None:
        if name in self._there:
            return
        try:
            content = tables.encoded(file, self._predictor.scored(part))
        except Exception as error:  # a model may raise anything
            raise Refused(f"{file} cannot be scored: {type(error).__name__}: {error}") from error
        self._job.target.write(name, content)
        self._rows += part.num_rows
        rate = self._rows / (time.monotonic() - self._began)
        say(f"{where}, {self._rows:,} rows, {rate:,.0f} rows/s")


def say(line: str) -> None:
    """To the pod's log, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
