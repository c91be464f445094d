"""Stacks that are up on stand-in clouds, one a cloud for all tests that only preview."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from staging import config_of, new_stage

from rig.rehearsal import Stage
from rig.rehearsal.play import UP

Standing = Callable[[str], Stage]


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """The stage of a stack file after its first ``up``."""
    stages: dict[str, Stage] = {}
    with ExitStack() as stack:

        def get(name: str) -> Stage:
            if name not in stages:
                stage = new_stage(tmp_path_factory.mktemp(name), name)
                stack.enter_context(stage.open())
                played = stage.run(UP, config_of(name))
                assert played.code == 0, played.words
                stages[name] = stage
            return stages[name]

        yield get
