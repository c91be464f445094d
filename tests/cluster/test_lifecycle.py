"""Start, stop, crash and destroy; what was logged outlives all but the last."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import served
from behind import DOOR
from logging_client import logging_in
from mlflow.tracking import MlflowClient
from testbed import (
    NAMESPACE,
    OTHER,
    TENANT,
    Testbed,
    machine_state,
    processes_of,
    until,
    with_door,
)

from rig import stack
from rig.node import machine

MODELS = "seldondeployments.machinelearning.seldon.io"


@pytest.fixture(scope="module")
def run(bed: Testbed) -> str:
    """A run that every restart must bring back."""
    with pytest.MonkeyPatch.context() as patch:
        client = logging_in(bed, patch)
        run = client.create_run(client.create_experiment(f"lifecycle {time.time()}")).info.run_id
        client.log_metric(run, "kept", 42.0)
        client.log_text(run, "kept\n" * 1000, "kept.txt")
    return run


def remembered(bed: Testbed, client: MlflowClient, run: str, folder: str) -> bool:
    bed.whole(240)
    read = client.download_artifacts(run, "kept.txt", folder)
    kept = Path(read).read_text() == "kept\n" * 1000
    return kept and client.get_run(run).data.metrics == {"kept": 42.0}


def test_a_second_start_changes_nothing(bed: Testbed):
    pids = bed.processes()
    assert len(pids) == 8

    bed.rig.start()

    assert bed.processes() == pids


@pytest.mark.parametrize("name", ["kubelet", "network-policy", "containerd", "kube-apiserver"])
def test_a_process_that_dies_is_started_again(bed: Testbed, name: str):
    pid = bed.processes()[name]

    os.kill(pid, signal.SIGKILL)

    until(lambda: True if bed.processes().get(name, pid) != pid else None, 30, f"a new {name}")
    until(lambda: True if set(bed.rig.status().values()) == {"RUNNING"} else None, 30, "RUNNING")
    bed.rig.start()
    bed.whole()
    assert not bed.connects("database-0", bed.service("kubernetes", "default"), 443)


def test_a_stop_leaves_nothing_behind_and_loses_nothing(
    bed: Testbed, client: MlflowClient, run: str, tmp_path
):
    link = f"link {bed.layout.interface}"
    running = machine_state()
    assert link in running
    assert processes_of(bed.layout)

    bed.rig.stop()

    assert machine.traces(bed.layout) == []
    assert processes_of(bed.layout) == []
    left = machine_state()
    assert not [thing for thing in left if bed.layout.interface in thing]
    assert not [thing for thing in left if bed.layout.cgroup in thing]
    bed.rig.stop()
    bed.rig.start()
    assert remembered(bed, client, run, str(tmp_path))
    stack.up(bed.stack, extra=["--expect-no-changes"])


def test_a_crash_is_cleaned_up_by_the_next_start_and_loses_nothing(
    bed: Testbed, client: MlflowClient, run: str, tmp_path
):
    holder = machine.holder_pid(bed.layout)
    assert holder

    os.kill(holder, signal.SIGKILL)
    until(lambda: True if not bed.rig.running else None, 10, "the end of the holder")

    # Nobody but the kernel ends them: the holder is gone, and nothing has been told to stop.
    until(lambda: processes_of(bed.layout) == [] or None, 10, "the end of the rig's processes")
    bed.rig.start()
    assert remembered(bed, client, run, str(tmp_path))


@pytest.fixture
def everything(bed: Testbed) -> Iterator[None]:
    """The stack with its front door and a model that answers; its file as it was in the end."""
    served.train(bed)
    file = bed.platform.config
    before = file.read_text()
    try:
        file.write_text(with_door(before))
        served.declare(file, served.rolling(1))
        bed.up()
        assert bed.get("seldondeployments", "-n", TENANT)
        yield
    finally:
        file.write_text(before)


# An `up` with a front door, and where this is the only file the first one, too.
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("everything")
def test_destroy_leaves_no_namespace_no_volume_and_no_data_and_says_what_it_keeps(
    bed: Testbed, capsys: pytest.CaptureFixture[str]
):
    bed.platform.destroy()

    left = bed.kubectl("get", "namespaces", "-o", "name").split()
    assert "namespace/kube-system" in left
    ours = (NAMESPACE, TENANT, OTHER, DOOR, "istio-system", "cert-manager", "seldon-system")
    assert not {f"namespace/{name}" for name in ours} & set(left)
    assert bed.get("seldondeployments", "-A") == []
    kept = set(capsys.readouterr().out.split("kubectl delete crd ")[1].split())
    assert {"gateways.networking.istio.io", "certificates.cert-manager.io", MODELS} <= kept
    assert kept <= {one["metadata"]["name"] for one in bed.get("crd")}
    # Of the cluster's own, by the label that all of the stack's objects have.
    ours = ("-l", "app.kubernetes.io/part-of=spillway", "-o", "name")
    kinds = "namespaces,clusterroles,clusterrolebindings,priorityclasses"
    assert bed.kubectl("get", kinds, *ours).split() == []
    until(lambda: True if not bed.get("pv", "-A") else None, 60, "the end of the volumes")
    assert list(bed.layout.volumes.iterdir()) == []


def test_up_after_destroy_makes_an_empty_platform_that_works(
    bed: Testbed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    bed.up()

    bed.whole()
    # Its account is another than the one before, whose tokens are worth nothing now.
    client = logging_in(bed, monkeypatch)
    assert list(client.search_experiments()) == []
    run = client.create_run(client.create_experiment("first")).info.run_id
    client.log_text(run, "new\n", "new.txt")
    assert Path(client.download_artifacts(run, "new.txt", str(tmp_path))).read_text() == "new\n"
    assert bed.sql(f"select count(*) from runs where run_uuid = '{run}'") == [["1"]]
