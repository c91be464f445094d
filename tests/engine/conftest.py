"""A tiny stack for each test."""

import shutil
from pathlib import Path

import pytest
from tiny import CONFIG, PROGRAM, NewStack, refresh

from rig.stack import Stack


@pytest.fixture
def new_stack(tmp_path: Path) -> NewStack:
    """Makes a stack of the tiny program, with no engine run yet."""
    if shutil.which("pulumi") is None or shutil.which("pulumi-language-python") is None:
        pytest.skip("NO PULUMI ENGINE ON PATH: nothing of the engine is tested; run `make setup`")

    def make(program: str = PROGRAM, config: str = CONFIG) -> Stack:
        project = tmp_path / "tiny"
        project.mkdir()
        (project / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
        (project / "Pulumi.dev.yaml").write_text(config)
        (project / "__main__.py").write_text(program)
        return refresh(Stack(project=project, state=tmp_path / "state", env={}))

    return make
