"""Benchmarks of planning: the program alone, the engine on stand-in clouds, a whole rehearsal."""

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.bench_rig import BenchRig
from benchmarks.errors import BenchmarkError
from benchmarks.report import Report, Row, seconds
from benchmarks.timing import timed
from rig import paths
from rig.rehearsal import Stage, scenes
from rig.stack import PLAN
from rig.steps import step

STACKS = ("prod", "prod-gcp")
PROGRAM_SECONDS = 5
PREVIEW_SECONDS = 20
CROWD = 100
CROWD_SECONDS = 60
STEPS = (25, 50, CROWD)
RUNS = 3
REHEARSAL_SECONDS = 90
MODELS = 300
_PROGRAM = """
import gc
gc.disable()  # As __main__.py does.
import sys
import builders, pulumi
from recording import recorded
from infra import stack
def program():
    pulumi.runtime.set_all_config(builders.stack_config(sys.argv[1]), [])
    stack.assemble()
print(len(recorded(program).urns), "resources")
"""


def program(_: BenchRig) -> Report:
    """The whole program of a stack file under mocks, interpreter and imports included."""
    folders = ":".join(str(paths.ROOT / part) for part in ("", "tests", "tests/unit"))
    rows = list[Row]()
    for name in STACKS:
        command = [sys.executable, "-c", _PROGRAM, name]
        runs = [timed(command, env={"PYTHONPATH": folders}).seconds for _ in range(RUNS)]
        rows.append(seconds(f"program of `{name}` under mocks", runs, PROGRAM_SECONDS))
    return Report(rows=rows)


def preview(_: BenchRig) -> Report:
    """A first preview by the real engine, with the tenants of the stack file and with many."""
    rows = list[Row]()
    for name in STACKS:
        with tempfile.TemporaryDirectory(prefix="spillway-bench-") as folder:
            rows += _previews(Path(folder), name)
    notes = (
        "Stand-in clouds, a real API server, nothing in the state: every resource is to be made.",
    )
    return Report(rows=rows, notes=notes)


def models(_: BenchRig) -> Report:
    """A first preview with hundreds of models."""
    config = scenes.config_of(paths.ROOT / "Pulumi.dev.yaml")
    served = {
        f"model-{n}": {"tenant": "vision", "versions": [{"uri": f"models:/iris/{n}"}]}
        for n in range(MODELS)
    }
    with tempfile.TemporaryDirectory(prefix="spillway-bench-") as folder:
        stage = Stage(Path(folder), "dev", paths.ROOT, scenes.context_of(config))
        with stage.open():
            few = _preview(stage, config | {"spillway:models": {"iris": served["model-1"]}})
            many = _preview(stage, config | {"spillway:models": served})
    rows = [
        seconds("preview of `dev` with a model", [few]),
        seconds(f"the same with {MODELS} models", [many]),
    ]
    notes = (
        "Each model is two resources of the plan: the component and its SeldonDeployment. The "
        "operator makes 5 objects of it, and a pod for each server.",
    )
    return Report(rows=rows, notes=notes)


def rehearsal(_: BenchRig) -> Report:
    """`bin/rig rehearse`: preview, up, no change, a change, the other cloud, destroy."""
    rows = [
        seconds(
            f"`make rehearse STACK={name}`",
            [timed([paths.ROOT / "bin" / "rig", "rehearse", "--stack", name]).seconds],
            REHEARSAL_SECONDS,
        )
        for name in STACKS
    ]
    return Report(rows=rows)


def _previews(folder: Path, name: str) -> list[Row]:
    config = scenes.config_of(paths.ROOT / f"Pulumi.{name}.yaml")
    stage = Stage(folder, name, paths.ROOT, scenes.context_of(config))
    with stage.open():
        own = [_preview(stage, config) for _ in range(RUNS)]
        crowds = {count: _preview(stage, _crowded(config, count)) for count in STEPS}
    first, middle, last = (crowds[count] for count in STEPS)
    growth = ((last - middle) / (STEPS[2] - STEPS[1])) / ((middle - first) / (STEPS[1] - STEPS[0]))
    return [
        seconds(
            f"preview of `{name}`, {len(config['spillway:tenants'])} tenants", own, PREVIEW_SECONDS
        ),
        *(
            seconds(f"the same with {n} tenants", [t], CROWD_SECONDS if n == CROWD else None)
            for n, t in crowds.items()
        ),
        Row(
            what="seconds for another tenant, 50 to 100 ÷ 25 to 50 (linear: 1)",
            result=f"{growth:.2f}",
        ),
    ]


def _crowded(config: scenes.Config, count: int) -> scenes.Config:
    tenants = {f"team-{n}": {"members": [f"team-{n}@example.com"]} for n in range(count)}
    return {**config, "spillway:tenants": tenants}


def _preview(stage: Stage, config: scenes.Config) -> float:
    with step(f"preview with {len(config['spillway:tenants'])} tenants"):
        began = time.monotonic()
        played = stage.run(PLAN, config)
        took = time.monotonic() - began
    if played.code:
        raise BenchmarkError(f"the preview failed: {played.words}")
    return took
