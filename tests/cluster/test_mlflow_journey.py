"""A user logs a run from outside the cluster; what is stored is asked of the stores themselves."""

import hashlib
import json
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow.tracking import MlflowClient
from testbed import TENANT, Testbed

SIZE = 50 * 2**20
IN_THE_BUCKET = """
import boto3, hashlib, json, os
s3 = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
body = s3.get_object(Bucket={bucket!r}, Key={key!r})["Body"].read()
print(json.dumps([len(body), hashlib.sha256(body).hexdigest()]))
"""


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Addresses that this process connects to."""
    seen: set[str] = set()
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        seen.add(address[0] if isinstance(address, tuple) else str(address))
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return seen


def test_a_run_is_rows_in_postgres_and_an_object_in_the_store(
    bed: Testbed, client: MlflowClient, hosts: set[str], tmp_path: Path
):
    weights = tmp_path / "weights.bin"
    content = hashlib.shake_256(b"weights").digest(SIZE)
    weights.write_bytes(content)
    checksum = hashlib.sha256(content).hexdigest()

    experiment = client.create_experiment(f"journey {uuid.uuid4()}")
    run = client.create_run(experiment, run_name="first").info
    client.log_param(run.run_id, "depth", 7)
    for step, loss in enumerate([0.5, 0.25, 0.125]):
        client.log_metric(run.run_id, "loss", loss, step=step)
    client.log_artifact(run.run_id, str(weights), "model")
    client.set_terminated(run.run_id)

    of_run = f"where run_uuid = '{run.run_id}'"
    assert bed.sql(f"select name, status from runs {of_run}") == [["first", "FINISHED"]]
    assert bed.sql(f"select key, value from params {of_run}") == [["depth", "7"]]
    assert bed.sql(f"select step, value from metrics {of_run} and key = 'loss' order by step") == [
        ["0", "0.5"],
        ["1", "0.25"],
        ["2", "0.125"],
    ]
    assert run.artifact_uri.startswith(f"mlflow-artifacts:/workspaces/{TENANT}/")
    key = run.artifact_uri.removeprefix("mlflow-artifacts:/").strip("/") + "/model/weights.bin"
    stored = bed.python(IN_THE_BUCKET.format(bucket="mlflow", key=key))
    assert json.loads(stored) == [SIZE, checksum]

    back = Path(client.download_artifacts(run.run_id, "model/weights.bin", str(tmp_path / "..")))
    assert hashlib.sha256(back.read_bytes()).hexdigest() == checksum
    assert hosts == {bed.layout.address}, "every byte goes through the server"


def test_the_server_does_not_send_clients_to_the_bucket(bed: Testbed):
    info = requests.get(f"{bed.url}/api/3.0/mlflow/server-info", timeout=10).json()

    assert info["multipart_uploads_enabled"] is False
    assert info["multipart_downloads_enabled"] is False


def test_only_known_names_are_served(bed: Testbed):
    owner = bed.credentials()

    def get(host: str) -> int:
        return requests.get(
            f"{bed.url}/api/2.0/mlflow/experiments/search?max_results=1",
            headers={**owner, "Host": host},
            timeout=10,
        ).status_code

    assert get(bed.url.removeprefix("http://")) == 200
    assert get("mlflow.spillway.svc:5000") == 200
    assert get("localhost:8080") == 200
    assert get("evil.example.com") == 403
    assert get("mlflow.spillway.svc.evil.example.com") == 403
    assert get(f"{bed.layout.address}.evil.example.com:30500") == 403


def test_a_page_of_another_site_may_change_nothing(bed: Testbed):
    owner, mark = bed.credentials(), uuid.uuid4().hex

    def create(name: str, origin: str | None) -> int:
        return requests.post(
            f"{bed.url}/api/2.0/mlflow/experiments/create",
            json={"name": f"{mark} {name}"},
            headers={**owner, **({"Origin": origin} if origin else {})},
            timeout=10,
        ).status_code

    assert create("by-a-foreign-page", "https://evil.example.com") == 403
    assert create("by-its-own-page", bed.url) == 200
    assert create("by-a-client", None) == 200
    created = bed.sql(f"select name from experiments where name like '{mark}%' order by name")
    assert created == [[f"{mark} by-a-client"], [f"{mark} by-its-own-page"]]


def test_requests_are_counted_for_prometheus(bed: Testbed):
    searched = f"{bed.url}/api/2.0/mlflow/experiments/search?max_results=1"
    assert requests.get(searched, headers=bed.credentials(), timeout=10).status_code == 200

    text = requests.get(f"{bed.url}/metrics", timeout=10).text

    counters = [line for line in text.splitlines() if "_total{" in line and "http" in line]
    assert sum(float(line.split()[-1]) for line in counters) > 0, text[:500]


def test_the_web_interface_is_there(bed: Testbed):
    page = requests.get(bed.url, timeout=10)

    assert page.status_code == 200
    assert "<title>MLflow</title>" in page.text


def test_both_replicas_take_their_share(bed: Testbed, client: MlflowClient):
    run = client.create_run(client.create_experiment(f"shared {uuid.uuid4()}")).info.run_id
    for step in range(20):
        MlflowClient(tracking_uri=bed.url).log_metric(run, "m", step, step=step)

    assert bed.sql(f"select count(*) from metrics where run_uuid = '{run}'") == [["20"]]
    assert len(client.get_metric_history(run, "m")) == 20
