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
from components.shapes import Scaling
from infra.catalog import Absent
from infra.clouds import AUTOSCALER, HUB_PYTHON, HUB_UID, Foundation
from infra.front_door import operator
from infra.images import DEVICE_PLUGIN, tagged
from infra.pools import machine_of, node_pool, usable
from infra.sections import Pool, Tier
from infra.settings import Settings


def build(
    settings: Settings,
    namespace: pulumi.Output[str],
    foundation: Foundation,
    opts: pulumi.ResourceOptions,
) -> None:
    """All of it, for the pools that the stack has."""
    label(settings, opts)
    DevicePlugin(
        "device-plugin",
        DevicePluginArgs(
            image=DEVICE_PLUGIN,
            pull_policy=settings.images.pull_policy,
            pools=[node_pool(name, pool) for name, pool in usable(settings).items()],
            protect=settings.protects("device-plugin"),
        ),
        opts,
    )
    if not foundation.burst:
        return
    if foundation.scaling is None:
        raise ValueError("a cloud has burst pools and says nothing of how they are scaled")
    scaled = _scaled(settings, foundation)
    scale(settings, namespace, foundation.registry, foundation.scaling, scaled, opts)


def label(settings: Settings, opts: pulumi.ResourceOptions) -> None:
    """The company's own nodes are called what the queue looks for."""
    for name, pool in settings.cluster.pools.items():
        if pool.tier is Tier.ONPREM:
            own = OnpremNodesArgs(pool=node_pool(name, pool), names=pool.nodes)
            OnpremNodes(f"nodes-{name}", own, opts)


def scale(  # noqa: PLR0913, PLR0917 - who is scaled how, and where that runs
    settings: Settings,
    namespace: pulumi.Output[str],
    registry: pulumi.Input[str],
    scaling: Scaling,
    pools: Mapping[str, ScaledPool],
    opts: pulumi.ResourceOptions,
) -> None:
    """Machines come and go, and so do their nodes."""
    api_server = network.to_api_server(settings.cluster.network.nodes)
    Autoscaler(
        "autoscaler",
        AutoscalerArgs(
            namespace=namespace,
            account=AUTOSCALER,
            image=operator(settings, "cluster-autoscaler"),
            pull_policy=settings.images.pull_policy,
            scaling=scaling,
            pools=pools,
            api_server=api_server,
        ),
        opts,
    )
    NodeReaper(
        "node-reaper",
        NodeReaperArgs(
            namespace=namespace,
            image=pulumi.Output.concat(registry, "/", tagged(settings.images, "hub")),
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
    return machine.expected(spot=bool(pool.spot)).usd / machine.gpus
