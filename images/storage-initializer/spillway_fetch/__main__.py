"""``python -m spillway_fetch ADDRESS FOLDER``: fetch, say how far it is, end with one plain line.

Exit codes: 0 the model is there, 1 it could not be fetched this time, 2 it never will be (a wrong
address, no such model, a folder that is not ours).
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from spillway_fetch import target as places
from spillway_fetch import words
from spillway_fetch.address import Address, parse

EVERY = 5.0
"""Seconds between two lines."""
ENDPOINT = "AWS_ENDPOINT_URL_S3"
TERMINATION_LOG = Path("/dev/termination-log")
ARGUMENTS = 3
FAILED, HOPELESS = 1, 2
TERMINATED = 128 + signal.SIGTERM


class Files(Protocol):
    """What a model is fetched from."""

    version: str

    def files(self) -> Mapping[str, int]:
        """Names and sizes."""
        ...

    def fetch(self, folder: Path) -> None:
        """Into ``folder``, or the folder of the address within it."""
        ...


def say(line: str) -> None:
    """To the pod's log, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def fetch(address: Address, source: Files, target: Path, every: float = EVERY) -> str:
    """The model into the folder; the last line to be said."""
    began = time.monotonic()
    wanted = source.files()
    total = sum(wanted.values())
    exact = "" if source.version == address.root else f" (now {source.version})"
    say(f"{address.uri}{exact}: {words.files(len(wanted))}, {words.size(total)}")
    incoming = places.claim(target)
    model = incoming / address.folder
    with _watching(model, wanted, every):
        source.fetch(incoming)
    if lacking := words.lacking(places.arrived(model), wanted):
        raise OSError(f"{len(lacking)} of {words.files(len(wanted))} not whole: {lacking[0]}")
    places.arrive(target, model, address.uri)
    seconds = time.monotonic() - began
    return f"{address.uri} is in {target}: {words.size(total)} in {seconds:.0f} s"


class _watching:
    """Says how far it is while the block runs."""

    def __init__(self, folder: Path, wanted: Mapping[str, int], every: float) -> None:
        self._folder, self._wanted, self._every = folder, wanted, every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._every):
            say(words.progress(places.arrived(self._folder), self._wanted))


def main(arguments: list[str]) -> int:
    """The exit code; the reason for one other than 0 is the last line, and the pod's message."""
    try:
        if len(arguments) != ARGUMENTS:
            raise words.Hopeless("wanted: the model's address and a folder")
        _, uri, folder = arguments
        say(_run(uri, Path(folder)))
    except Exception as error:
        hopeless = isinstance(error, words.Hopeless)
        line = f"No model: {words.explain(error, os.environ)}"
        say(line)
        _leave(line)
        return HOPELESS if hopeless else FAILED
    return 0


def _run(uri: str, folder: Path) -> str:
    try:
        address = parse(uri)
    except ValueError as error:
        raise words.Hopeless(str(error)) from None
    if places.complete(folder, address.uri):
        return f"{address.uri} is in {folder} already"
    if address.tracked and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise words.Hopeless(f"{address.uri} is the tracking server's: set MLFLOW_TRACKING_URI")
    own_store(os.environ)
    # Takes two seconds, and needs what the lines above do without.
    from spillway_fetch import source  # noqa: PLC0415

    return fetch(address, source.Source(address), folder)


def own_store(environ: MutableMapping[str, str]) -> None:
    """Tell MLflow of a store that is not the cloud's, by the variables that it knows."""
    if endpoint := environ.get(ENDPOINT):
        environ.setdefault("MLFLOW_S3_ENDPOINT_URL", endpoint)
        # Such a store has no name for each bucket.
        environ.setdefault("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "path")


def _leave(line: str) -> None:
    """Where the kubelet looks for a container's last words."""
    with suppress(OSError):  # where there is no pod
        TERMINATION_LOG.write_text(line)


if __name__ == "__main__":
    # The first process of a container ignores what it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))
    sys.exit(main(sys.argv))
