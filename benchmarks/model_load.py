"""Callers of one model, in a process of their own: ``python -m benchmarks.model_load``.

Standard input says what to ask, as JSON (`Order`); prints what became of each request. Each caller
has a connection that stays open. With a rate they ask so often together, and a slow answer does not
put off the next request of another caller; without one each asks as soon as it has its answer.
"""

import http.client
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

CALLERS = 8
OK = 200
PATIENCE = 60


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked, how often, and for how long."""

    address: str
    port: int
    path: str
    body: str
    headers: Mapping[str, str]
    seconds: float
    rate: float | None = None
    """Requests a second."""
    name: str | None = None
    """In the certificate; without one it is plain HTTP."""
    authority: str | None = None
    """File with the certificate of who signed it."""


@dataclass
class Count:
    """What became of it."""

    times: list[float] = field(default_factory=list[float])
    """Seconds of each request."""
    failed: list[str] = field(default_factory=list[str])


def connection(order: Order) -> http.client.HTTPConnection:
    """One that is open."""
    link = http.client.HTTPConnection(order.address, order.port, timeout=PATIENCE)
    plain = socket.create_connection((order.address, order.port), timeout=PATIENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if order.name is None:
        link.sock = plain
    else:
        context = ssl.create_default_context(cafile=order.authority)
        link.sock = context.wrap_socket(plain, server_hostname=order.name)
    return link


def _call(order: Order, number: int, count: Count) -> None:
    link = connection(order)
    headers = {"Host": order.name or order.address, "Content-Type": "application/json"}
    headers |= order.headers
    every = CALLERS / order.rate if order.rate else 0.0
    begun = time.monotonic()
    due = begun + every * number / CALLERS
    while (now := time.monotonic()) < begun + order.seconds:
        if every and now < due:
            time.sleep(due - now)
        due += every
        _ask(link, order, headers, count)


def _ask(
    link: http.client.HTTPConnection, order: Order, headers: Mapping[str, str], count: Count
) -> None:
    began = time.monotonic()
    link.request("POST", order.path, order.body, dict(headers))
    answer = link.getresponse()
    text = answer.read()
    # One list per thread is not needed: appending is atomic.
    if answer.status == OK:
        count.times.append(time.monotonic() - began)
    else:
        count.failed.append(f"{answer.status} {text[:200].decode(errors='replace')}")


def main() -> None:
    """Ask for the time given, then tell."""
    order, count = Order(**json.load(sys.stdin)), Count()
    threads = [
        threading.Thread(target=_call, args=(order, number, count)) for number in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(asdict(count), sys.stdout)


if __name__ == "__main__":
    main()
