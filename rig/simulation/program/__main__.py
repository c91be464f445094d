"""Of a stack, what decides whose work runs where: the platform's own objects, on no machines."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import pulumi

from components import FencedNamespace, FencedNamespaceArgs
from components.cluster.autoscaler import ScaledPool
from components.labels import TENANT_LABEL
from components.shapes import Scaling
from infra import machines, providers, queues
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
machines.label(settings, opts)
platform = FencedNamespace(
    "platform", FencedNamespaceArgs(namespace=settings.namespace, protect=False), opts
)
# Their pods are played; the processes in their stead take from these what they are told.
machines.scale(
    settings,
    platform.namespace,
    "nowhere.example",
    Scaling(provider="kwok"),
    {
        name: ScaledPool(groups={name: pool.max_nodes}, price=1.0)
        for name, pool in settings.cluster.pools.items()
        if pool.max_nodes
    },
    opts,
)
