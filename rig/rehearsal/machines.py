"""The nodes of the company's own that a stack's settings name: they are there before the stack."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from components.cluster.nodes import GPU, POOL_LABEL
from rig.control_plane import FakeNode
from rig.control_plane.api import Api
from rig.kube import items, labels

NODES = "/api/v1/nodes"


def stand(api: Api, config: Mapping[str, Any]) -> None:
    """Put those there that are missing."""
    if wanted := dict.fromkeys(named(config)):
        there = {node["metadata"]["name"] for node in items(api.get(NODES))}
        for name in wanted:
            if name not in there:
                api.create(NODES, FakeNode(name=name).manifest)


def named(config: Mapping[str, Any]) -> Iterator[str]:
    """Nodes of all pools."""
    for pool in pools(config):
        yield from (name for name in pool.get("nodes") or () if isinstance(name, str))


def pools(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Of the settings; what is no pool is for the engine to complain of."""
    for pool in _map(_map(config.get("spillway:cluster")).get("pools")).values():
        yield _map(pool)


def marked(api: Api) -> Iterator[str]:
    """Nodes that carry a label or taint as stacks set them."""
    for node in api.get(NODES)["items"]:
        taints = node["spec"].get("taints") or ()
        if POOL_LABEL in labels(node) or any(taint["key"] == GPU for taint in taints):
            yield node["metadata"]["name"]


def _map(found: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}
