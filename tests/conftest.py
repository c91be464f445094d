"""Fixtures for all tests. What tests import is elsewhere: there is more than one conftest."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from recording import Engine, recording, settle


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
