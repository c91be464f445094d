"""Rules about the front door that need more than one setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.config_errors import Problem
from infra.doors import Certificates

if TYPE_CHECKING:
    from infra.settings import Settings

NAMESPACES = ("cert-manager", "front-door", "istio-system", "seldon-system")
"""Made by the stack for the parts that are somebody else's."""


def problems(settings: Settings) -> Iterator[Problem]:
    """Every broken rule, in the order of the file."""
    if settings.domain is None:
        return
    yield from _certificates(settings)
    yield from _ports(settings)
    for name in (settings.namespace, *settings.tenants):
        if name in NAMESPACES:
            path = ("namespace",) if name == settings.namespace else ("tenants", name)
            yield Problem(path, name, "another name: the front door's own namespace is called so")


def _certificates(settings: Settings) -> Iterator[Problem]:
    door = settings.front_door
    kind = door.certificates
    if kind is Certificates.ACME and door.email is None:
        yield Problem(
            ("frontDoor", "email"), None, "an e-mail address: frontDoor.certificates is acme"
        )
    if kind is Certificates.GIVEN and door.secret is None:
        yield Problem(
            ("frontDoor", "secret"),
            None,
            "the name of a Secret in the namespace front-door: frontDoor.certificates is given",
        )
    for name, value, whose in (
        ("email", door.email, Certificates.ACME),
        ("authority", door.authority, Certificates.ACME),
        ("secret", door.secret, Certificates.GIVEN),
    ):
        if value is not None and kind is not whose:
            yield Problem(
                ("frontDoor", name), value, f"left out: it is for certificates: {whose.value} only"
            )


def _ports(settings: Settings) -> Iterator[Problem]:
    ports = settings.front_door.node_ports
    if ports is None:
        return
    taken = {
        ("frontDoor", "nodePorts", "http"): ports.http,
        ("frontDoor", "nodePorts", "https"): ports.https,
        ("mlflow", "nodePort"): settings.mlflow.node_port,
        ("notebooks", "nodePort"): settings.notebooks.node_port,
    }
    twice = Counter(taken.values())
    for path, port in taken.items():
        if port is not None and twice[port] > 1:
            yield Problem(path, port, "a port that nothing else here has")
            return
