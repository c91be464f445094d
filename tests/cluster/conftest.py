"""One rig for all tests of this folder, started from nothing and gone without a trace after."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from logging_client import Writer, logging_in, writing
from mlflow.tracking import MlflowClient
from testbed import KEEP, RIG, Testbed, machine_state, only_session

from rig import host
from rig.node import machine

HERE = Path(__file__).parent
LAST = (
    "test_acme.py",
    # Its callers want the cores for themselves, and by then the other tests have ended.
    "test_front_door.py",
    "test_login.py",
    "test_idle.py",
    "test_one_server_a_volume.py",
    "test_faults.py",
    "test_upgrade.py",
    "test_lifecycle.py",
)
"""Most of them break what the others look at."""
SECONDS = 600
"""A test that hangs; the first one includes the start of the rig."""
NO_CLUSTER = host.can_run_containers()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.cluster)
        item.add_marker(pytest.mark.timeout(SECONDS))
        if NO_CLUSTER:
            item.add_marker(pytest.mark.skip(f"NO REAL CLUSTER HERE: {NO_CLUSTER}"))
    items.sort(key=lambda item: LAST.index(item.path.name) + 1 if item.path.name in LAST else 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [
        r for r in terminalreporter.getreports("skipped") if "NO REAL CLUSTER" in str(r.longrepr)
    ]
    if skipped:
        terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{len(skipped)} tests of the real stack did not run: {NO_CLUSTER}", red=True, bold=True
        )


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with pytest.MonkeyPatch.context() as patch, only_session():
        patch.setenv("SPILLWAY_RIG", RIG)
        patch.delenv("KUBECONFIG", raising=False)
        for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE"):
            patch.delenv(name, raising=False)
        bed = Testbed(tmp_path_factory.mktemp("stack"))
        if KEEP:
            bed.up()
            yield bed
            return
        bed.rig.delete()
        before = machine_state()
        try:
            bed.up()
            yield bed
        finally:
            bed.rig.delete()
        assert machine.traces(bed.layout) == []
        assert machine_state() - before == set()
        assert not bed.layout.state.exists()


@pytest.fixture
def client(bed: Testbed, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A user's client on the machine, outside the cluster, which fails rather than waits."""
    return logging_in(bed, monkeypatch)


@pytest.fixture
def writer(bed: Testbed, client: MlflowClient, tmp_path: Path) -> Iterator[Writer]:
    with writing(bed, client, tmp_path) as writer:
        yield writer
