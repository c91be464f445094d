"""Aliases of models, asked of a tracking server behind a kubectl that is a few lines of shell."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pulumi
import pytest
import yaml

from infra import registry, settings
from rig import paths

KUBECTL = """#!/bin/sh
case "$*" in
*"create token model -n vision"*) echo vision-token ;;
*port-forward*) echo "Forwarding from 127.0.0.1:{port} -> 5000"; exec sleep 60 ;;
esac
"""
URI = "models:/iris@champion"


class Tracking(BaseHTTPRequestHandler):
    """Knows one alias, and who may ask for it."""

    def do_GET(self) -> None:
        known = {"name": ["iris"], "alias": ["champion"]}
        found = parse_qs(urlsplit(self.path).query) == known
        allowed = self.headers["Authorization"] == "Bearer vision-token"
        allowed = allowed and self.headers["X-MLFLOW-WORKSPACE"] == "vision"
        self.send_response(404 if allowed and not found else 200 if allowed else 403)
        self.end_headers()
        self.wfile.write(json.dumps({"model_version": {"version": "3"}}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


@pytest.fixture
def tracking(kubectl: Path) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tracking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubectl.write_text(KUBECTL.format(port=server.server_port))
    yield
    server.shutdown()
    server.server_close()


def stack(folder: Path, *uris: str, tenant: str = "vision") -> settings.Settings:
    document = yaml.safe_load((paths.ROOT / "Pulumi.dev.yaml").read_text())
    versions = [{"uri": uri} for uri in uris]
    document["config"]["spillway:models"] = {
        "iris": {"tenant": tenant, "strategy": "shadow", "versions": versions}
    }
    file = folder / "Pulumi.dev.yaml"
    file.write_text(yaml.safe_dump(document))
    return settings.read(file)


def test_an_alias_is_the_version_it_stands_for_now(tracking, tmp_path):
    found = registry.numbered(stack(tmp_path, URI, "models:/iris/1"))

    assert found == {("vision", URI): "models:/iris/3"}


def test_an_alias_that_is_not_there_is_told_with_its_place(tracking, tmp_path):
    assert registry.numbered(stack(tmp_path, URI, "models:/iris/1"))

    with pytest.raises(pulumi.RunError) as told:
        registry.numbered(stack(tmp_path, "models:/iris/1", "models:/iris@chamption"))
    assert "models.iris.versions[1].uri" in str(told.value)
    assert "models:/iris@chamption" in str(told.value)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("#!/bin/sh\necho 'Error: services mlflow not found' >&2", "services mlflow not found"),
        ("#!/bin/sh\nexit 1", "the cluster does not answer"),
        (KUBECTL.format(port=1), "the tracking server does not answer"),
    ],
)
def test_where_nobody_can_be_asked_the_pods_find_out_and_it_is_said(
    script, reason, kubectl, tmp_path, monkeypatch
):
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", said.append)
    kubectl.write_text(script)

    assert registry.numbered(stack(tmp_path, URI, "models:/iris/1")) == {}
    (line,) = said
    assert reason in line


def test_a_cluster_that_hangs_is_not_waited_for(kubectl, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "SECONDS", 0.2)
    kubectl.write_text("#!/bin/sh\nexec sleep 60\n")

    assert registry.numbered(stack(tmp_path, URI, "models:/iris/1")) == {}


def test_numbers_are_asked_of_nobody(kubectl, tmp_path):
    kubectl.write_text("#!/bin/sh\ntouch $(dirname $0)/asked\n")

    assert registry.numbered(stack(tmp_path, "models:/iris/1", "s3://bucket/iris@home")) == {}
    assert not (kubectl.parent / "asked").exists()
