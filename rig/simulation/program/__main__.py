"""Of a stack, what decides whose work runs where: the platform's own objects, on no machines."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import pulumi

from components import FencedNamespace, FencedNamespaceArgs
from components.labels import TENANT_LABEL
from infra import providers, queues
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
