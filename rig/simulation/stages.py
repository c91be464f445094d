"""What kwok does in a simulation: a rehearsal's stages with some in another way."""

from pathlib import Path
from typing import Any

import yaml

from rig.control_plane.commands import STAGES

DIFFERENT = Path(__file__).with_name("stages.yaml")
_PREFIX = "simulation.spillway.dev"
BOOT = f"{_PREFIX}/boot"
"""Annotation of a node: how long its machine takes to come, as ``20s``."""
WORK = f"{_PREFIX}/work"
"""Annotation of a Job's pods: how long they work; without it they are done at once."""
FAULT = f"{_PREFIX}/fault"
"""Annotation of a node: what is wrong with it."""
PLAYED = f"{_PREFIX}/played"
"""Annotation of a pod of Kueue's: the process that it stands for answers."""
QUEUE_LABEL = ("app.kubernetes.io/name", "kueue")
_NOT_A_QUEUE_OR_IT_ANSWERS = (
    f'!(has(self.metadata.labels) && "{QUEUE_LABEL[0]}" in self.metadata.labels'
    f' && self.metadata.labels["{QUEUE_LABEL[0]}"] == "{QUEUE_LABEL[1]}")'
    f' || (has(self.metadata.annotations) && "{PLAYED}" in self.metadata.annotations)'
)


def write(file: Path) -> Path:
    """One file with all of them, for kwok."""
    stages = {**_named(STAGES), **_named(DIFFERENT)}
    ready = stages["pod-ready"]["spec"]["selector"]["matchExpressions"]
    # Who waits for the queue's Deployment waits for what really answers.
    ready.append({"cel": {"expression": _NOT_A_QUEUE_OR_IT_ANSWERS}})
    file.write_text(yaml.safe_dump_all(stages.values(), sort_keys=False))
    return file


def _named(file: Path) -> dict[str, dict[str, Any]]:
    return {stage["metadata"]["name"]: stage for stage in yaml.safe_load_all(file.read_text())}
