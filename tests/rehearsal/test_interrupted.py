"""An engine killed in the middle of an ``up`` leaves nothing that the next one cannot mend."""

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from staging import both, config_of, new_stage

from rig.node.machine import wait_for
from rig.plugins.cloud.provider import DELAY
from rig.recovery import NAMELESS
from rig.rehearsal import Stage, scenes
from rig.rehearsal.play import UP

POINTS = {
    "prod": (
        {"aws:s3/bucket:Bucket", "aws:ecr/repository:Repository"},
        {"aws:rds/instance:Instance", "aws:iam/openIdConnectProvider:OpenIdConnectProvider"},
        {"kubernetes:apps/v1:Deployment"},
    ),
    "prod-gcp": (
        {"gcp:secretmanager/secret:Secret", "gcp:artifactregistry/repository:Repository"},
        {"gcp:sql/databaseInstance:DatabaseInstance"},
        {"kubernetes:apps/v1:Deployment"},
    ),
}
"""Types that are being made when the engine is killed, one after the other."""
SECONDS = 10
"""How long the clouds take for each of them: time enough to kill the engine."""


def state_file(stage: Stage) -> dict[str, Any]:
    """The state as its file has it, read without the engine, which is at work."""
    for file in stage.folder.glob("pulumi/.pulumi/stacks/*/*.json"):
        try:
            return json.loads(file.read_text())["checkpoint"]["latest"] or {}
        except ValueError:
            break
    return {}


def begun(stage: Stage) -> set[str]:
    """URNs of what is being made."""
    operations = state_file(stage).get("pending_operations") or []
    return {one["resource"]["urn"] for one in operations if one["type"] == "creating"}


def in_cloud(stage: Stage) -> Counter[tuple[str, str]]:
    """Type and URN of everything that an engine made in the stand-in cloud.

    What has no URN is the cloud's own, as the account is, and is there once somebody asks for it.
    """
    entries = [json.loads(file.read_text()) for file in Path(stage.world).rglob("*.json")]
    return Counter((entry["token"], entry["urn"]) for entry in entries if entry["urn"])


def kind(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]


def shape(resources: list[dict[str, Any]]) -> Counter[str]:
    """What a state says, without what chance decides."""
    return Counter(r["urn"] for r in resources if not r.get("delete"))


def strangers(stage: Stage) -> list[str]:
    """Kubernetes objects whose fields belong to another than who the state says made them."""
    # A chart is no object itself.
    found = [r for r in stage.state() if r["type"].startswith("kubernetes:") and r["custom"]]
    assert found
    return [
        one["urn"]
        for one in found
        if (one["outputs"] or {}).get("__fieldManager")
        not in {
            entry["manager"]
            for entry in one["outputs"].get("metadata", {}).get("managedFields", [])
            if entry["operation"] == "Apply"
        }
    ]


def killed(stage: Stage, name: str, types: Collection[str]) -> set[str]:
    """An ``up`` that is killed while it makes something of each type: URNs of what it was making.

    The clouds have accepted the requests by then.
    """

    def making() -> set[str] | None:
        found = begun(stage)
        there = {urn for _, urn in in_cloud(stage)}
        sure = {kind(urn) for urn in found if urn in there or kind(urn).startswith("kubernetes:")}
        return found if set(types) <= sure else None

    engine = stage.start(UP, config_of(name), errors=subprocess.STDOUT)
    assert engine.stdout
    printed: list[str] = []
    # Read all the while: an engine whose pipe is full waits until somebody does.
    reader = Thread(target=printed.extend, args=(engine.stdout,), daemon=True)
    reader.start()
    try:
        ends = time.monotonic() + 300
        while (found := making()) is None:
            last = "".join(printed[-30:])
            assert engine.poll() is None, f"it was done before it made {types}: {last}"
            assert time.monotonic() < ends, f"it makes {begun(stage)}, but no {types}: {last}"
            time.sleep(0.02)
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        reader.join()
    return found


@pytest.mark.parametrize("name", both(POINTS))
def test_killed_while_it_makes_something_it_ends_as_if_undisturbed(
    name, standing, tmp_path, monkeypatch, capfd
):
    undisturbed = standing(name)
    slow = {one for point in POINTS[name] for one in point}
    monkeypatch.setenv(DELAY, ",".join(f"{one}={SECONDS}" for one in slow))
    stage = new_stage(tmp_path, name, crashes=True)
    lost, interrupted = set[str](), 0
    with stage.open():
        for types in POINTS[name]:
            lost |= killed(stage, name, types)
            # The last of them may have been done, and written down, in the instant before.
            interrupted += bool(begun(stage))
        again = stage.run(UP, config_of(name))
        assert again.code == 0, again.words
        told = capfd.readouterr().err

        assert shape(stage.state()) == shape(undisturbed.state())
        # What has no name to be found by stays in the cloud, and the person was told so.
        twice = in_cloud(stage) - in_cloud(undisturbed)
        assert {token for token, _ in twice} <= NAMELESS
        assert {urn for _, urn in twice} <= lost
        assert all(f"{token} {urn.rsplit('::', 1)[-1]}" in told for token, urn in twice)
        assert not in_cloud(undisturbed) - in_cloud(stage)
        quiet = stage.run(["preview", "--expect-no-changes"], config_of(name))
        assert quiet.code == 0, quiet.words
        changed = stage.run(UP, scenes.changed(config_of(name)))
        assert changed.code == 0, changed.words
        assert not strangers(stage)
    assert interrupted >= len(POINTS[name]) - 1
    assert told.count("was interrupted") == interrupted


def test_a_second_engine_is_told_who_is_at_work(standing, tmp_path):
    stage = new_stage(tmp_path, "prod", crashes=True)
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
