"""The front door, and models behind it: TLS for every name, and each model for its tenant alone.

One change of the stack is for all of them: it gets its door, and a model.
"""

import base64
import json
import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import callers
import inference
import pytest
import requests
import served
from behind import DOOR, HUB, MODELS, SECRET, TRACKING, url
from callers import Load
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from grpc import RpcError, StatusCode
from served import MODEL, PATH, ask, said
from testbed import DOMAIN, HTTP_DOOR, HTTPS_DOOR, OTHER, TENANT, Testbed, until, with_door

from rig import reasons
from rig.errors import RigError
from rig.promotion import Rule

MANY = 20 * 2**20
CHUNK = b" " * 2**14
LABEL = f"app.kubernetes.io/name=model,app.kubernetes.io/instance={MODEL}"
REQUESTS = 2000
BUSY = 50
"""Requests a second that were asked at least, of 60."""
PATIENCE = 2
"""Seconds; of callers on a machine where other tests run, too."""
METRIC = "spillway-requests-per-second"
METER = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{TENANT}"
COUNTED = """
import urllib.request
text = urllib.request.urlopen("http://127.0.0.1:6000/prometheus", timeout=10).read().decode()
lines = [line for line in text.splitlines() if line.startswith("rest_server_requests_total")]
print(sum(float(line.split()[-1]) for line in lines if "/infer" in line))
"""


@pytest.fixture(scope="module")
def bed(bed: Testbed) -> Iterator[Testbed]:
    """The platform with its front door, and without it again in the end."""
    served.train(bed)
    with bed.changed() as file:
        file.write_text(with_door(file.read_text()))
        served.declare(file, served.rolling(1))
        bed.up()
        yield bed
    left = bed.kubectl("get", "namespaces", "-o", "name").split()
    assert "namespace/spillway" in left
    gone = (DOOR, "istio-system", "cert-manager", "seldon-system")
    assert not {f"namespace/{name}" for name in gone} & set(left)
    assert bed.get("seldondeployments", "-A") == []


@pytest.fixture(scope="module")
def authority(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate that a person would install to trust the door."""

    def issued() -> dict | None:
        text = bed.kubectl("get", "secret", SECRET, "-n", DOOR, "-o", "json")
        return json.loads(text)["data"]

    until(issued, 60, "the door's certificate")
    file = tmp_path_factory.mktemp("authority") / "ca.crt"
    template = r"go-template={{index .data `ca.crt` | base64decode}}"
    file.write_text(bed.kubectl("get", "secret", SECRET, "-n", DOOR, "-o", template))
    return file


@pytest.fixture
def browser(bed: Testbed, authority: Path) -> Iterator[requests.Session]:
    with served.session(bed, authority) as session:
        yield session


@pytest.fixture
def key(bed: Testbed) -> dict[str, str]:
    """Headers of a program of the tenant that calls its models."""
    return served.key(bed, TENANT, MODELS)


# The wait for an `up`, and for the first of all where this is the first file.
@pytest.mark.timeout(1200)
def test_the_hub_is_behind_the_door_with_a_certificate_for_its_name(bed, browser):
    page = browser.get(url(HUB, "/hub/login"))

    assert page.status_code == 200
    assert "JupyterHub" in page.text or "Spillway" in page.text


def test_tracking_is_behind_the_door_for_those_who_show_who_they_are(bed, browser):
    path = "/api/2.0/mlflow/experiments/search?max_results=5"

    allowed = browser.get(url(TRACKING, path), headers=bed.credentials(TENANT))
    refused = browser.get(url(TRACKING, path))

    assert allowed.status_code == 200
    assert refused.status_code == 401


def test_plain_http_leads_to_https_and_nowhere_else(browser):
    answer = browser.get(f"http://{HUB}:{HTTP_DOOR}/hub/login", allow_redirects=False)

    assert answer.status_code == 301
    assert answer.headers["location"] == url(HUB, "/hub/login")


@pytest.mark.parametrize("host", [f"other.{DOMAIN}", "example.com"])
def test_a_name_that_nobody_serves_is_not_found(bed, browser, authority, host):
    assert browser.get(url(HUB, "/hub/login")).status_code == 200

    # The name in the TLS handshake is one of ours, that of the request is not.
    answer = browser.get(url(HUB), headers={"Host": host})

    assert answer.status_code == 404


def test_a_handshake_for_another_name_ends_without_a_certificate(bed, authority):
    address = (bed.layout.address, HTTPS_DOOR)
    context = ssl.create_default_context(cafile=str(authority))
    with (
        socket.create_connection(address, timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=HUB) as good,
    ):
        assert good.version() in {"TLSv1.2", "TLSv1.3"}

    context.check_hostname = False
    ends = (ssl.SSLError, ConnectionError)
    with socket.create_connection(address, timeout=10) as raw, pytest.raises(ends):
        context.wrap_socket(raw, server_hostname="example.com")


def test_old_tls_is_refused(bed, authority):
    context = ssl.create_default_context(cafile=str(authority))
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    address = (bed.layout.address, HTTPS_DOOR)
    with socket.create_connection(address, timeout=10) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname=HUB)


def test_http_on_the_tls_port_is_refused(bed, browser):
    assert browser.get(url(HUB, "/hub/login")).status_code == 200

    with pytest.raises(requests.ConnectionError):
        browser.get(f"http://{HUB}:{HTTPS_DOOR}/hub/login")


def test_no_tenant_takes_over_a_name_of_the_platform(bed, browser, key):
    """Even with the right to write routes: the door takes a name's routes from one namespace."""
    assert browser.get(url(HUB, "/hub/login")).status_code == 200
    path = f"/seldon/{TENANT}/theft/v2/models/stolen"
    theft = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "theft", "namespace": TENANT},
        "spec": {
            "hosts": [HUB, MODELS],
            "gateways": [f"{DOOR}/front-door", f"{DOOR}/plain"],
            "http": [{"match": [{"uri": {"prefix": path}}], "directResponse": {"status": 299}}],
        },
    }
    bed.kubectl("create", "-f", "-", given=json.dumps(theft))
    try:
        # The same route counts for the models, whose routes are in tenants' namespaces.
        until(
            lambda: (
                True if browser.get(url(MODELS, path), headers=key).status_code == 299 else None
            ),
            30,
            "the route",
        )
        assert browser.get(url(HUB, path)).status_code != 299
        for host in (HUB, MODELS):
            plain = browser.get(f"http://{host}:{HTTP_DOOR}{path}", allow_redirects=False)
            assert plain.status_code in {301, 403}
    finally:
        bed.kubectl("delete", "virtualservice", "theft", "-n", TENANT)


def test_this_machines_own_address_leads_to_the_door(bed, authority):
    """What browsers take names of .localhost for."""
    context = ssl.create_default_context(cafile=str(authority))
    with (
        socket.create_connection(("127.0.0.1", HTTPS_DOOR), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=HUB) as secured,
    ):
        secured.sendall(f"GET /hub/login HTTP/1.1\r\nHost: {HUB}\r\n\r\n".encode())
        assert secured.recv(100).startswith(b"HTTP/1.1 200")


def test_the_second_up_changes_nothing_though_others_write_into_their_objects(bed):
    bed.pulumi("preview", "--expect-no-changes", timeout=300)


# -- a model, and who may call it -----------------------------------------------------------------


@pytest.mark.timeout(1200)
def test_a_model_from_a_notebook_answers_behind_the_door_as_it_did_there(bed, browser, key):
    answer = ask(browser, key)

    assert answer.status_code == 200, answer.text
    assert said(answer) == served.answers[0]
    assert answer.json()["model_name"] == MODEL


def test_without_a_token_nobody_is_answered(browser, key):
    assert ask(browser, key).status_code == 200

    assert ask(browser, {}).status_code == 403
    assert ask(browser, {"Authorization": "Bearer nonsense"}).status_code == 401


def test_another_tenants_token_is_refused(bed, browser, key):
    assert ask(browser, key).status_code == 200

    assert ask(browser, served.key(bed, OTHER, MODELS)).status_code == 403


def test_a_token_that_was_made_for_something_else_is_refused(bed, browser, key):
    assert ask(browser, key).status_code == 200

    assert ask(browser, {"Authorization": f"Bearer {bed.token()}"}).status_code == 403


def test_tokens_of_other_servers_pass_to_them_as_before(bed, browser):
    """Tokens that the door would not believe: MLflow's are for the API server, the hub's no JWT."""
    experiments = "/api/2.0/mlflow/experiments/search?max_results=5"
    answer = browser.get(url(TRACKING, experiments), headers=bed.credentials(TENANT))
    assert answer.status_code == 200, answer.text

    refused = browser.get(url(HUB, "/hub/api/user"), headers={"Authorization": "Bearer 0123abcd"})
    assert refused.status_code == 403
    assert "jwt" not in refused.text.lower()


def forged(bed: Testbed, headers: dict[str, str], lifetime: int) -> dict[str, str]:
    """The same token with another end, signed as the cluster signs."""
    head, body, _ = headers["Authorization"].removeprefix("Bearer ").split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    now = int(time.time())
    claims |= {"iat": now - 7200, "nbf": now - 7200, "exp": now + lifetime}
    private = (bed.layout.pki / "service-account.key").read_bytes()
    signer = serialization.load_pem_private_key(private, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    text = f"{head}.{encoded(json.dumps(claims).encode())}"
    r, s = utils.decode_dss_signature(signer.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    signature = encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return {"Authorization": f"Bearer {text}.{signature}"}


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_token_that_has_ended_is_refused(bed, browser, key):
    assert ask(browser, forged(bed, key, lifetime=600)).status_code == 200

    # A minute of clocks that differ is forgiven.
    assert ask(browser, forged(bed, key, lifetime=-120)).status_code == 401


@contextmanager
def connected(bed: Testbed, authority: Path) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(authority))
    with (
        socket.create_connection((bed.layout.address, HTTPS_DOOR), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=MODELS) as secured,
    ):
        yield secured


def raw(
    bed: Testbed, authority: Path, path: str, headers: dict[str, str], body: int | None = None
) -> int:
    """The status for a path exactly as it is written, which clients would tidy.

    With so many bytes of a body the answer is read as soon as it comes, in the midst of sending.
    """
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: {MODELS}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Connection: close"] if body is None else [f"Content-Length: {body}"]
    with connected(bed, authority) as secured:
        secured.sendall("\r\n".join([*lines, "", ""]).encode())
        for _ in range((body or 0) // len(CHUNK)):
            if select.select([secured], [], [], 0)[0]:
                break
            secured.sendall(CHUNK)
        return int(secured.makefile("rb").readline().split()[1])


@pytest.mark.parametrize(
    "path",
    [
        f"/seldon//{TENANT}/{MODEL}/v2/models/{MODEL}/ready",
        f"/seldon/{OTHER}/../{TENANT}/{MODEL}/v2/models/{MODEL}/ready",
        f"/seldon/{OTHER}/%2e%2e/{TENANT}/{MODEL}/v2/models/{MODEL}/ready",
        f"/seldon/{OTHER}%2f..%2f{TENANT}/{MODEL}/v2/models/{MODEL}/ready",
        f"/seldon/{OTHER}\\..\\{TENANT}/{MODEL}/v2/models/{MODEL}/ready",
    ],
)
def test_no_spelling_of_a_path_is_a_way_around_the_tenant(bed, authority, key, path):
    stranger = served.key(bed, OTHER, MODELS)
    assert raw(bed, authority, f"{PATH}/ready", key) == 200

    assert raw(bed, authority, path, stranger) in {400, 403, 404}
    assert raw(bed, authority, path, {}) in {400, 403, 404}


def test_the_headers_of_grpc_are_no_way_to_another_tenants_model(bed, authority):
    """The operator's routes for gRPC go by headers, and by a word anywhere in the path."""
    stranger = served.key(bed, OTHER, MODELS)
    headers = {**stranger, "seldon": MODEL, "namespace": TENANT}
    path = f"/seldon/{OTHER}/inference/v2/models/x/infer"

    assert raw(bed, authority, path, stranger) == 404
    assert raw(bed, authority, path, headers) == 403


def test_grpc_is_for_the_same_people(bed, authority, key):
    stranger = served.key(bed, OTHER, MODELS)
    with inference.calling(bed, authority) as client:
        assert inference.infer(client, key) == served.answers[0]

        assert inference.refusal(client, {}) == StatusCode.PERMISSION_DENIED
        assert inference.refusal(client, stranger) == StatusCode.PERMISSION_DENIED
        # Its own models are there for it, but none is called so.
        assert inference.refusal(client, stranger, OTHER) == StatusCode.UNIMPLEMENTED


def test_a_caller_cannot_unload_a_model_by_grpc(bed, authority, key):
    with inference.calling(bed, authority) as client:
        with pytest.raises(RpcError) as refused:
            inference.unload(client, key)

        assert refused.value.code() == StatusCode.PERMISSION_DENIED
        assert inference.infer(client, key) == served.answers[0]


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/v2", "/v2/health/live", "/v2/repository/index", f"/v2/docs/{MODEL}"],
)
def test_of_a_server_only_the_model_is_to_be_had(bed, authority, key, path):
    assert raw(bed, authority, f"{PATH}/ready", key) == 200

    assert raw(bed, authority, f"/seldon/{TENANT}/{MODEL}{path}", key) == 403


def test_a_body_that_would_keep_the_server_busy_is_too_large(bed, authority, browser, key):
    assert ask(browser, key).status_code == 200

    assert raw(bed, authority, f"{PATH}/infer", key, body=MANY) == 413
    # Only who may call is listened to for so long.
    assert raw(bed, authority, f"{PATH}/infer", {}, body=MANY) == 403


def test_names_and_paths_that_nobody_serves_are_not_found(browser, key):
    assert ask(browser, key).status_code == 200

    nobody = f"/seldon/{TENANT}/nobody/v2/models/nobody/infer"
    assert browser.get(url(MODELS, nobody), headers=key).status_code == 404
    assert browser.get(url(MODELS, "/"), headers=key).status_code == 403
    with pytest.raises(requests.ConnectionError):
        browser.get(f"http://{MODELS}:{HTTPS_DOOR}{PATH}/ready", headers=key)


def test_a_teams_own_deployment_may_be_a_server_of_models_and_nothing_else(bed):
    """By hand, as from a repository of the team; the cluster judges, and nothing is made."""
    live = bed.get("seldondeployments", "-n", TENANT)[0]
    mine = {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {"name": "mine"},
        "spec": live["spec"],
    }

    def judged(account: str, namespace: str, body: dict) -> str:
        who = f"system:serviceaccount:{TENANT}:{account}"
        words = ("create", "--dry-run=server", "--as", who, "-n", namespace, "-f", "-")
        try:
            return bed.kubectl(*words, given=json.dumps(body))
        except RigError as error:
            return str(error)

    assert "created" in judged("job", TENANT, mine)
    assert "orbidden" in judged("job", OTHER, mine)
    assert "orbidden" in judged("model", TENANT, mine)
    for path, value in (
        (("serviceAccountName",), "notebook"),
        (("nodeName",), "somewhere"),
        (("volumes",), [{"name": "home", "persistentVolumeClaim": {"claimName": "claim-grace"}}]),
    ):
        other = json.loads(json.dumps(mine))
        other["spec"]["predictors"][0]["componentSpecs"][0]["spec"][path[0]] = value
        assert path[0] in judged("job", TENANT, other)


# -- one version follows another ------------------------------------------------------------------
# Each finds the model as the one before left it, for a change of the stack takes its time.


def change(bed: Testbed, model: dict, **more: Any) -> None:
    served.declare(bed.platform.config, model, **more)
    bed.apply()


def until_routed(bed: Testbed, **shares: int) -> None:
    """Until the gateway does what was said; requests that begin after it are all judged by it."""
    wanted = {place.replace("copy_", "+"): share for place, share in shares.items()}
    until(lambda: True if callers.routed(bed) == wanted else None, 30, f"routes: {wanted}")


def answered_by(load: Load, share: float, version: str = "2") -> bool:
    """Whether a version has its share by the 99 % interval; asked twice, for one in 100 has not."""
    width = 2.576 * (REQUESTS * share * (1 - share)) ** 0.5
    return any(
        abs(callers.versions(load.next(REQUESTS))[version] - REQUESTS * share) <= width
        for _ in range(2)
    )


def all_served(load: Load) -> None:
    assert load.failed == []
    assert load.rate() >= BUSY


@pytest.mark.timeout(1200)
def test_versions_have_the_shares_that_the_file_says_and_no_change_costs_a_request(
    bed, authority, key
):
    with Load(bed, authority, key) as load:
        change(bed, served.shared("canary", {1: 90, 2: 10}))
        until_routed(bed, a=90, b=10)
        assert answered_by(load, 0.10)

        change(bed, served.shared("a-b", {1: 75, 2: 25}))
        until_routed(bed, a=75, b=25)
        assert answered_by(load, 0.25)

        change(bed, served.shared("blue-green", {1: 0, 2: 100}))
        until_routed(bed, b=100)
        assert callers.versions(load.next(200)) == {"2": 200}
        change(bed, served.shared("blue-green", {1: 100, 2: 0}))
        until_routed(bed, a=100)
        assert callers.versions(load.next(200)) == {"1": 200}

    all_served(load)


@pytest.mark.timeout(1200)
def test_a_model_that_is_for_anybody_wants_no_token(bed, browser, authority):
    assert ask(browser, {}).status_code == 403

    change(bed, served.rolling(1), anonymous=True)
    until(lambda: True if ask(browser, {}).status_code == 200 else None, 30, "an answer to anybody")
    with inference.calling(bed, authority) as client:
        assert inference.infer(client, {}) == served.answers[0]
        assert inference.refusal(client, {}, OTHER) == StatusCode.PERMISSION_DENIED
        with pytest.raises(RpcError) as refused:
            inference.unload(client, {})
    assert refused.value.code() == StatusCode.PERMISSION_DENIED

    change(bed, served.rolling(1))
    until(lambda: True if ask(browser, {}).status_code == 403 else None, 30, "a closed door")


@pytest.mark.timeout(1200)
def test_a_new_control_plane_takes_over_and_no_request_is_lost(bed, authority, key):
    def revisions() -> set[str]:
        pods = bed.get("pods", "-n", DOOR, "-l", "istio=ingressgateway")
        return {pod["metadata"]["labels"]["istio.io/rev"] for pod in pods}

    (before,) = revisions()
    with Load(bed, authority, key) as load:
        load.next(100)
        with bed.changed() as file:
            said = "  spillway:frontDoor:\n"
            assert said in file.read_text()
            file.write_text(file.read_text().replace(said, f"{said}    revision: next\n"))
            bed.up()
            until(lambda: True if revisions() == {"next"} else None, 120, "the old gateway's end")
            left = {one["metadata"]["name"] for one in bed.get("deployments", "-n", "istio-system")}
            assert left == {"istiod-next"}
            load.next(100)
        until(lambda: True if revisions() == {before} else None, 120, "the way back")
        load.next(100)

    all_served(load)


def server(bed: Testbed, place: str) -> str:
    """The only pod of a version, when it is the only one."""

    def alone() -> str | None:
        pods = bed.get("pods", "-n", TENANT, "-l", f"{LABEL},version={place}")
        ready = [p for p in pods if p["status"].get("containerStatuses", [{}])[0].get("ready")]
        return pods[0]["metadata"]["name"] if len(pods) == len(ready) == 1 else None

    return until(alone, 120, f"a single server of version {place}")


@pytest.mark.timeout(1200)
def test_a_shadow_gets_every_request_and_answers_none(bed, authority, key):
    change(bed, served.shared("shadow", {1: None, 2: None}))
    until_routed(bed, a=100, copy_b=100)
    shadow = server(bed, "b")

    def counted() -> float:
        words = ("/opt/model-server/bin/python", "-c", COUNTED)
        return float(bed.execute(shadow, *words, namespace=TENANT))

    before = counted()
    with Load(bed, authority, key) as load:
        load.next(REQUESTS)

    until(lambda: counted() - before >= len(load.seen) or None, 15, "a copy of every request")
    assert counted() - before == len(load.seen)
    assert callers.versions(load.seen) == {"1": len(load.seen)}
    all_served(load)


def test_callers_do_not_wait_for_a_shadow_that_hangs_or_is_gone(bed, authority, key):
    with Load(bed, authority, key) as load:
        load.next(500)
        shadow = server(bed, "b")
        with bed.frozen(shadow, TENANT):
            hangs = load.next(500)
        bed.kubectl("delete", "pod", shadow, "-n", TENANT, "--grace-period=0", "--force")
        gone = load.next(500)

    # Callers of a shadow that is waited for would be here for as long as it hangs.
    assert callers.slowest(hangs) < PATIENCE
    assert callers.slowest(gone) < PATIENCE
    all_served(load)


@pytest.mark.timeout(1200)
def test_a_new_version_takes_over_if_it_does_well_and_goes_back_if_it_fails(bed, authority, key):
    rule = Rule(slower=5)  # of two equal ones, on a busy machine
    change(bed, served.shared("canary", {1: 50, 2: 50}))
    until_routed(bed, a=50, b=50)
    with Load(bed, authority, key) as load:
        assert bed.platform.promote(MODEL, rule, seconds=15)
        until_routed(bed, b=100)
    all_served(load)

    change(bed, served.shared("canary", {1: 50, 4: 50}))
    until_routed(bed, a=50, b=50)
    with Load(bed, authority, key) as load:
        assert not bed.platform.promote(MODEL, rule, seconds=15)
        until_routed(bed, a=100)
        assert callers.versions(load.next(200)) == {"1": 200}
    # 500, and now and then 503: a server that failed may end the connection.
    assert {call.what[:9] for call in load.failed} == {"failed: 5"}


def servers_follow_the_load(bed: Testbed, authority: Path, key: dict[str, str]) -> None:
    """From a single server to more, and back, without a request that fails."""

    def servers() -> int:
        found = bed.get("deployments", "-n", TENANT, "-l", LABEL)
        return sum(deployment["status"].get("readyReplicas", 0) for deployment in found)

    until(lambda: True if servers() == 1 else None, 120, "a single server")
    with Load(bed, authority, key) as load:
        until(lambda: True if servers() > 1 else None, 180, "more servers")
    until(lambda: True if servers() == 1 else None, 240, "a single server again")

    all_served(load)


@pytest.mark.timeout(1200)
def test_servers_come_with_the_load_and_go_with_it(bed, authority, key):
    scaled = {"maxReplicas": 3, "cpuPercent": 50, "calmSeconds": 15}
    change(bed, served.rolling(1), autoscaling=scaled)

    def changes() -> list[int]:
        found = bed.get("deployments", "-n", TENANT, "-l", LABEL)
        return [deployment["metadata"]["generation"] for deployment in found]

    servers_follow_the_load(bed, authority, key)

    before = changes()
    bed.pulumi("preview", "--expect-no-changes", timeout=300)
    assert changes() == before, "the operator writes what is there already"


@pytest.mark.timeout(1200)
def test_servers_come_with_the_requests_and_go_with_them(bed, authority, key):
    """Their number alone decides: nobody looks at processors."""
    scaled = {"maxReplicas": 2, "requestsPerSecond": 10, "calmSeconds": 15}
    change(bed, served.rolling(1), autoscaling=scaled)

    def asked(place: str) -> dict[str, Any]:
        which = f"labelSelector=model%3D{MODEL}%2Cplace%3D{place}"
        return json.loads(bed.kubectl("get", "--raw", f"{METER}/{METRIC}?{which}"))

    assert asked("b")["items"][0]["value"] == "0m", "there is no such version"
    servers_follow_the_load(bed, authority, key)

    (scaler,) = bed.get("horizontalpodautoscalers", "-n", TENANT)
    (metric,) = scaler["status"]["currentMetrics"]
    assert metric["external"]["metric"]["name"] == METRIC
    bed.pulumi("preview", "--expect-no-changes", timeout=300)


@pytest.mark.timeout(1200)
def test_an_alias_that_moved_is_a_change_of_the_next_preview(bed, browser, key):
    def point_at(version: int) -> None:
        body = {"name": MODEL, "alias": "champion", "version": str(version)}
        path = f"{bed.url}/api/2.0/mlflow/registered-models/alias"
        answer = requests.post(path, json=body, headers=bed.credentials(TENANT), timeout=20)
        assert answer.status_code == 200, answer.text

    point_at(1)
    change(bed, {"versions": [{"uri": f"models:/{MODEL}@champion"}]})
    assert said(ask(browser, key)) == served.answers[0]
    bed.pulumi("preview", "--expect-no-changes", timeout=300)

    point_at(2)
    assert "model-iris-serving update" in bed.pulumi("preview", timeout=300)
    bed.apply()
    second = lambda: True if said(ask(browser, key)) == served.answers[1] else None  # noqa: E731
    until(second, 30, "answers of the second version")


@pytest.mark.timeout(1200)  # with the end of the door and all behind it
def test_broken_versions_fail_the_change_and_nobody_notices_and_the_next_good_one_heals(
    bed, authority, key
):
    change(bed, served.rolling(1))
    with Load(bed, authority, key) as load:
        broken = served.shared("a-b", {3: 50, 99: 50})
        served.declare(bed.platform.config, broken, startSeconds=45)
        with pytest.raises(RigError):
            bed.up()
        told = "\n".join(reasons.of_models(bed.cluster))
        assert callers.versions(load.next(200)) == {"1": 200}

        change(bed, served.rolling(2))
        until_answered = lambda: callers.versions(load.next(50)) == {"2": 50} or None  # noqa: E731
        until(until_answered, 60, "answers of the second version alone")

    all_served(load)
    assert f"{TENANT}/{MODEL}-a-0-3-" in told
    assert "No module named 'nowhere'" in told
    assert f"{TENANT}/{MODEL}-b-0-99-" in told
    assert "models:/iris/99" in told
