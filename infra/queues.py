"""The queue of a stack: its pools in the order in which they fill up, and who may hold what."""

from collections.abc import Mapping, Sequence

import pulumi

from components import network
from components.cluster.nodes import NodePool
from components.cluster.queue import Queue, QueueArgs, QueuedPool
from components.cluster.spend_guard import SpendGuard, SpendGuardArgs
from infra import charts
from infra.front_door import operator
from infra.people import Tenant
from infra.pools import burst_pools, node_pool
from infra.sections import Pool, Tier
from infra.settings import Settings

DEFINITIONS = (
    "admissionchecks",
    "clusterqueues",
    "cohorts",
    "localqueues",
    "multikueueclusters",
    "multikueueconfigs",
    "provisioningrequestconfigs",
    "resourceflavors",
    "topologies",
    "workloadpriorityclasses",
    "workloads",
)
"""Kueue's kinds. Its manager wants to see all of them, also those that nobody here uses."""


def build(
    settings: Settings,
    pools: Sequence[QueuedPool],
    ready: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> Queue:
    """One for all of these pools and all tenants; ``ready`` are the tenants' namespaces."""
    nodes = settings.cluster.network.nodes
    SpendGuard("spend-guard", SpendGuardArgs(), opts)
    return Queue(
        "queue",
        QueueArgs(
            chart=charts.chart("kueue"),
            definitions=[charts.manifest(f"kueue-{kind}") for kind in DEFINITIONS],
            image=operator(settings, "kueue"),
            pull_policy=settings.images.pull_policy.value,
            api_server=network.to_api_server(nodes),
            pools=pools,
            tenants={
                name: shares(team, [pool.nodes for pool in pools])
                for name, team in settings.tenants.items()
            },
            ready=ready,
            placement=settings.queue.placement.value,
            nodes=nodes,
            replicas=settings.queue.replicas,
            protect=settings.protects("queue"),
        ),
        opts,
    )


def in_order(settings: Settings) -> list[QueuedPool]:
    """The company's own pools, then those that the chosen cloud makes; as the file has them."""
    pools, made = settings.cluster.pools, burst_pools(settings)
    own = {name: pool for name, pool in pools.items() if pool.tier is Tier.ONPREM}
    return [queued(name, pool) for name, pool in {**own, **made}.items()]


def queued(name: str, pool: Pool) -> QueuedPool:
    """A pool with as many machines as it has, or as there can be."""
    machines = len(pool.nodes) or pool.max_nodes or 0
    return QueuedPool(nodes=node_pool(name, pool), machines=machines)


def shares(tenant: Tenant, pools: Sequence[NodePool]) -> Mapping[str, int]:
    """By pool, GPUs: a tier's only pool has all that a tenant may hold of it."""
    quota = tenant.quota.gpu
    found = {pool.name: quota.pools.get(pool.name, 0) for pool in pools}
    for tier, gpus in (("onprem", quota.onprem), ("burst", quota.burst)):
        of_tier = [pool.name for pool in pools if pool.tier == tier]
        if len(of_tier) == 1:
            found[of_tier[0]] = gpus
    return found
