"""Benchmarks of a whole rig: how soon it is usable, what it holds, and an ``up`` for nothing."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from mlflow.tracking import MlflowClient

from benchmarks.bench_rig import BenchRig
from benchmarks.errors import BenchmarkError
from benchmarks.memory_use import Sample
from benchmarks.report import GIB, Report, Row, seconds
from rig.steps import step

WARM_SECONDS = 150
NO_CHANGE_SECONDS = 15
NO_CHANGE_RUNS = 5
MEMORY_GIB = 4
ARTIFACT = 50 * 2**20
CHANGED = re.compile(r"\d+ (created|updated|deleted|replaced|changed)")
ENGINE = "→ pulumi up"


def warm_up(bench: BenchRig) -> Report:
    """From no state to a usable MLflow, with programs and images built."""
    first = bench.first_up
    engine = first.command.at(lambda line: line.startswith(ENGINE), ENGINE)
    rows = [
        seconds("`bin/rig up` until MLflow answers", [first.usable], WARM_SECONDS),
        seconds("`bin/rig up`, whole command", [first.command.seconds]),
        seconds("of it, node and images until the engine starts", [engine]),
    ]
    return Report(rows=rows)


def no_change(bench: BenchRig) -> Report:
    """The command again, with nothing to do."""
    _ = bench.first_up
    runs = [bench.up() for _ in range(NO_CHANGE_RUNS)]
    for run in runs:
        text = "\n".join(line.text for line in run.lines)
        if "unchanged" not in text or CHANGED.search(text):
            raise BenchmarkError("an up that had nothing to do changed something")
    engine = [r.seconds - r.at(lambda line: line.startswith(ENGINE), ENGINE) for r in runs]
    rows = [
        seconds("`bin/rig up`, whole command", [r.seconds for r in runs], NO_CHANGE_SECONDS),
        seconds("of it, the engine: preview, update, outputs", engine),
    ]
    return Report(rows=rows)


def memory(bench: BenchRig) -> Report:
    """What the rig holds at most while it starts and while a client logs a large artifact."""
    _ = bench.first_up
    starting = bench.memory.samples
    with step("logging a run with a 50 MB artifact"), patch.dict(os.environ, bench.identity()):
        _log_run(bench.url)
    samples = bench.memory.samples
    rows = [
        _peak("anonymous memory, peak", [s.anonymous for s in samples], f"≤ {MEMORY_GIB} GiB"),
        _peak("the same with shared memory and tmpfs", _held(samples), f"≤ {MEMORY_GIB} GiB"),
        _peak("of it while starting", _held(starting)),
        _peak("when the run is logged", _held(samples[-1:])),
        _peak("page cache, peak (files; the kernel can drop it)", [_cache(s) for s in samples]),
    ]
    notes = (
        f"{len(samples)} samples, one a second, of the rig's cgroup: cluster, pods and containers. "
        "The engine and the client run outside of it.",
    )
    return Report(rows=rows, notes=notes)


def _held(samples: Sequence[Sample]) -> list[int]:
    return [s.anonymous + s.shared for s in samples]


def _cache(sample: Sample) -> int:
    return sample.files - sample.shared


def _peak(what: str, samples: Sequence[int], goal: str = "") -> Row:
    return Row(what=what, result=f"{max(samples) / GIB:.2f} GiB", goal=goal)


def _log_run(url: str) -> None:
    client = MlflowClient(url)
    run = client.create_run(client.create_experiment("benchmark-memory"))
    client.log_param(run.info.run_id, "size", ARTIFACT)
    client.log_metric(run.info.run_id, "loss", 0.5)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.bin"
        file.write_bytes(os.urandom(ARTIFACT))
        client.log_artifact(run.info.run_id, str(file))
    client.set_terminated(run.info.run_id)
