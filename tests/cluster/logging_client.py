"""A client that logs without end in a process of its own, and what of its work has been kept."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from testbed import TENANT, Testbed, until

PROGRAM = Path(__file__).with_name("writer.py")


@dataclass
class Writer:
    run: str
    notes: Path
    process: subprocess.Popen[bytes]

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.notes.read_text().splitlines()]

    def acknowledged(self, kind: str) -> list[int]:
        return [int(words[1]) for words in self.lines() if words[0] == kind]

    def failed(self) -> list[list[str]]:
        return [words for words in self.lines() if words[0] == "failed"]

    def goes_on(self, seconds: float = 60) -> None:
        """Wait until more of both kinds is acknowledged than there is now."""
        counts = {kind: len(self.acknowledged(kind)) for kind in ("metric", "artifact")}

        def more() -> bool | None:
            assert self.process.poll() is None, "the writer died"
            grown = [len(self.acknowledged(kind)) > count for kind, count in counts.items()]
            return True if all(grown) else None

        until(more, seconds, "an acknowledged write")

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)

    def lost(self, bed: Testbed, client: MlflowClient) -> list[str]:
        """What was acknowledged and is not there, or is something else; asked after its end."""
        query = f"select distinct step, value from metrics where run_uuid = '{self.run}'"
        rows = {int(step): float(value) for step, value in bed.sql(query)}
        history = {m.step for m in client.get_metric_history(self.run, "noted")}
        folder = Path(client.download_artifacts(self.run, "files", str(self.notes.parent)))
        texts = {int(file.stem): file.read_text() for file in folder.iterdir()}
        metrics, artifacts = self.acknowledged("metric"), self.acknowledged("artifact")
        assert metrics
        assert artifacts
        return [
            *(f"row of step {n}" for n in metrics if rows.get(n) != n * 0.5),
            *(f"metric of step {n}" for n in metrics if n not in history),
            *(f"file {n}" for n in artifacts if texts.get(n) != f"content of {n}\n" * 50),
        ]


def logging_in(bed: Testbed, patch: pytest.MonkeyPatch, tenant: str = TENANT) -> MlflowClient:
    """A client, for an hour; programs that are started meanwhile log in as it does."""
    patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    patch.setenv("MLFLOW_TRACKING_TOKEN", bed.token(tenant))
    patch.setenv("MLFLOW_WORKSPACE", tenant)
    return MlflowClient(tracking_uri=bed.url)


@contextmanager
def writing(bed: Testbed, client: MlflowClient, folder: Path) -> Iterator[Writer]:
    run = client.create_run(client.create_experiment(f"written {time.time()}")).info.run_id
    notes = folder / "notes"
    notes.touch()
    command = [sys.executable, str(PROGRAM), bed.url, run, str(notes)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield Writer(run, notes, process)
    finally:
        process.kill()
        process.wait()
