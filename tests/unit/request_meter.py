"""The meter of requests in a world that is played: gateway, API server and certificates."""

import datetime
import functools
import http.client
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.door.meter import METRIC, PROGRAM
from components.door.programs import meter as program
from rig.node import machine

PATH = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/vision/{METRIC}"
PODS = ("127.0.0.1", "127.0.0.2")
SELECTOR = "istio=ingressgateway"
TOKEN = "of-the-pods-account"


# -- what Envoy says ------------------------------------------------------------------------------


def server(place: str, model: str = "iris", tenant: str = "vision", port: int = 9000) -> str:
    return f"outbound|{port}|{place}|{model}-{place}.{tenant}.svc.cluster.local;"


def page(counts: Mapping[str, Mapping[str, int] | int]) -> str:
    """As Envoy prints it; a number alone is of requests that went well."""
    lines = ["# TYPE envoy_cluster_upstream_rq counter"]
    for cluster, count in counts.items():
        classes = count if isinstance(count, Mapping) else {"2xx": count}
        lines += [
            f'envoy_cluster_upstream_rq{{response_code_class="{of}",cluster_name="{cluster}"}} {n}'
            for of, n in classes.items()
        ]
    return "\n".join(lines) + "\n"


def pod(name: str, ready: bool = True) -> program.Pod:
    return program.Pod(uid=name, name=name, address="", ready=ready)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def meter(clock: Clock, pods: list[program.Pod], read: Any) -> program.Meter:
    return program.Meter(lambda: list(pods), read, clock)


# -- certificates ---------------------------------------------------------------------------------


class Authority:
    """Signs."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        extension = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._signed(self.name, self.key, extension)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _signed(self, subject: x509.Name, key: Any, *extensions: Any) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def sign(self, folder: Path, name: str, usage: x509.ObjectIdentifier) -> Path:
        """A folder with ``tls.crt`` and ``tls.key``, as a Secret is mounted."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(PODS[0]))])
        certificate = self._signed(subject, key, names, x509.ExtendedKeyUsage([usage]))
        folder.mkdir(parents=True, exist_ok=True)
        encoding, none = serialization.Encoding.PEM, serialization.NoEncryption()
        (folder / "tls.crt").write_bytes(certificate.public_bytes(encoding))
        form = serialization.PrivateFormat.PKCS8
        (folder / "tls.key").write_bytes(key.private_bytes(encoding, form, none))
        return folder


# -- the world ------------------------------------------------------------------------------------


class Page(BaseHTTPRequestHandler):
    """Answers with what a function says to a path."""

    def __init__(self, *given: Any, say: Any) -> None:
        self._say = say
        super().__init__(*given)

    def do_GET(self) -> None:
        status, body = self._say(self)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(address: tuple[str, int], say: Any, chain: Path | None = None) -> Iterator[int]:
    made = ThreadingHTTPServer(address, functools.partial(Page, say=say))
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain / "tls.crt", chain / "tls.key")
        made.socket = context.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made.server_address[1]
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def free_port() -> int:
    with socket.socket() as found:
        found.bind((PODS[0], 0))
        return found.getsockname()[1]


class World:
    """All that the program meets."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names
        self.own, self.proxies = Authority("meter"), Authority("front proxies")
        (folder / "token").write_text(TOKEN)
        (folder / "ca.crt").write_text(self.own.pem)
        self.renew()
        self.statistics, self.clock = free_port(), Clock()
        self.front_proxy = self.client("front-proxy")

    # -- what it is given

    def renew(self) -> None:
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        self.shows = self.own.sign(self.folder / "certificate", "request-meter", usage)

    def client(self, name: str) -> Path:
        folder = self.folder / f"client-{name}"
        return self.proxies.sign(folder, name, ExtendedKeyUsageOID.CLIENT_AUTH)

    def stranger(self) -> Path:
        folder = self.folder / "stranger"
        return Authority("another").sign(folder, "front-proxy", ExtendedKeyUsageOID.CLIENT_AUTH)

    def other_proxies(self) -> Path:
        """The cluster's authority is replaced; what is shown under it."""
        self.proxies = Authority("new front proxies")
        self.trust._asked -= 2 * program.RELOAD
        folder = self.folder / "new"
        return self.proxies.sign(folder, "front-proxy", ExtendedKeyUsageOID.CLIENT_AUTH)

    def say(self, request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """The API server."""
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, b"who are you?"
        if request.path == program.KNOWN:
            data = {
                "requestheader-client-ca-file": self.proxies.pem,
                "requestheader-allowed-names": json.dumps(self.names),
            }
            return 200, json.dumps({"data": data}).encode()
        if (
            request.path
            == "/api/v1/namespaces/front-door/pods?labelSelector=istio%3Dingressgateway"
        ):
            return 200, json.dumps({"items": [*map(_object, PODS), _object("")]}).encode()
        return 403, b"forbidden"

    # -- what it does

    def start(self, api: program.Api) -> list[ThreadingHTTPServer]:
        words = [
            *("--namespace=front-door", f"--selector={SELECTOR}", f"--metric={METRIC}"),
            *(f"--statistics-port={self.statistics}", f"--certificate={self.shows}"),
            *("--https-port=0", "--http-port=0", f"--address={PODS[0]}"),
        ]
        asked = program.parsed(words)
        self.trust = program.Trust(asked.certificate, functools.partial(program.callers, api))
        listed = functools.partial(program.pods_of, api, asked.namespace, asked.selector)
        read = functools.partial(program.page_of, port=asked.statistics_port)
        found = program.Meter(listed, read, self.clock)
        self.work = program.Work(found, self.trust)
        servers = program.serve(self.work, found, self.trust, asked)
        self.https, self.http = (server.server_address[1] for server in servers)
        return list(servers)

    def look(self) -> None:
        self.clock.now += 5
        self.work.once()

    def ask(self, path: str, shown: Path | str | None = "", port: int = 0) -> tuple[int, Any]:
        """As an API server, unless another certificate is given, or none."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if chain := self.front_proxy if shown == "" else shown:
            context.load_cert_chain(Path(chain) / "tls.crt", Path(chain) / "tls.key")
        link = http.client.HTTPSConnection(PODS[0], port or self.https, timeout=5, context=context)
        return _asked(link, path)

    def shown(self) -> str:
        return ssl.get_server_certificate((PODS[0], self.https))

    def probe(self, path: str) -> int:
        return _asked(http.client.HTTPConnection(PODS[0], self.http, timeout=5), path)[0]

    @contextmanager
    def process(self) -> Iterator["Running"]:
        """The program by itself, only faster."""
        https, plain = free_port(), free_port()
        words = [
            *("--namespace=front-door", f"--selector={SELECTOR}", f"--metric={METRIC}"),
            *(f"--statistics-port={self.statistics}", f"--certificate={self.shows}"),
            *(f"--https-port={https}", f"--http-port={plain}", f"--address={PODS[0]}"),
            *(f"--token-file={self.folder / 'token'}", f"--ca-file={self.folder / 'ca.crt'}"),
        ]
        faster = "import meter; meter.EVERY, meter.DRAIN = 0.2, 0.2; meter.main()"
        env = {**os.environ, "PYTHONPATH": str(PROGRAM.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        env |= {"KUBERNETES_SERVICE_HOST": PODS[0], "KUBERNETES_SERVICE_PORT": str(self.api)}
        told = subprocess.Popen([sys.executable, "-c", faster, *words], env=env)
        try:
            yield Running(self, told, https, plain)
        finally:
            told.kill()
            told.wait()

    api: int = 0


@dataclass
class Running:
    """A process of the program."""

    world: World
    told: subprocess.Popen[bytes]
    https: int
    http: int

    def ready(self, seconds: float) -> bool:
        def answered() -> bool | None:
            try:
                link = http.client.HTTPConnection(PODS[0], self.http, timeout=5)
                return _asked(link, "/readyz")[0] == 200 or None
            except OSError:
                assert self.told.poll() is None
            return None

        return machine.wait_for(answered, seconds, "a meter that is ready")

    def ask(self, path: str) -> tuple[int, Any]:
        return self.world.ask(path, port=self.https)


def _asked(link: http.client.HTTPConnection, path: str) -> tuple[int, Any]:
    try:
        link.request("GET", path)
        answer = link.getresponse()
        return answer.status, json.loads(answer.read())
    except http.client.HTTPException as error:
        raise OSError(f"closed: {error!r}") from error
    finally:
        link.close()


def _object(address: str) -> dict[str, Any]:
    """A pod of the gateway; one without an address does not run yet."""
    name = f"gateway-{address[-1:] or 'new'}"
    ready = [{"type": "Ready", "status": "True"}]
    status = {"phase": "Running", "podIP": address, "conditions": ready}
    return {
        "metadata": {"uid": name, "name": name},
        "status": status if address else {"phase": "Pending"},
    }


@contextmanager
def asking(folder: Path, names: list[str] | None = None) -> Iterator[World]:
    """The program, which looks when it is told to and answers at any time."""
    world = World(folder, ["front-proxy"] if names is None else names)
    with serving((PODS[0], 0), world.say, world.shows) as port:
        world.api = port
        token, ca = str(folder / "token"), str(folder / "ca.crt")
        servers = world.start(program.Api(PODS[0], port, token, ca))
        try:
            yield world
        finally:
            for made in servers:
                made.shutdown()
                made.server_close()


@contextmanager
def gateway(world: World) -> Iterator[dict[str, str]]:
    """Two pods; what they say, by their addresses."""
    pages: dict[str, str] = {}

    def say(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        assert request.path.startswith("/stats/prometheus")
        return 200, pages[request.server.server_address[0]].encode()

    first, second = ((address, world.statistics) for address in PODS)
    with serving(first, say), serving(second, say):
        yield pages
