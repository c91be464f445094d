"""The machines of a stack's pools: what they are, how their GPUs are told, who makes and ends them.

Labels on those of the company's own, a device plugin on all; and for those of a cloud the
autoscaler, and the reaper of what it leaves behind.
"""

from collections.abc import Mapping

import pulumi

from components import network
from components.cluster.autoscaler import Autoscaler, AutoscalerArgs, ScaledPool
from components.cluster.devices import DevicePlugin, DevicePluginArgs
from components.cluster.onprem import OnpremNodes, OnpremNodesArgs
from components.cluster.reaper import NodeReaper, NodeReaperArgs
from infra.catalog import Absent
from infra.clouds import AUTOSCALER, HUB_PYTHON, HUB_UID, Foundation
from infra.front_door import operator
from infra.images import DEVICE_PLUGIN, tagged
from infra.pools import burst_pools, machine_of, node_pool
from infra.sections import Pool, Tier
from infra.settings import Settings


def build(
    settings: Settings,
    namespace: pulumi.Output[str],
    foundation: Foundation,
    opts: pulumi.ResourceOptions,
) -> None:
    """All of it, for the pools that the stack has."""
    pools = settings.cluster.pools
    for name, pool in pools.items():
        if pool.tier is Tier.ONPREM:
            own = OnpremNodesArgs(pool=node_pool(name, pool), names=pool.nodes)
            OnpremNodes(f"nodes-{name}", own, opts)
    made = burst_pools(settings)
    DevicePlugin(
        "device-plugin",
        DevicePluginArgs(
            image=DEVICE_PLUGIN,
            pull_policy=settings.images.pull_policy,
            pools=[
                node_pool(name, pool)
                for name, pool in pools.items()
                if pool.tier is Tier.ONPREM or name in made
            ],
            protect=settings.protects("device-plugin"),
        ),
        opts,
    )
    if foundation.burst:
        scale(settings, namespace, foundation, opts)


def scale(
    settings: Settings,
    namespace: pulumi.Output[str],
    foundation: Foundation,
    opts: pulumi.ResourceOptions,
) -> None:
    """Machines come and go, and so do their nodes."""
    if foundation.scaling is None:
        raise ValueError("a cloud has burst pools and says nothing of how they are scaled")
    api_server = network.to_api_server(settings.cluster.network.nodes)
    Autoscaler(
        "autoscaler",
        AutoscalerArgs(
            namespace=namespace,
            account=AUTOSCALER,
            image=operator(settings, "cluster-autoscaler"),
            pull_policy=settings.images.pull_policy,
            scaling=foundation.scaling,
            pools=_scaled(settings, foundation),
            api_server=api_server,
        ),
        opts,
    )
    NodeReaper(
        "node-reaper",
        NodeReaperArgs(
            namespace=namespace,
            image=pulumi.Output.concat(foundation.registry, "/", tagged(settings.images, "hub")),
            python=HUB_PYTHON,
            uid=HUB_UID,
            pull_policy=settings.images.pull_policy,
            api_server=api_server,
        ),
        opts,
    )


def _scaled(settings: Settings, foundation: Foundation) -> Mapping[str, ScaledPool]:
    pools = settings.cluster.pools
    return {
        name: ScaledPool(groups=made.groups, price=price(pools[name], settings.cloud.value))
        for name, made in foundation.burst.items()
    }


def price(pool: Pool, cloud: str) -> float:
    """Dollars an hour of one of the pool's GPUs, at spot prices where it is spot."""
    machine = machine_of(pool, cloud)
    if isinstance(machine, Absent):
        raise ValueError(f"{cloud} has no machine of the pool: {machine.reason}")
    asked = machine.spot if pool.spot and machine.spot else machine.on_demand
    return asked.usd / machine.gpus
