"""Fixtures for all tests. What tests import is elsewhere: there is more than one conftest."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from recording import Engine, recording, settle
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

CLUSTER = "tests/cluster/"
PRINTED = 30
"""Lines of what a failed test printed: an `up` prints hundreds, and errors come last."""


class SideBySide(LoadScopeScheduling):
    """Files run side by side; the one cluster, with all that is played on it, beside them."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return CLUSTER if file.startswith(CLUSTER) else file


@pytest.hookimpl(optionalhook=True)  # with -p no:xdist there is none
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SideBySide:
    """With ``--numprocesses``."""
    return SideBySide(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    report.sections = [(title, last(text)) for title, text in report.sections]
    return report


def last(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[-PRINTED:])


@pytest.fixture(autouse=True)
def no_ambient_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an engine around the tests nor a cluster of the developer's reaches them."""
    monkeypatch.delenv("PULUMI_CONFIG", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with recording() as engine:
        yield engine


@pytest.fixture
def resolve(engine: Engine) -> Callable[[Callable[[], Any]], Any]:
    return settle
