"""What a stack stands on, by cloud: only the chosen cloud's module, and its SDK, is imported."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

import pulumi

from components import network, shapes
from components.labels import selector
from infra.images import IMAGES, TEAM, TEAM_BASES
from infra.sections import GIB, in_bytes
from infra.settings import Settings

T = TypeVar("T")
TRACKING = "mlflow"
"""Name of the tracking server, and of its database and bucket."""
NODES = "nodes"
"""Name of what burst nodes share."""
HUB = "jupyterhub"
"""Name of JupyterHub, and of its database."""
HUB_PYTHON = "/opt/hub/bin/python"
HUB_UID = 10002
"""Whom the hub's image runs as."""
AUTOSCALER = "cluster-autoscaler"
"""Service account of Cluster Autoscaler, in the platform's namespace."""


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """The parts that differ between clouds, behind shapes that do not."""

    database: shapes.Database
    store: shapes.ObjectStore
    registry: pulumi.Input[str]
    """In front of the name of every image."""
    landlord: shapes.Landlord
    """Gives each tenant its part of the store."""
    hub_database: Callable[[pulumi.Input[str]], shapes.Database]
    """A database for the hub on the same server, by the hub's image. Made by the call: once."""
    burst: Mapping[str, shapes.BurstPool] = field(default_factory=dict[str, shapes.BurstPool])
    """Pools of machines that come and go, by name."""
    scaling: shapes.Scaling | None = None
    """What the autoscaler of these pools has to know; None where there is nothing to scale."""
    tracking: shapes.Login = field(default_factory=shapes.Login)
    """How the tracking server's pods become somebody in the cloud."""
    exports: Mapping[str, pulumi.Input[Any]] = field(default_factory=dict[str, pulumi.Input[Any]])
    """What operators need to know of the cloud."""


class Module(Protocol):
    """What each module of this folder offers."""

    def build(
        self,
        settings: Settings,
        namespace: pulumi.Output[str],
        cluster: pulumi.ProviderResource,
    ) -> Foundation:
        """Make the foundation in this cloud."""
        ...


def pick(settings: Settings) -> Module:
    """The one place where the value of ``spillway:cloud`` decides."""
    return cast("Module", import_module(f"infra.clouds.{settings.cloud.value}"))


def exports(
    network: shapes.Network,
    store: shapes.ObjectStore,
    registry: shapes.Registry,
    identity: shapes.Identity,
    burst: Mapping[str, shapes.BurstPool],
) -> Mapping[str, pulumi.Input[Any]]:
    """The same names for every cloud."""
    return {
        "vpnTunnels": network.tunnels,
        "vpnTunnelSecret": network.tunnel_secret,
        "bucket": store.bucket,
        "registry": registry.url,
        "tenantRoles": identity.roles,
        "autoscalerRole": identity.autoscaler,
        "burstGroups": {name: pool.groups for name, pool in burst.items()},
    }


def given(value: T | None) -> T:
    """A setting without which ``rules`` lets no cloud pass."""
    if value is None:
        raise ValueError("a cloud was picked without the settings it needs")
    return value


def autoscaler(settings: Settings) -> shapes.Subject:
    """Whom the cloud lets scale its groups."""
    return shapes.Subject(namespace=settings.namespace, account=AUTOSCALER)


def onprem_peer(settings: Settings) -> shapes.Peer:
    """The company's end of the VPN, and the machines behind it."""
    here = settings.cluster.network
    return shapes.Peer(address=given(here.vpn_peer), asn=here.vpn_asn, networks=[given(here.nodes)])


def hub_guest(
    settings: Settings,
    namespace: pulumi.Input[str],
    image: pulumi.Input[str],
    login: shapes.Login | None = None,
) -> shapes.Guest:
    """The hub as whoever gets a database; ``login`` is that of the pod that makes it."""
    return shapes.Guest(
        consumers=[network.pods_in(namespace, selector(HUB, HUB, "hub"))],
        namespace=namespace,
        image=image,
        python=HUB_PYTHON,
        uid=HUB_UID,
        pull_policy=settings.images.pull_policy,
        login=login or shapes.Login(),
    )


def image_names() -> Sequence[str]:
    """Every image of this repository, and those with teams' own packages."""
    folders = {file.parent.name for file in IMAGES.glob("*/Dockerfile")} - {TEAM}
    return sorted(folders | {f"{base}-{TEAM}" for base in TEAM_BASES})


def gibibytes(quantity: str) -> int:
    """A size as clouds count: whole GiB, never less than asked for."""
    return math.ceil(in_bytes(quantity) / GIB)
