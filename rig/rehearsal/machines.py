"""The nodes of the company's own that a stack's settings name: they are there before the stack."""

from collections.abc import Iterator, Mapping
from typing import Any

from rig.control_plane import FakeNode
from rig.control_plane.api import Api

NODES = "/api/v1/nodes"


def stand(api: Api, config: Mapping[str, Any]) -> None:
    """Put those there that are missing."""
    for name in named(config):
        if api.get(f"{NODES}/{name}") is None:
            api.create(NODES, FakeNode(name=name).manifest)


def named(config: Mapping[str, Any]) -> Iterator[str]:
    """Of all pools; what is no pool is for the engine to complain of."""
    cluster = config.get("spillway:cluster")
    pools = cluster.get("pools") if isinstance(cluster, dict) else None
    for pool in pools.values() if isinstance(pools, dict) else ():
        nodes = pool.get("nodes") if isinstance(pool, dict) else None
        yield from (name for name in nodes or () if isinstance(name, str))
