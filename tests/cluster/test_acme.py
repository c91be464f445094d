"""A certificate of an ACME server, proved over plain HTTP: the first one, and one after it."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import served
import yaml
from behind import DOOR, HUB, MODELS, SECRET, TRACKING, url
from cryptography import x509
from pebble import Pebble
from served import ask, said
from testbed import HTTP_DOOR, HTTPS_DOOR, TENANT, Testbed, until, with_door

HOSTS = (HUB, TRACKING, MODELS)
ISSUED = 240
"""Seconds; of them ten for each look that cert-manager takes before it lets the server look."""
CHALLENGE = "/.well-known/acme-challenge/anything"
COREFILE = "template ANY ANY {"


@pytest.fixture(scope="module")
def authority(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """A company's own ACME server, whose certificate nobody knows."""
    pebble = Pebble(
        address=bed.layout.gateway,
        leads_to=bed.layout.address,
        http_port=HTTP_DOOR,
        folder=tmp_path_factory.mktemp("pebble"),
    )
    pebble.start()
    try:
        yield pebble
    finally:
        pebble.stop()


@pytest.fixture(scope="module")
def bed(bed: Testbed) -> Iterator[Testbed]:
    """The platform, with a model that will have a name."""
    served.train(bed)
    yield bed


@pytest.fixture(scope="module")
def door(bed: Testbed, authority: Pebble) -> Iterator[Testbed]:
    """A front door that had no certificate before, and names that lead to it afterwards."""
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
        with names_of_the_cluster(bed):
            yield bed


@contextmanager
def names_of_the_cluster(bed: Testbed) -> Iterator[None]:
    """Pods find the door by its names, as where a company's DNS knows them."""
    words = ("configmap", "coredns", "-n", "kube-system", "-o", "json")
    before = json.loads(bed.kubectl("get", *words))["data"]["Corefile"]
    address = bed.service("istio-ingressgateway", DOOR)
    hosts = f"hosts {{\n {address} {' '.join(HOSTS)}\n fallthrough\n }}\n"
    assert before.count(COREFILE) == 1
    # Before the answer that there is no such name.
    changed = before.replace(COREFILE, f"template ANY ANY {' '.join(HOSTS)} {{")
    tell(bed, before.replace("errors\n    template", f"errors\n {hosts}    template"))
    try:
        yield
    finally:
        tell(bed, before)


def tell(bed: Testbed, corefile: str) -> None:
    patch = json.dumps({"data": {"Corefile": corefile}})
    bed.kubectl("patch", "configmap", "coredns", "-n", "kube-system", "--patch", patch)
    bed.kubectl("rollout", "restart", "deployment/coredns", "-n", "kube-system")
    bed.kubectl("rollout", "status", "deployment/coredns", "-n", "kube-system", timeout=120)


def shown(bed: Testbed, host: str, root: Path) -> x509.Certificate:
    """What the door shows for a name, which must be believed."""
    context = ssl.create_default_context(cafile=str(root))
    with (
        socket.create_connection((bed.layout.address, HTTPS_DOOR), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=host) as secured,
    ):
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
