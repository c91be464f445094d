"""Callers of one model: vegeta, run on the node, which costs little beside what it asks.

Targets are JSON on its standard input, because arguments, where a token would be, can be read by
everybody. With a rate it asks so often whatever becomes of earlier requests; without one eight
callers each ask as soon as they have their answer.
"""

import base64
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.errors import BenchmarkError
from rig.node import machine
from rig.node.layout import Layout

CALLERS = 8
OK = 200
NANO = 1e9


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked, how often, and for how long."""

    url: str
    body: str
    headers: Mapping[str, str]
    seconds: float
    rate: int | None = None
    """Requests a second."""
    connect_to: str | None = None
    """``address:port`` that is asked instead of the URL's ``name:port``."""
    authority: Path | None = None
    """File with the certificate of who signed it."""


def seconds_of_each(layout: Layout, program: Path, order: Order) -> Sequence[float]:
    """How long each request took, asked by vegeta's ``program``; an error if one failed."""
    attack = subprocess.run(
        machine.inside(layout, program, *_words(order)),
        input=_target(order),
        capture_output=True,
        timeout=order.seconds + 120,
        check=False,
    )
    if attack.returncode:
        raise BenchmarkError(f"the callers ended: {attack.stderr.decode().splitlines()[:1]}")
    text = subprocess.run(
        [program, "encode", "-to", "json"], input=attack.stdout, capture_output=True, check=True
    ).stdout
    answers = [json.loads(line) for line in text.splitlines()]
    if failed := [answer for answer in answers if answer["code"] != OK]:
        first = failed[0]
        raise BenchmarkError(
            f"{len(failed)} requests failed, the first: {first['code']} {first['error']}"
        )
    return [answer["latency"] / NANO for answer in answers]


def _words(order: Order) -> list[str]:
    """One connection for each caller, and HTTP/1.1 with and without TLS."""
    words = ["attack", "-format=json", "-http2=false", "-max-body=0"]
    words += [f"-workers={CALLERS}", f"-max-workers={CALLERS}", f"-rate={order.rate or 0}"]
    words += [f"-duration={order.seconds}s"]
    if order.authority:
        words.append(f"-root-certs={order.authority}")
    if order.connect_to:
        words.append(f"-connect-to={urlsplit(order.url).netloc}:{order.connect_to}")
    return words


def _target(order: Order) -> bytes:
    target = {
        "method": "POST",
        "url": order.url,
        "body": base64.b64encode(order.body.encode()).decode(),
        "header": {"Content-Type": ["application/json"]}
        | {name: [value] for name, value in order.headers.items()},
    }
    return f"{json.dumps(target)}\n".encode()
