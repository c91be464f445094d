"""A tenant's experiments are its own: who may do what is what the cluster says of a caller's token.

Every refusal stands beside the owner's 200 on the same URL. What only filters, such as the search
for experiments, answers everybody with 200 and proves nothing.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import yaml
from testbed import NAMESPACE, OTHER, TENANT, Testbed, until

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
SECRET = "what only vision knows"
ATTACHMENT = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
CACHED = 30
"""Seconds for which the server may go on believing what the cluster said before."""


@dataclass
class Caller:
    """Somebody with a token, or without one."""

    url: str
    headers: dict[str, str]
    session: requests.Session = field(default_factory=requests.Session)

    def ask(self, method: str, path: str, **words: Any) -> requests.Response:
        # What is tried may be a path that clients would tidy.
        request = requests.Request(method, self.url, headers=self.headers, **words)
        prepared = self.session.prepare_request(request)
        query = prepared.url.partition("?")[2] if prepared.url else ""
        prepared.url = self.url + path + (f"?{query}" if query else "")
        return self.session.send(prepared, timeout=30)

    def made(self, path: str, **content: Any) -> dict[str, Any]:
        answer = self.ask("POST", API + path, json=content)
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass(frozen=True)
class Owned:
    """What vision has logged."""

    experiment: str
    name: str
    run: str
    folder: str
    """Of the run's artifacts, below the server's root."""


@pytest.fixture(scope="module")
def vision(bed: Testbed) -> Caller:
    bed.whole()
    return Caller(bed.url, bed.credentials(TENANT))


@pytest.fixture(scope="module")
def language(bed: Testbed) -> Caller:
    """A stranger who asks for the workspace of others."""
    return Caller(bed.url, {**bed.credentials(OTHER), "X-MLFLOW-WORKSPACE": TENANT})


@pytest.fixture(scope="module")
def at_home(bed: Testbed) -> Caller:
    """The same stranger in his own workspace, where he may do all."""
    return Caller(bed.url, bed.credentials(OTHER))


@pytest.fixture(scope="module")
def owned(vision: Caller) -> Owned:
    name = f"own {uuid.uuid4()}"
    experiment = vision.made("/experiments/create", name=name)["experiment_id"]
    run = vision.made("/runs/create", experiment_id=experiment)["run"]["info"]
    folder = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    for file, content in (
        ("secret.txt", SECRET),
        ("traces.json", json.dumps({"spans": [], "request": SECRET})),
        (f"attachments/{ATTACHMENT}", SECRET),
    ):
        put = vision.ask("PUT", f"{FILES}/{folder}/{file}", data=content.encode())
        assert put.status_code == 200, put.text
    vision.made("/registered-models/create", name=name)
    vision.made(
        "/model-versions/create", name=name, source=run["artifact_uri"], run_id=run["run_id"]
    )
    return Owned(experiment, name, run["run_id"], folder)


def requests_for(owned: Owned) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """One of each kind of thing, by what it is."""
    return {
        "experiment": (
            "GET",
            f"{API}/experiments/get",
            {"params": {"experiment_id": owned.experiment}},
        ),
        "experiment by name": (
            "GET",
            f"{API}/experiments/get-by-name",
            {"params": {"experiment_name": owned.name}},
        ),
        "run": ("GET", f"{API}/runs/get", {"params": {"run_id": owned.run}}),
        "runs": ("POST", f"{API}/runs/search", {"json": {"experiment_ids": [owned.experiment]}}),
        "metric": (
            "POST",
            f"{API}/runs/log-metric",
            {"json": {"run_id": owned.run, "key": "m", "value": 1, "timestamp": 1}},
        ),
        "list of artifacts": ("GET", f"{API}/artifacts/list", {"params": {"run_id": owned.run}}),
        "artifact of a run": (
            "GET",
            "/get-artifact",
            {"params": {"run_uuid": owned.run, "path": "secret.txt"}},
        ),
        "artifact": ("GET", f"{FILES}/{owned.folder}/secret.txt", {}),
        "upload": ("PUT", f"{FILES}/{owned.folder}/more.txt", {"data": b"more"}),
        "model version": (
            "GET",
            f"{API}/model-versions/get",
            {"params": {"name": owned.name, "version": "1"}},
        ),
        "artifact of a model": (
            "GET",
            "/model-versions/get-artifact",
            {"params": {"name": owned.name, "version": "1", "path": "secret.txt"}},
        ),
        "workspace": ("GET", f"/api/3.0/mlflow/workspaces/{TENANT}", {}),
    }


KINDS = tuple(requests_for(Owned("", "", "", "")))


def statuses(owner: Caller, other: Caller, owned: Owned) -> dict[str, tuple[int, int]]:
    """What the owner gets, and then what somebody else gets, of each kind."""
    return {
        kind: (owner.ask(how, path, **words).status_code, other.ask(how, path, **words).status_code)
        for kind, (how, path, words) in requests_for(owned).items()
    }


def test_a_tenants_account_reads_what_it_logged(vision: Caller, owned: Owned):
    assert owned.folder.startswith(f"workspaces/{TENANT}/")
    words = {"params": {"run_uuid": owned.run, "path": "secret.txt"}}
    assert vision.ask("GET", "/get-artifact", **words).text == SECRET
    run = vision.ask("GET", f"{API}/runs/get", params={"run_id": owned.run}).json()["run"]
    assert run["info"]["user_id"] == f"system:serviceaccount:{TENANT}:notebook"


def test_an_account_of_another_tenant_may_do_none_of_it(
    vision: Caller, language: Caller, owned: Owned
):
    assert statuses(vision, language, owned) == dict.fromkeys(KINDS, (200, 403))


def test_who_serves_models_reads_and_does_not_write(bed: Testbed, vision: Caller, owned: Owned):
    model = Caller(bed.url, bed.credentials(TENANT, "model"))

    found = statuses(vision, model, owned)

    refused = {kind for kind, (_, status) in found.items() if status == 403}
    assert refused == {"metric", "upload"}
    assert {status for kind, (_, status) in found.items() if kind not in refused} == {200}


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"Authorization": "Bearer of.no.worth"},
        {"X-Remote-User": f"system:serviceaccount:{TENANT}:notebook"},
        {
            "Kubeflow-Userid": f"system:serviceaccount:{TENANT}:notebook",
            "X-Remote-User": "admin",
            "X-Remote-Group": "system:masters",
            "X-Remote-Groups": "system:masters",
            "X-Forwarded-User": "admin",
            "Impersonate-User": "admin",
        },
        {"X-Forwarded-Access-Token": "of.no.worth"},
    ],
    ids=["nothing", "a wrong token", "a name", "many names", "a wrong forwarded token"],
)
def test_who_says_who_he_is_without_a_token_is_nobody(
    bed: Testbed, vision: Caller, owned: Owned, claims: dict[str, str]
):
    nobody = Caller(bed.url, {"X-MLFLOW-WORKSPACE": TENANT, **claims})

    assert statuses(vision, nobody, owned) == dict.fromkeys(KINDS, (200, 401))


def test_a_token_with_the_names_of_others_beside_it_is_still_the_tokens(
    bed: Testbed, vision: Caller, language: Caller, owned: Owned
):
    mine = f"system:serviceaccount:{TENANT}:notebook"
    names = {"X-Remote-User": mine, "X-Remote-Groups": "system:masters", "Impersonate-User": mine}
    liar = Caller(bed.url, {**language.headers, **names})

    assert statuses(vision, liar, owned) == dict.fromkeys(KINDS, (200, 403))


@pytest.mark.parametrize("namespace", [NAMESPACE, "kube-system", "default", "none-such"])
def test_only_a_tenants_namespace_is_a_workspace(bed: Testbed, vision: Caller, namespace: str):
    elsewhere = Caller(bed.url, {**vision.headers, "X-MLFLOW-WORKSPACE": namespace})
    words = {"params": {"max_results": 1}}

    assert vision.ask("GET", f"{API}/experiments/search", **words).status_code == 200
    assert elsewhere.ask("GET", f"{API}/experiments/search", **words).status_code == 404


def test_nobody_makes_or_deletes_a_workspace_by_the_server(vision: Caller):
    made = vision.ask("POST", "/api/3.0/mlflow/workspaces", json={"name": "more"})
    gone = vision.ask("DELETE", f"/api/3.0/mlflow/workspaces/{TENANT}")

    assert {made.status_code, gone.status_code} <= {403, 405}
    assert vision.ask("GET", f"/api/3.0/mlflow/workspaces/{TENANT}").status_code == 200


# -- from one's own workspace into another's ------------------------------------------------------


@pytest.mark.parametrize(
    "way",
    ["{}", "../{}", "x/../../../{}", "%2e%2e/%2e%2e/{}", "..%2f..%2f{}", "%252e%252e/{}", "/{}"],
)
def test_no_path_leads_out_of_ones_own_workspace(
    vision: Caller, at_home: Caller, owned: Owned, way: str
):
    path = f"{FILES}/{way.format(owned.folder)}/secret.txt"
    assert vision.ask("GET", f"{FILES}/{owned.folder}/secret.txt").text == SECRET

    for method in ("GET", "PUT", "DELETE"):
        answer = at_home.ask(method, path, data=b"changed" if method == "PUT" else None)
        assert answer.status_code in {400, 403, 404, 405}, f"{method} {answer.text}"
        assert SECRET not in answer.text
    assert vision.ask("GET", f"{FILES}/{owned.folder}/secret.txt").text == SECRET


def places(owned: Owned) -> list[str]:
    """The owner's folder in all the ways to write it."""
    return [
        f"s3://mlflow/{owned.folder}",
        f"mlflow-artifacts:/{owned.folder}",
        f"mlflow-artifacts:/../../{owned.folder}",
        f"s3://mlflow/workspaces/{OTHER}/../../{owned.folder}",
    ]


def test_an_experiment_cannot_be_put_where_others_keep_theirs(at_home: Caller, owned: Owned):
    for place in places(owned):
        content = {"name": f"put {uuid.uuid4()}", "artifact_location": place}
        assert at_home.ask("POST", f"{API}/experiments/create", json=content).status_code == 400


def test_a_model_cannot_be_taken_from_where_others_keep_theirs(at_home: Caller, owned: Owned):
    name = f"taken {uuid.uuid4()}"
    at_home.made("/registered-models/create", name=name)
    run = at_home.made("/runs/create", experiment_id=_experiment(at_home))["run"]["info"]
    told: list[str] = []
    for place in [*places(owned), f"runs:/{owned.run}/"]:
        for more in ({}, {"run_id": run["run_id"]}, {"run_id": owned.run}):
            content = {"name": name, "source": place, **more}
            made = at_home.ask("POST", f"{API}/model-versions/create", json=content)
            if made.status_code == 200:
                version = made.json()["model_version"]["version"]
                words = {"params": {"name": name, "version": version, "path": "secret.txt"}}
                told.append(at_home.ask("GET", "/model-versions/get-artifact", **words).text)

    assert SECRET not in "".join(told)


def test_a_trace_cannot_be_read_from_where_others_keep_theirs(at_home: Caller, owned: Owned):
    began = {"experiment_id": _experiment(at_home), "timestamp_ms": 1795343246089}
    trace = at_home.made("/traces", **began)["trace_info"]["request_id"]
    told: list[str] = []
    for place in places(owned):
        tag = {"key": "mlflow.artifactLocation", "value": place}
        at_home.ask("PATCH", f"{API}/traces/{trace}/tags", json=tag)
        for more in ({}, {"path": ATTACHMENT}):
            words = {"params": {"request_id": trace, **more}}
            told.append(at_home.ask("GET", "/ajax-api/2.0/mlflow/get-trace-artifact", **words).text)

    assert SECRET not in "".join(told)


def _experiment(caller: Caller) -> str:
    return caller.made("/experiments/create", name=f"own {uuid.uuid4()}")["experiment_id"]


# -- what is open ---------------------------------------------------------------------------------


def test_without_a_token_there_are_only_health_counts_and_an_empty_page(
    bed: Testbed, vision: Caller, owned: Owned
):
    nobody = Caller(bed.url, {})

    assert nobody.ask("GET", "/health").text == "OK"
    assert "<title>MLflow</title>" in nobody.ask("GET", "/").text
    counts = nobody.ask("GET", "/metrics").text
    assert "mlflow_http_request_total" in counts
    for name in (owned.name, owned.run, owned.folder, TENANT, OTHER):
        assert name not in counts


# -- rights that end ------------------------------------------------------------------------------


@pytest.fixture
def rights(bed: Testbed, vision: Caller) -> Iterator[dict[str, Any]]:
    """The binding that lets vision's account track, which is put back in the end."""
    (binding,) = [
        binding
        for binding in bed.get("rolebindings", "-n", TENANT)
        if [s["name"] for s in binding["subjects"]] == ["notebook"]
    ]
    yield binding
    names = ("name", "namespace", "labels", "annotations")
    meta = {k: v for k, v in binding["metadata"].items() if k in names}
    kept = {k: v for k, v in binding.items() if k in {"apiVersion", "kind", "roleRef", "subjects"}}
    bed.kubectl("create", "-f", "-", given=yaml.safe_dump({**kept, "metadata": meta}))
    until(lambda: _reads(vision) or None, CACHED + 15, "the right put back")


def test_a_right_that_is_taken_away_is_gone_within_what_the_server_remembers(
    bed: Testbed, vision: Caller, rights: dict[str, Any]
):
    assert _reads(vision)

    bed.kubectl("delete", "rolebinding", rights["metadata"]["name"], "-n", TENANT)

    # Two servers and two workers in each, and each remembers for itself.
    until(
        lambda: True if not any(_reads(vision) for _ in range(12)) else None,
        CACHED + 15,
        "the end of the right",
    )


def _reads(caller: Caller) -> bool:
    with requests.Session() as session:  # another worker may answer
        caller = Caller(caller.url, caller.headers, session)
        answer = caller.ask("GET", f"/api/3.0/mlflow/workspaces/{TENANT}")
    assert answer.status_code in {200, 403}, answer.text
    return answer.status_code == 200
