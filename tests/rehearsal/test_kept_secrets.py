"""Secrets of a cloud stack: in no plan, no report, no log, no state and no stand-in's memory."""

import json
import subprocess
from pathlib import Path

import pytest
from staging import both, config_of

from infra.gate import judge
from infra.secret_rules import REHEARSED
from rig.rehearsal.scenes import changed
from rig.stack import PLAN

ENOUGH = 16
"""Characters from which on a value cannot be somewhere by chance."""


def secrets_of(stage) -> dict[str, str]:
    """Every secret value of the state, decrypted by the engine itself."""
    command = ["pulumi", "stack", "export", "--show-secrets", "--stack", stage.name]
    done = subprocess.run(
        command, cwd=stage.project, env=stage.env, capture_output=True, text=True, check=True
    )
    return found(done.stdout)


def found(state: str) -> dict[str, str]:
    secrets: dict[str, str] = {}

    def walk(value: object, path: str) -> None:
        if isinstance(value, dict):
            if "plaintext" in value:
                keep(json.loads(value["plaintext"]), path)
            else:
                for key, item in value.items():
                    walk(item, f"{path}.{key}")
        elif isinstance(value, list):
            for at, item in enumerate(value):
                walk(item, f"{path}[{at}]")

    def keep(value: object, path: str) -> None:
        # What stands in for a person's own secrets is in the stack file, as plain as that.
        if isinstance(value, str) and len(value) >= ENOUGH and value != REHEARSED:
            secrets[path] = value
        elif isinstance(value, dict):
            for key, item in value.items():
                keep(item, f"{path}.{key}")
        elif isinstance(value, list):
            for item in value:
                keep(item, path)

    for resource in json.loads(state)["deployment"]["resources"]:
        for part in ("inputs", "outputs"):
            walk(resource.get(part), f"{resource['urn'].rpartition('::')[2]}.{part}")
    return secrets


def leaks(text: str, secrets: dict[str, str]) -> list[str]:
    return sorted({path for path, value in secrets.items() if value in text})


@pytest.mark.parametrize("name", both(["prod", "prod-gcp"]))
def test_no_secret_is_readable_anywhere(name, standing):
    stage = standing(name)
    secrets = secrets_of(stage)
    assert len(secrets) >= 4, secrets.keys()
    played = stage.run([*PLAN, "--diff"], changed(config_of(name)))
    shown = stage.run(["preview", "--diff"], changed(config_of(name)))
    assert shown.code == 0, shown.words

    assert leaks(played.printed, secrets) == []
    assert leaks(shown.printed, secrets) == []
    assert leaks(judge(played.plan).markdown, secrets) == []
    for file in stage.folder.rglob("*"):
        if file.is_file() and not {"cluster", "passphrase"} & set(file.parts):
            assert leaks(file.read_text(errors="replace"), secrets) == [], file


def test_the_engine_keeps_no_log_of_what_it_was_not_asked_to_log(standing):
    stage = standing("prod")
    stage.run(["preview"], config_of("prod"))

    logs = Path(stage.env["PULUMI_HOME"]) / "logs"
    assert logs.is_file()
    assert not logs.stat().st_size


def test_the_search_finds_what_is_there(standing, tmp_path: Path):
    secrets = secrets_of(standing("prod"))
    path, value = next(iter(secrets.items()))

    assert leaks(f"before {value} after", secrets) == [
        p for p, v in sorted(secrets.items()) if v == value
    ]
    assert path in secrets
