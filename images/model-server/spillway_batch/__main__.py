"""``python -m spillway_batch MODEL_FOLDER INPUT OUTPUT --model URI``: the program of a batch's pod.

Exit code 0: every row is scored. 1: something failed. 2: it will not work the next time either.
143: it was asked to stop; the next start goes on.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from spillway_batch import places, scoring
from spillway_batch.record import Hopeless

FAILED, HOPELESS, TERMINATED = 1, 2, 143
LONGEST = 500


class Stop:
    """Asked by SIGTERM; heard between two parts, for a part in hand is written whole."""

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def __call__(self) -> bool:
        """Whether it was asked."""
        return self._asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._asked = True


def main(arguments: list[str]) -> int:
    """The exit code; the reason for one other than 0 is the last line, and the pod's message."""
    given = _arguments(arguments)
    try:
        return _score(given, Stop())
    except Exception as error:
        known = isinstance(error, Hopeless | scoring.Refused)
        said = str(error) if known else f"{type(error).__name__}: {error}"
        scoring.say(f"{given.name}: {' '.join(said.split())[:LONGEST]}")
        return HOPELESS if isinstance(error, Hopeless) else FAILED


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="spillway_batch")
    parser.add_argument("folder", type=Path, help="where the model was fetched into")
    parser.add_argument("input", help="s3://… or gs://…")
    parser.add_argument("output", help="s3://… or gs://…")
    parser.add_argument("--model", required=True, help="the model's address, for the record")
    parser.add_argument("--name", default="batch", help="starts each line")
    return parser.parse_args(words)


def _score(given: argparse.Namespace, stop: Stop) -> int:
    job = scoring.Job(
        name=given.name,
        uri=given.model,
        model=given.folder,
        source=places.Place.of(given.input, os.environ),
        target=places.Place.of(given.output, os.environ),
    )
    return 0 if scoring.score(job, stop) else TERMINATED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
