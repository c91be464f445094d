"""The cluster's own words: questions for kubectl, and what nodes, conditions and amounts say."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from components.cluster.nodes import BURST_TAINT, GPU, POOL_LABEL, TIER_LABEL
from rig.facts import Question

if TYPE_CHECKING:
    # It takes a second to import, which a control plane's start need not wait for.
    from infra.settings import Settings

Object = Mapping[str, Any]
"""One that kubectl prints as JSON."""
REACH: Final = "look at spillway:cluster.context and `kubectl config get-contexts`; is the VPN up?"
"""What to do when the cluster does not answer."""
_THOUSANDS: Final = {"k": 1000, "M": 1000**2}


def kubectl(settings: Settings, name: str, *words: str) -> Question:
    """A question to the stack's cluster."""
    options = ("--request-timeout=20s", "-o", "json")
    return Question(name, (*_program(settings), *words, *options))


def by_hand(settings: Settings) -> str:
    """How a person begins a command to the stack's cluster, which need not be the current one."""
    return shlex.join(_program(settings))


def place(settings: Settings) -> str:
    """The cluster, as people call it."""
    context = settings.cluster.context
    return f"context {context}" if context else "the cluster"


def items(value: Any) -> list[dict[str, Any]]:
    """Objects of a list."""
    return (value or {}).get("items") or []


def condition(thing: Object, kind: str) -> Object | None:
    """A condition by its type."""
    conditions: Iterable[Object] = thing.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind), None)


def holds(thing: Object, kind: str) -> bool:
    """Whether a condition is True."""
    return (condition(thing, kind) or {}).get("status") == "True"


def ready(node: Object) -> bool:
    """Whether pods can start on a node."""
    return holds(node, "Ready")


def labels(thing: Object) -> Mapping[str, str]:
    """Of an object."""
    return thing["metadata"].get("labels") or {}


def pool_label(node: Object) -> str:
    """The pool that a node says it is of; empty if it says none."""
    return labels(node).get(POOL_LABEL, "")


def is_burst(node: Object) -> bool:
    """Whether a node is a cloud's machine."""
    taints = node["spec"].get("taints") or []
    return labels(node).get(TIER_LABEL) == "burst" or any(
        taint["key"] == BURST_TAINT for taint in taints
    )


def advertised(node: Object) -> int:
    """GPUs that a node has for pods."""
    return whole((node["status"].get("allocatable") or {}).get(GPU, 0))


def pod_gpus(spec: Object) -> int:
    """GPUs that a pod asks for; its init containers are done before the others begin."""
    first = [_asked(c) for c in spec.get("initContainers") or ()]
    return max([*first, sum(_asked(c) for c in spec.get("containers") or ())])


def whole(quantity: str | int) -> int:
    """A quantity of whole things: the API server writes a thousand as ``1k``."""
    text = str(quantity)
    return int(text.rstrip("kM")) * _THOUSANDS.get(text[-1:], 1)


def moment(text: str) -> datetime:
    """A time as the API server writes it."""
    return datetime.fromisoformat(text)


def _asked(container: Object) -> int:
    # Limits of GPUs are requests too: the API server takes no others.
    return whole((container.get("resources", {}).get("limits") or {}).get(GPU, 0))


def _program(settings: Settings) -> tuple[str, ...]:
    context = settings.cluster.context
    return ("kubectl", "--context", context) if context else ("kubectl",)
