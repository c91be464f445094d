"""The company's own nodes, which exist without the stack: it labels and taints them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.cluster.nodes import NodePool

FORCED = {"pulumi.com/patchForce": "true"}
"""A label of ours that somebody has set by hand is taken over."""


@dataclass(frozen=True, kw_only=True)
class OnpremNodesArgs:
    """Which nodes, and what they are."""

    pool: NodePool
    names: Sequence[str]

    def __post_init__(self) -> None:
        if self.pool.tier != "onprem":
            raise ValueError(f"{self.pool.name} is {self.pool.tier}: its nodes label themselves")


class OnpremNodes(pulumi.ComponentResource):
    """Labels and taints of a pool on its nodes, which go again when the pool does."""

    def __init__(
        self, name: str, args: OnpremNodesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:cluster:OnpremNodes", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._name = name
        self.ready: Mapping[str, pulumi.Resource] = {
            node: self._patch(node, args.pool) for node in args.names
        }
        self.register_outputs({})

    def _patch(self, node: str, pool: NodePool) -> k8s.core.v1.NodePatch:
        return k8s.core.v1.NodePatch(
            f"{self._name}-{node}",
            metadata={"name": node, "labels": dict(pool.labels), "annotations": FORCED},
            spec={
                "taints": [
                    {"key": taint.key, "value": taint.value, "effect": taint.effect}
                    for taint in pool.taints
                ]
            },
            opts=self._child,
        )
