"""One control plane for the tests that only use it; those that hurt it start their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import toolchain
from rig.control_plane import PROGRAMS, ControlPlane


@pytest.fixture(scope="session")
def programs() -> dict[str, Path]:
    return toolchain.ensure_all(PROGRAMS)


@pytest.fixture(scope="session")
def plane(programs: dict[str, Path]) -> Iterator[ControlPlane]:
    with ControlPlane(programs=programs) as plane:
        yield plane
