"""A tiny stack for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import CONFIG, PROGRAM, NewStack, refresh

from rig import toolchain
from rig.stack import Stack


@pytest.fixture(scope="session", autouse=True)
def engine_on_path() -> Iterator[None]:
    """The engine that the rig uses, installed or built; `make test` has made it already."""
    folder = toolchain.engine(toolchain.ensure_all())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder), prepend=os.pathsep)
        yield


@pytest.fixture
def new_stack(tmp_path: Path) -> NewStack:
    """Makes a stack of the tiny program, with no engine run yet."""

    def make(program: str = PROGRAM, config: str = CONFIG) -> Stack:
        project = tmp_path / "tiny"
        project.mkdir()
        (project / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
        (project / "Pulumi.dev.yaml").write_text(config)
        (project / "__main__.py").write_text(program)
        return refresh(Stack(project=project, state=tmp_path / "state", env={}))

    return make
