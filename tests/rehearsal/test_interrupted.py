"""An engine killed in the middle of an ``up`` leaves nothing that the next one cannot mend."""

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from staging import config_of, new_stage

from rig.node.machine import wait_for
from rig.rehearsal import Stage
from rig.rehearsal.play import UP

POINTS = {"prod": (8, 30, 52), "prod-gcp": (8, 25, 45)}
"""Resources in the state when the engine is killed."""


def recorded(stage: Stage) -> int:
    """How many resources the state file holds, read without the engine, which is at work."""
    files = list(stage.folder.glob("pulumi/.pulumi/stacks/*/*.json"))
    if not files:
        return 0
    try:
        deployment = json.loads(files[0].read_text())["checkpoint"]["latest"] or {}
    except ValueError:
        return 0
    return len(deployment.get("resources") or [])


def shape(resources: list[dict[str, Any]]) -> Counter[str]:
    """What a state says, without what chance decides."""
    return Counter(r["urn"] for r in resources if not r.get("delete"))


def existing(stage: Stage) -> int:
    """Resources in the stand-in cloud."""
    return len([f for f in Path(stage.world).rglob("*.json") if f.is_file()])


def in_cloud(stage: Stage) -> int:
    """Resources of the cloud in the state."""
    own = ("aws:", "gcp:")
    return len([r for r in stage.state() if r["type"].startswith(own)])


def killed(stage: Stage, name: str, point: int) -> None:
    engine = stage.start(UP, config_of(name))
    try:
        wait_for(lambda: recorded(stage) >= point or None, 60, f"{point} resources")
        assert engine.poll() is None, "the engine was done before it could be killed"
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.communicate()


@pytest.mark.parametrize("name", POINTS)
def test_killed_at_three_points_it_ends_as_if_undisturbed(name, standing, tmp_path):
    undisturbed = standing(name)
    stage = new_stage(tmp_path, name)
    with stage.open():
        for point in POINTS[name]:
            killed(stage, name, point)
        again = stage.run(UP, config_of(name))
        assert again.code == 0, again.words

        assert shape(stage.state()) == shape(undisturbed.state())
        assert existing(stage) - in_cloud(stage) == existing(undisturbed) - in_cloud(undisturbed)
        quiet = stage.run(["preview", "--expect-no-changes"], config_of(name))
        assert quiet.code == 0, quiet.words


def test_a_second_engine_is_told_who_is_at_work(standing, tmp_path):
    stage = new_stage(tmp_path, "prod")
    with stage.open():
        first = stage.start(UP, config_of("prod"))
        try:
            locks = stage.folder / "pulumi" / ".pulumi" / "locks"
            wait_for(lambda: any(locks.rglob("*.json")) or None, 30, "the first engine's lock")
            second = stage.run(UP, config_of("prod"))
            assert second.code != 0
            assert "currently locked" in second.words
        finally:
            first.send_signal(signal.SIGKILL)
            first.communicate()
    assert isinstance(first, subprocess.Popen)
