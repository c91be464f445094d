"""The queue of a stack: its pools in the order in which they fill up, and who may hold what."""

from collections.abc import Sequence

import pulumi

from components import network
from components.cluster.queue import Queue, QueueArgs, QueuedPool
from components.cluster.spend_guard import SpendGuard, SpendGuardArgs
from infra import charts
from infra.front_door import operator
from infra.pools import node_pool, shares, usable
from infra.sections import Pool
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
    return [queued(name, pool) for name, pool in usable(settings).items()]


def queued(name: str, pool: Pool) -> QueuedPool:
    """A pool with as many machines as it has, or as there can be."""
    machines = len(pool.nodes) or pool.max_nodes or 0
    return QueuedPool(nodes=node_pool(name, pool), machines=machines)
