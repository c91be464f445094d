"""What `make up` says in the end, of stacks with and without tenants and a hub."""

from pathlib import Path
from typing import Any

import pytest

from rig import stack
from rig.errors import RigError
from rig.platform import Platform, remains, snippet, summary

PLAIN: dict[str, Any] = {
    "namespace": "spillway",
    "mlflowNodePort": 30500,
    "mlflowTrackingUri": "http://mlflow.spillway.svc:5000",
}
WITH_HUB = {
    **PLAIN,
    "hubNodePort": 30080,
    "hubUrl": "http://jupyterhub-proxy.spillway.svc:8000",
    "hubPassword": "[secret]",
}
KUBECTL, KUBECONFIG = Path("/tools/kubectl"), Path("/state/kubeconfig")


def told(outputs: dict[str, Any]) -> str:
    return "\n".join(summary(outputs, "10.90.0.2", KUBECONFIG))


def test_without_a_hub_nobody_is_sent_to_one():
    assert "Hub" not in told(PLAIN)
    assert "http://10.90.0.2:30500" in told(PLAIN)


def test_a_destroy_names_what_it_left_and_what_would_go_with_a_definition():
    definition = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"

    said = remains({definition: ["models.example.com", "roads.example.com"], "a:b:Disk": ["d-1"]})

    assert said[0] == "kept: a:b:Disk d-1"
    assert "other people's" in said[1]
    assert said[1].endswith("kubectl delete crd models.example.com roads.example.com")
    assert remains({}) == []


def test_the_hub_is_named_with_the_way_to_its_password_and_not_the_password():
    assert "http://10.90.0.2:30080" in told(WITH_HUB)
    assert "bin/rig password" in told(WITH_HUB)
    assert "[secret]" not in told(WITH_HUB)


def test_where_people_log_in_with_their_own_passwords_none_is_offered():
    outputs = {**WITH_HUB, "hubPassword": None}

    assert "http://10.90.0.2:30080" in told(outputs)
    assert "password" not in told(outputs)


def test_without_tenants_a_run_is_logged_by_anybody():
    lines = snippet("http://10.90.0.2:30500", None, KUBECTL, KUBECONFIG)

    assert lines[0] == "export MLFLOW_TRACKING_URI=http://10.90.0.2:30500"
    assert "TOKEN" not in "\n".join(lines)


def test_with_tenants_it_is_logged_as_an_account_of_one():
    lines = snippet("http://10.90.0.2:30500", "vision", KUBECTL, KUBECONFIG)

    token = "$(KUBECONFIG=/state/kubeconfig /tools/kubectl create token notebook -n vision)"
    assert lines[0] == f"export MLFLOW_TRACKING_TOKEN={token}"
    assert lines[1] == "export MLFLOW_WORKSPACE=vision"
    # A workspace has no experiment before somebody makes one.
    assert any("set_experiment" in line for line in lines)


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  spillway:kubeconfig: {secure: x}\n")
    monkeypatch.setattr(Platform, "_setup", lambda _: {})
    monkeypatch.setattr(Platform, "_stack", lambda *_: None)
    return Platform("dev", tmp_path)


def test_a_shared_password_is_told_on_request(dev: Platform, monkeypatch: pytest.MonkeyPatch):
    def outputs(_: object, show_secrets: bool) -> dict[str, Any]:
        return {**WITH_HUB, "hubPassword": "hunter2" if show_secrets else "[secret]"}

    monkeypatch.setattr(stack, "outputs", outputs)

    assert dev.password() == "hunter2"


def test_a_stack_without_one_says_so(dev: Platform, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stack, "outputs", lambda *_, **__: PLAIN)

    with pytest.raises(RigError, match="no shared password"):
        dev.password()


def test_a_cluster_of_ones_own_is_told_of_by_addresses_inside_it(
    dev: Platform, capsys: pytest.CaptureFixture[str]
):
    for outputs in (PLAIN, WITH_HUB):
        dev._summary(outputs, KUBECTL)

    shown = capsys.readouterr().out
    assert shown.count(PLAIN["mlflowTrackingUri"]) == 2
    assert shown.count(WITH_HUB["hubUrl"]) == 1
