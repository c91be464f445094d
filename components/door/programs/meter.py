# pyright: basic
"""Tells autoscalers how many requests a second each version of a model gets.

Reads what each pod of the gateway has counted, every few seconds, and serves one metric of the
API external.metrics.k8s.io. Runs in a pod, with nothing but Python's own library. What it does not
know it does not guess: to an error an autoscaler does nothing, to a wrong 0 it takes servers away.
"""

import argparse
import datetime
import functools
import http.client
import itertools
import json
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
GROUP_VERSION = "external.metrics.k8s.io/v1beta1"
ROOT = f"/apis/{GROUP_VERSION}"
KNOWN = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
EVERY = 5.0
"""Seconds between two looks at the gateway."""
WINDOW = 30.0
"""Seconds that a rate is over."""
LATE = 12.0
"""Seconds after which what was read last is no answer any more."""
RELOAD = 60.0
"""Seconds between two looks at who may call."""
STUCK = 120.0
TIMEOUT = 4
READERS = 16
"""Pods that are read at a time: one that hangs holds nobody up."""
DRAIN = 5
"""Seconds that callers have to hear of it when this ends."""
OK, BAD_REQUEST, FORBIDDEN, NOT_FOUND, UNAVAILABLE = 200, 400, 403, 404, 503
COUNTER = re.compile(r"^envoy_cluster_upstream_rq\{([^}]*)\} ([0-9.e+]+)", re.MULTILINE)
CLASS = 'response_code_class="'
SERVER = re.compile(
    r'cluster_name="outbound\|\d+\|(?P<place>[a-z])\|(?P<service>[^.|]+)\.(?P<tenant>[^.|]+)\.svc\b'
)


class Unknown(Exception):
    """There is no number that could be told."""


@dataclass(frozen=True)
class Version:
    """The place of a version among those of a model."""

    tenant: str
    model: str
    place: str


@dataclass(frozen=True)
class Pod:
    """One of the gateway."""

    uid: str
    name: str
    address: str
    ready: bool
    """Requests come in by it."""


@dataclass(frozen=True)
class Sample:
    """What a pod had counted, and when."""

    at: float
    counts: Counter


def counted(text: str) -> Counter:
    """Requests of each version, over all ports and classes of status, on Envoy's page."""
    found = Counter()
    for labels, count in COUNTER.findall(text):
        server = SERVER.search(labels)
        if server is None or CLASS not in labels:
            continue  # no model, or single statuses, which count the same again
        model = server["service"].removesuffix(f"-{server['place']}")
        found[Version(server["tenant"], model, server["place"])] += round(float(count))
    return found


def rate(samples: list, version: Version) -> float:
    """Requests a second; a counter that began anew counts from 0."""
    grown = 0
    for before, after in itertools.pairwise(samples):
        was, now = before.counts[version], after.counts[version]
        grown += now - was if now >= was else now
    return grown / (samples[-1].at - samples[0].at)


class Meter:
    """What the gateway's pods have counted in the last half minute."""

    def __init__(
        self,
        pods: Callable[[], list],
        page: Callable[[Pod], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pods, self._page, self._clock = pods, page, clock
        self._lock = threading.Lock()
        self._known: list = []
        self._listed = float("-inf")
        self._samples: dict = {}

    def look(self) -> None:
        """Once at all of them; those that cannot be read are named and left out."""
        pods = self._pods()
        with self._lock:
            self._known, self._listed = pods, self._clock()
            alive = {pod.uid for pod in pods}
            self._samples = {u: kept for u, kept in self._samples.items() if u in alive}
        with ThreadPoolExecutor(max_workers=READERS) as readers:
            list(readers.map(self._read, pods))

    def _read(self, pod: Pod) -> None:
        try:
            sample = Sample(self._clock(), counted(self._page(pod)))
        except (OSError, http.client.HTTPException, ValueError) as error:
            print(f"{pod.name} at {pod.address} could not be read: {error!r}")
            return
        with self._lock:
            kept = self._samples.setdefault(pod.uid, deque())
            kept.append(sample)
            while sample.at - kept[0].at > WINDOW:
                kept.popleft()

    def rate(self, version: Version) -> float:
        """Requests a second that a version gets from all pods; ``Unknown`` if one is silent."""
        return sum(rate(samples, version) for samples in self._read_lately())

    def whole(self) -> bool:
        """Whether every pod of the gateway is known well enough."""
        try:
            self._read_lately()
        except Unknown:
            return False
        return True

    def _read_lately(self) -> list:
        now = self._clock()
        with self._lock:
            if now - self._listed > LATE:
                raise Unknown("the API server has not told lately which pods the gateway has")
            if not any(pod.ready for pod in self._known):
                raise Unknown("no pod of the gateway is ready")
            return [
                list(self._samples[pod.uid])
                for pod in self._known
                if self._has_two(pod, now) or _must(pod)
            ]

    def _has_two(self, pod: Pod, now: float) -> bool:
        kept = self._samples.get(pod.uid, ())
        return len(kept) > 1 and now - kept[-1].at <= LATE


def _must(pod: Pod) -> bool:
    """What comes in by a pod that is not ready is little, and soon nothing: it may be missing."""
    if pod.ready:
        raise Unknown(f"{pod.name} of the gateway was not read twice lately")
    return False


# -- what it asks ---------------------------------------------------------------------------------


class Api:
    """The API server, as the pod's own account."""

    def __init__(self, host: str, port: int, token_file: str, ca_file: str) -> None:
        self._address, self._token, self._ca = (host, port), Path(token_file), ca_file

    def get(self, path: str) -> dict:
        """An object; ``OSError`` for any refusal."""
        # Read anew each time: the kubelet renews both.
        tls = lenient(ssl.create_default_context(cafile=self._ca))
        link = http.client.HTTPSConnection(*self._address, timeout=TIMEOUT, context=tls)
        token = self._token.read_text(encoding="utf-8").strip()
        return json.loads(_body(link, path, {"Authorization": f"Bearer {token}"}))


def lenient(context: ssl.SSLContext) -> ssl.SSLContext:
    """Without what Python 3.13 asks for besides: authorities of clusters may lack extensions."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _body(link: http.client.HTTPConnection, path: str, headers: dict) -> str:
    try:
        link.request("GET", path, headers=headers)
        answer = link.getresponse()
        text = answer.read().decode()
    finally:
        link.close()
    if answer.status != OK:
        raise OSError(f"{path}: {answer.status} {text[:300]}")
    return text


def pods_of(api: Api, namespace: str, selector: str) -> list:
    """The gateway's pods that run."""
    query = urllib.parse.urlencode({"labelSelector": selector})
    found = api.get(f"/api/v1/namespaces/{namespace}/pods?{query}")["items"]
    return [_pod(pod) for pod in found if _runs(pod["status"])]


def _runs(status: dict) -> bool:
    return status.get("phase") == "Running" and bool(status.get("podIP"))


def _pod(pod: dict) -> Pod:
    meta, status = pod["metadata"], pod["status"]
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or []}
    stays = "deletionTimestamp" not in meta
    return Pod(
        uid=meta["uid"],
        name=meta["name"],
        address=status["podIP"],
        ready=stays and conditions.get("Ready") == "True",
    )


def page_of(pod: Pod, port: int) -> str:
    """What Envoy has counted; of what was never used there is no line, which is a 0."""
    link = http.client.HTTPConnection(pod.address, port, timeout=TIMEOUT)
    return _body(link, "/stats/prometheus?usedonly", {})


# -- who may ask it -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Callers:
    """By which certificate API servers are known that hand on other people's requests."""

    authority: str
    names: tuple
    """Empty if the authority signs nothing else."""


def callers(api: Api) -> Callers:
    """As the cluster says."""
    data = api.get(KNOWN)["data"]
    names = json.loads(data.get("requestheader-allowed-names") or "[]")
    return Callers(data["requestheader-client-ca-file"], tuple(names))


class Trust:
    """The certificate that is shown, and those that are believed; both may change at any time."""

    def __init__(self, folder: Path, known: Callable[[], Callers]) -> None:
        self._chain, self._key = folder / "tls.crt", folder / "tls.key"
        self._known = known
        self._told: Callers | None = None
        self._asked = float("-inf")
        self._made_of: object = None
        self._names: tuple = ()
        self.context: ssl.SSLContext | None = None
        """None until all is known."""

    def ask(self) -> None:
        """Every minute, who may call; what was told before counts until it is told anew."""
        if time.monotonic() - self._asked > RELOAD:
            self._told = self._known()
            self._asked = time.monotonic()

    def load(self) -> None:
        """Take in what has changed; the files are replaced before the certificate in them ends."""
        made_of = (self._chain.read_bytes(), self._key.read_bytes(), self._told)
        if self._told is None or made_of == self._made_of:
            return
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self._told.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._chain, self._key)
        self.context, self._names = lenient(context), self._told.names
        self._made_of = made_of

    def allows(self, certificate: dict | None) -> bool:
        """Whether a certificate, which the authority has signed, is an API server's."""
        if not certificate:
            return False
        subject = [pair for name in certificate.get("subject", ()) for pair in name]
        names = {value for key, value in subject if key == "commonName"}
        return not self._names or bool(names & set(self._names))


# -- what it answers ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What is sent back, as JSON."""

    status: int
    body: dict


def refused(status: int, reason: str, message: str) -> Answer:
    """As Kubernetes refuses."""
    return Answer(
        status,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": status,
        },
    )


def selected(selector: str) -> dict:
    """Labels that a selector names; ``ValueError`` for anything but ``name=value``."""
    found = {}
    for part in filter(None, selector.split(",")):
        name, equals, value = part.replace("==", "=", 1).partition("=")
        if not equals or not value or name in found:
            raise ValueError(f"{part!r} is no name=value")
        found[name.strip()] = value.strip()
    return found


def answer(meter: Meter, metric: str, target: str) -> Answer:
    """To a request for this path."""
    asked = urllib.parse.urlsplit(target)
    if asked.path.rstrip("/") == ROOT:
        return Answer(OK, _resources(metric))
    place = re.fullmatch(rf"{re.escape(ROOT)}/namespaces/([^/]+)/([^/]+)/?", asked.path)
    if place is None or place[2] != metric:
        message = f"{asked.path} is not here; the only metric is {metric}"
        return refused(NOT_FOUND, "NotFound", message)
    selector = urllib.parse.parse_qs(asked.query).get("labelSelector", [""])[0]
    try:
        labels = selected(selector)
        if labels.keys() != {"model", "place"}:
            raise ValueError("which model and place, and nothing else, must be said")
        version = Version(place[1], labels["model"], labels["place"])
        return Answer(OK, _values(metric, labels, meter.rate(version)))
    except ValueError as error:
        return refused(BAD_REQUEST, "BadRequest", f"labelSelector {selector!r}: {error}")
    except Unknown as error:
        return refused(UNAVAILABLE, "ServiceUnavailable", str(error))


def _resources(metric: str) -> dict:
    resource = {
        "name": metric,
        "singularName": "",
        "namespaced": True,
        "kind": "ExternalMetricValueList",
        "verbs": ["get"],
    }
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": [resource],
    }


def _values(metric: str, labels: dict, number: float) -> dict:
    item = {
        "metricName": metric,
        "metricLabels": labels,
        "timestamp": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "value": f"{round(1000 * number)}m",
    }
    return {
        "kind": "ExternalMetricValueList",
        "apiVersion": GROUP_VERSION,
        "metadata": {},
        "items": [item],
    }


class Handler(BaseHTTPRequestHandler):
    """Answers in JSON, and keeps connections open for the next request."""

    protocol_version = "HTTP/1.1"
    timeout = 120

    def send(self, found: Answer) -> None:
        """The whole answer."""
        body = json.dumps(found.body).encode()
        self.send_response(found.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: autoscalers ask every few seconds."""


class ForApiServers(Handler):
    """The metric, for those whom the cluster knows as its API servers.

    Whose request it was that they hand on does not matter here: the API server has asked whether
    they may read this before it handed it on, and nobody else has such a certificate.
    """

    def __init__(self, *given: object, trust: Trust, found: Callable[[str], Answer]) -> None:
        self._trust, self._found = trust, found
        super().__init__(*given)  # pyright: ignore[reportArgumentType]

    def do_GET(self) -> None:
        """Answer."""
        shown = self.connection.getpeercert()  # pyright: ignore[reportAttributeAccessIssue]
        if self._trust.allows(shown):
            self.send(self._found(self.path))
        else:
            self.send(refused(FORBIDDEN, "Forbidden", "only API servers may ask here"))


class ForProbes(Handler):
    """Whether it works, for the kubelet."""

    def __init__(self, *given: object, healthy: dict) -> None:
        self._healthy = healthy
        super().__init__(*given)  # pyright: ignore[reportArgumentType]

    def do_GET(self) -> None:
        """Answer."""
        judge = self._healthy.get(self.path)
        if judge is None:
            self.send(refused(NOT_FOUND, "NotFound", self.path))
        elif judge():
            self.send(Answer(OK, {"ok": True}))
        else:
            self.send(refused(UNAVAILABLE, "ServiceUnavailable", "not yet"))


class Server(ThreadingHTTPServer):
    """One thread for each connection, and no page of errors about those that break."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Say it in a line."""
        print(f"{client_address}: {sys.exception()!r}")


class SecureServer(Server):
    """Shakes hands in the connection's own thread, by what is trusted at that moment."""

    def __init__(self, address: tuple, handler: Callable, trust: Trust) -> None:
        self._trust = trust
        super().__init__(address, handler)  # pyright: ignore[reportArgumentType]

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A request, once it is known from whom."""
        context = self._trust.context
        if context is None:
            return
        request.settimeout(TIMEOUT)
        with context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)


# -- all together ---------------------------------------------------------------------------------


class Work:
    """Looks again and again, and knows how that goes."""

    def __init__(self, meter: Meter, trust: Trust) -> None:
        self._meter, self._trust = meter, trust
        self._beat = time.monotonic()
        self._ready = False

    def once(self) -> None:
        """Whatever fails is said, and tried again the next time."""
        for step in (self._trust.ask, self._trust.load, self._meter.look):
            try:
                step()
            except Exception as error:
                print(f"{step.__qualname__}: {error!r}")
        self._beat = time.monotonic()

    def forever(self) -> None:
        """Every few seconds."""
        while True:
            began = time.monotonic()
            self.once()
            time.sleep(max(0.0, began + EVERY - time.monotonic()))

    def ready(self) -> bool:
        """Once it was: without a server for its API a cluster cannot tell what kinds there are."""
        self._ready = self._ready or (self._trust.context is not None and self._meter.whole())
        return self._ready

    def alive(self) -> bool:
        """Whether it still looks."""
        return time.monotonic() - self._beat < STUCK


def serve(work: Work, meter: Meter, trust: Trust, asked: argparse.Namespace) -> tuple:
    """Both servers, which answer from now on."""
    found = functools.partial(answer, meter, asked.metric)
    handler = functools.partial(ForApiServers, trust=trust, found=found)
    probes = functools.partial(ForProbes, healthy={"/healthz": work.alive, "/readyz": work.ready})
    secure = SecureServer((asked.address, asked.https_port), handler, trust)
    plain = Server((asked.address, asked.http_port), probes)  # pyright: ignore[reportArgumentType]
    for server in (secure, plain):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return secure, plain


def parsed(words: list | None = None) -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", required=True, help="of the gateway")
    parser.add_argument("--selector", required=True, help="of its pods")
    parser.add_argument("--statistics-port", type=int, required=True, help="of its pods")
    parser.add_argument("--metric", required=True, help="its name")
    parser.add_argument("--certificate", type=Path, required=True, help="folder with tls.crt, .key")
    parser.add_argument("--https-port", type=int, required=True, help="for API servers")
    parser.add_argument("--http-port", type=int, required=True, help="for probes")
    parser.add_argument("--address", default="", help="to listen at; all, if it is empty")
    parser.add_argument("--token-file", default=f"{MOUNT}/token")
    parser.add_argument("--ca-file", default=f"{MOUNT}/ca.crt")
    return parser.parse_args(words)


def main() -> None:
    """Look and answer until the pod is to end."""
    asked = parsed()
    host, port = (os.environ[f"KUBERNETES_SERVICE_{what}"] for what in ("HOST", "PORT"))
    api = Api(host, int(port), asked.token_file, asked.ca_file)
    meter = Meter(
        functools.partial(pods_of, api, asked.namespace, asked.selector),
        functools.partial(page_of, port=asked.statistics_port),
    )
    trust = Trust(asked.certificate, functools.partial(callers, api))
    work, ended = Work(meter, trust), threading.Event()
    # The first process of a container hears no signal that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    threading.Thread(target=work.forever, daemon=True).start()
    serve(work, meter, trust, asked)
    ended.wait()
    time.sleep(DRAIN)


if __name__ == "__main__":
    main()
