"""Of a stack, what decides whose work runs where: the platform's own objects, on no machines."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import pulumi

from components import FencedNamespace, FencedNamespaceArgs, network
from components.cluster.autoscaler import Autoscaler, AutoscalerArgs, ScaledPool
from components.cluster.onprem import OnpremNodes, OnpremNodesArgs
from components.cluster.reaper import NodeReaper, NodeReaperArgs
from components.labels import TENANT_LABEL
from components.shapes import Scaling
from infra import providers, queues
from infra.clouds import AUTOSCALER, HUB_PYTHON, HUB_UID
from infra.pools import node_pool
from infra.settings import load

settings = load()
opts = pulumi.ResourceOptions(provider=providers.kubernetes(settings))
tenants = [
    FencedNamespace(
        f"tenant-{name}",
        FencedNamespaceArgs(namespace=name, marks={TENANT_LABEL: "true"}, protect=False),
        opts,
    )
    for name in settings.tenants
]
# Those of a cloud too, though the stack has none: it is played.
pools = [queues.queued(name, pool) for name, pool in settings.cluster.pools.items()]
own_first = sorted(pools, key=lambda pool: pool.nodes.tier == "burst")
queues.build(settings, own_first, tenants, opts)
for name, pool in settings.cluster.pools.items():
    if pool.nodes:
        own = OnpremNodesArgs(pool=node_pool(name, pool), names=pool.nodes)
        OnpremNodes(f"nodes-{name}", own, opts)
platform = FencedNamespace(
    "platform", FencedNamespaceArgs(namespace=settings.namespace, protect=False), opts
)
place = {
    "namespace": platform.namespace,
    "pull_policy": settings.images.pull_policy,
    "api_server": network.to_api_server(None),
}
# Their pods are played; the processes in their stead take from these what they are told.
Autoscaler(
    "autoscaler",
    AutoscalerArgs(
        account=AUTOSCALER,
        image="nowhere.example/cluster-autoscaler:v1.33.0",
        scaling=Scaling(provider="kwok"),
        pools={
            name: ScaledPool(groups={name: pool.max_nodes}, price=1.0)
            for name, pool in settings.cluster.pools.items()
            if pool.max_nodes
        },
        **place,
    ),
    opts,
)
NodeReaper(
    "node-reaper",
    NodeReaperArgs(image="nowhere.example/hub:1", python=HUB_PYTHON, uid=HUB_UID, **place),
    opts,
)
