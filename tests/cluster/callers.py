"""Callers of a model who never stop, and what the gateway does with their requests."""

import json
import socket
import ssl
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import OK, HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from behind import DOOR, MODELS
from served import BODY, MODEL, PATH, answers
from testbed import HTTPS_DOOR, TENANT, Testbed, until

ASKED = json.dumps(BODY).encode()
EACH_SECOND = 60
CALLERS = 16
"""At once, so that a slow answer on a busy machine is no rest for the model."""


@dataclass(frozen=True)
class Call:
    """One request."""

    begun: float
    """By the monotonic clock."""
    seconds: float
    what: str
    """The number of the version that answered, or what went wrong."""


class Link:
    """A caller's connection to the door: as cheap as can be, for the model shares the cores."""

    def __init__(self, bed: Testbed, authority: Path, headers: dict[str, str]) -> None:
        self._address = (bed.layout.address, HTTPS_DOOR)
        self._context = ssl.create_default_context(cafile=str(authority))
        self._headers = {"Content-Type": "application/json", **headers}
        self._open: HTTPConnection | None = None

    def ask(self) -> str:
        """What became of one request."""
        try:
            link = self._open = self._open or self._opened()
            link.request("POST", f"{PATH}/infer", ASKED, self._headers)
            answer = link.getresponse()
            text = answer.read()
            if answer.will_close:  # a gateway that goes says so, and loses nothing
                self.close()
        except (OSError, HTTPException) as error:
            self.close()
            return f"failed: {type(error).__name__}: {error}"
        if answer.status != OK:
            return f"failed: {answer.status} {text[:200]!r}"
        return str(answers.index(json.loads(text)["outputs"][0]["data"]) + 1)

    def close(self) -> None:
        if self._open:
            self._open.close()
        self._open = None

    def _opened(self) -> HTTPConnection:
        link = HTTPConnection(MODELS, timeout=20)
        plain = socket.create_connection(self._address, timeout=20)
        link.sock = self._context.wrap_socket(plain, server_hostname=MODELS)
        return link


class Load:
    """Callers who never stop: so many requests a second, and what became of each."""

    def __init__(self, bed: Testbed, authority: Path, headers: dict[str, str]) -> None:
        self._ended = threading.Event()
        self.seen: list[Call] = []
        links = [Link(bed, authority, headers) for _ in range(CALLERS)]
        self._threads = [
            threading.Thread(target=self._call, args=(link,), daemon=True) for link in links
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _call(self, link: Link) -> None:
        each = CALLERS / EACH_SECOND
        due = time.monotonic()
        while not self._ended.is_set():
            begun = time.monotonic()
            what = link.ask()
            self.seen.append(Call(begun, time.monotonic() - begun, what))
            # Who was late does not catch up for longer than a second.
            due = max(due + each, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))
        link.close()

    @property
    def failed(self) -> Sequence[Call]:
        return [call for call in self.seen if call.what.startswith("failed")]

    def next(self, requests_: int, seconds: float = 240) -> list[Call]:
        """So many calls that begin from now on."""
        now = time.monotonic()

        def enough() -> list[Call] | None:
            found = [call for call in self.seen if call.begun > now]
            return found[:requests_] if len(found) >= requests_ else None

        return until(enough, seconds, f"{requests_} requests")

    def rate(self) -> float:
        """Requests a second."""
        return len(self.seen) / (self.seen[-1].begun - self.seen[0].begun)


def versions(calls: Sequence[Call]) -> Counter[str]:
    """How many each version answered, by its number."""
    return Counter(call.what for call in calls)


def slowest(calls: Sequence[Call]) -> float:
    """Seconds in which 95 of 100 were answered."""
    return statistics.quantiles([call.seconds for call in calls], n=20)[-1]


# -- the gateway ----------------------------------------------------------------------------------


def routed(bed: Testbed) -> dict[str, int]:
    """Where the gateway sends calls of the model now, in percent, by place; a copy as ``+b``."""
    (pod, *_) = bed.get("pods", "-n", DOOR, "-l", "istio=ingressgateway")
    words = ("pilot-agent", "request", "GET", "config_dump?resource=dynamic_route_configs")
    text = bed.execute(pod["metadata"]["name"], *words, namespace=DOOR)
    prefix = f"/seldon/{TENANT}/{MODEL}/"
    for config in json.loads(text)["configs"]:
        for host in config["route_config"].get("virtual_hosts", ()):
            for route in host.get("routes", ()):
                if route["match"].get("prefix") == prefix and "route" in route:
                    return _shares(route["route"])
    return {}


def _shares(action: dict[str, Any]) -> dict[str, int]:
    weighted = action.get("weighted_clusters", {}).get("clusters", ())
    found = {_place(cluster["name"]): cluster.get("weight", 0) for cluster in weighted}
    if "cluster" in action:
        found[_place(action["cluster"])] = 100
    for copied in action.get("request_mirror_policies", ()):
        part = copied.get("runtime_fraction", {}).get("default_value", {})
        found[f"+{_place(copied['cluster'])}"] = round(100 * _fraction(part))
    return {place: share for place, share in found.items() if share}


def _fraction(part: dict[str, Any]) -> float:
    whole = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
    return part.get("numerator", 0) / whole[part.get("denominator", "HUNDRED")]


def _place(cluster: str) -> str:
    """``outbound|9000|a|iris-a.vision.svc.cluster.local``."""
    return cluster.split("|")[2]
