"""A certificate of an ACME server, proved over plain HTTP: the first one, and one after it."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest
import requests
import served
import yaml
from behind import DOOR, HUB, MODELS, SECRET, TRACKING, url
from cryptography import x509
from pebble import Pebble
from served import ask, said
from testbed import DOMAIN, HTTP_DOOR, HTTPS_DOOR, TENANT, Testbed, until, with_door

HOSTS = (HUB, TRACKING, MODELS)
ISSUED = 180
"""Seconds: cert-manager itself looks five times for each name, before it lets the server look."""
CHALLENGE = "/.well-known/acme-challenge/anything"
EVERY = 0.1
"""Seconds between two handshakes."""
COREDNS = ("-n", "kube-system", "deployment/coredns")


@pytest.fixture(scope="module")
def authority(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """A company's own ACME server, whose certificate no machine knows."""
    pebble = Pebble(
        address=bed.layout.gateway,
        leads_to=bed.layout.address,
        http_port=HTTP_DOOR,
        folder=tmp_path_factory.mktemp("pebble"),
    )
    try:
        pebble.start()
        yield pebble
    finally:
        pebble.stop()


@pytest.fixture(scope="module")
def door(bed: Testbed, authority: Pebble) -> Iterator[Testbed]:
    """A front door that never had a certificate, and names that lead to it once it is there."""
    served.train(bed)
    with bed.changed() as file:
        document = yaml.safe_load(with_door(file.read_text()))
        document["config"]["spillway:frontDoor"] |= {
            "certificates": "acme",
            "email": "operators@example.com",
            "server": authority.directory,
            "authority": authority.authority,
        }
        file.write_text(yaml.safe_dump(document, sort_keys=False))
        served.declare(file, served.rolling(1))
        bed.up()
        with known_in_the_cluster(bed):
            yield bed


@contextmanager
def known_in_the_cluster(bed: Testbed) -> Iterator[None]:
    """Pods find the door by its names, as where a company's DNS knows them."""
    words = ("get", "configmap", "coredns", "-n", "kube-system", "-o", "json")
    before = json.loads(bed.kubectl(*words))["data"]["Corefile"]
    address = bed.service("istio-ingressgateway", DOOR)
    names = f"{DOMAIN}:1053 {{\n    hosts {{\n        {address} {' '.join(HOSTS)}\n    }}\n}}\n"
    tell(bed, before + names)
    try:
        yield
    finally:
        tell(bed, before)


def tell(bed: Testbed, corefile: str) -> None:
    patch = json.dumps({"data": {"Corefile": corefile}})
    bed.kubectl("patch", "configmap", "coredns", "-n", "kube-system", "--patch", patch)
    bed.kubectl("rollout", "restart", *COREDNS)
    bed.kubectl("rollout", "status", *COREDNS, timeout=120)


@pytest.fixture(scope="module")
def first(door: Testbed, authority: Pebble) -> int:
    """The serial number of the first certificate, which all names show and browsers believe."""

    def issued() -> int | None:
        with suppress(ssl.SSLError):
            numbers = {shown(door, host, authority) for host in HOSTS}
            return numbers.pop() if len(numbers) == 1 else None
        return None

    return until(issued, ISSUED, "a certificate for all names")


def shown(bed: Testbed, host: str, authority: Pebble) -> int:
    """The serial number of the certificate for a name; an error if a browser would not like it."""
    context = ssl.create_default_context(cafile=str(authority.root))
    with (
        socket.create_connection((bed.layout.address, HTTPS_DOOR), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=host) as secured,
    ):
        return x509.load_der_x509_certificate(secured.getpeercert(True) or b"").serial_number


@pytest.fixture
def browser(door: Testbed, first: int, authority: Pebble) -> Iterator[requests.Session]:
    with served.session(door, authority.root) as session:
        yield session


# The wait for an `up`, and for the first of all where this is the first file.
@pytest.mark.timeout(1200)
def test_every_name_is_proved_and_shows_the_servers_certificate(door, first, authority, browser):
    assert authority.proved() == len(HOSTS)
    issuer = door.get("certificates", "-n", DOOR)[0]["spec"]["issuerRef"]["name"]
    assert issuer == "front-door-acme"

    assert browser.get(url(HUB, "/hub/login")).status_code == 200
    answer = ask(browser, served.key(door, TENANT, MODELS))
    assert said(answer) == served.answers[0]
    assert ask(browser, {}).status_code == 403


def test_what_answered_the_server_is_gone(door, first):
    def gone(kind: str) -> bool | None:
        left = [one["metadata"]["name"] for one in door.get(kind, "-n", DOOR)]
        return not [name for name in left if name.startswith(("cm-acme", SECRET))] or None

    for kind in ("challenges", "pods", "services", "ingresses"):
        # A pod takes its time to end.
        until(lambda kind=kind: gone(kind), 60, f"the end of {kind}")


def test_in_plain_http_there_is_nothing_but_the_way_to_https_and_answers_to_the_server(browser):
    def answer(host: str, path: str, method: str = "GET") -> requests.Response:
        there = f"http://{host}:{HTTP_DOOR}{path}"
        return browser.request(method, there, allow_redirects=False, timeout=20)

    for host in (HUB, TRACKING):
        led = answer(host, "/hub/login?next=%2Fhub")
        assert led.status_code == 301
        assert led.headers["location"] == f"{url(host, '/hub/login?next=%2Fhub')}"
        assert answer(host, CHALLENGE, "POST").status_code == 301
        # Nobody answers while the server asks nothing.
        assert answer(host, CHALLENGE).status_code == 503
    assert answer(MODELS, CHALLENGE).status_code == 503
    for path in (served.PATH, f"{CHALLENGE}/../../../seldon", "/.well-known/other"):
        assert answer(MODELS, path).status_code == 403


def test_what_cert_manager_writes_is_no_change_for_the_next_up(door, first):
    door.pulumi("preview", "--expect-no-changes", timeout=300)


@pytest.mark.timeout(1200)  # with the end of the door
def test_the_next_certificate_takes_over_and_no_handshake_fails(door, first, authority):
    with handshakes(door, authority) as seen:
        renew(door)
        until(lambda: len(set(seen)) > 1 or None, ISSUED, "another certificate")
        more = len(seen) + 20
        until(lambda: len(seen) > more or None, 30, "handshakes after it")

    assert [one for one in seen if isinstance(one, str)] == []
    assert len(set(seen)) == 2
    assert seen[0] == first != seen[-1]
    assert authority.proved() == 2 * len(HOSTS)


@contextmanager
def handshakes(bed: Testbed, authority: Pebble) -> Iterator[list[int | str]]:
    """One after another for a name: serial numbers, and what went wrong."""
    seen: list[int | str] = []
    ended = threading.Event()

    def knock() -> None:
        while not ended.wait(EVERY):
            try:
                seen.append(shown(bed, HUB, authority))
            except OSError as error:  # of which those of TLS are some
                seen.append(str(error))

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        until(lambda: len(seen) > 5 or None, 30, "handshakes")
        yield seen
    finally:
        ended.set()
        thread.join()


def renew(bed: Testbed) -> None:
    """As cert-manager does it when it is time, and its command line when somebody wants it."""
    condition = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "a test wants another",
        "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    patch = json.dumps([{"op": "add", "path": "/status/conditions/-", "value": condition}])
    words = ("certificate", SECRET, "-n", DOOR, "--subresource=status", "--type=json")
    bed.kubectl("patch", *words, "-p", patch)
