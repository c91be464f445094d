"""Rules about burst pools: what the cloud must sell, and what a machine needs to join."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra import secret_rules
from infra.catalog import ACCELERATORS, Absent
from infra.config_errors import Path, Problem, offline
from infra.pools import burst_pools, machine_of
from infra.sections import AMI, GCP_IMAGE, Accelerator, Join, Pool, Tier

if TYPE_CHECKING:
    from infra.settings import Settings

WHY = "a pool of spillway:cluster.pools bursts"


def problems(settings: Settings) -> Iterator[Problem]:
    """Every broken rule, in the order of the file."""
    if settings.cluster.join:
        yield from _server(settings, settings.cluster.join)
    if settings.join_token is not None and not offline():
        yield from secret_rules.encrypted("joinToken", settings.join_token)
    for name, pool in settings.cluster.pools.items():
        yield from _shared(("cluster", "pools", name), pool)
    pools = burst_pools(settings)
    for name, pool in pools.items():
        yield from _sold(("cluster", "pools", name), pool, settings.cloud.value)
    if pools:
        yield from _joining(settings)


def _server(settings: Settings, join: Join) -> Iterator[Problem]:
    """A machine in the cloud reaches what lies behind the VPN, and no other address."""
    nodes = settings.cluster.network.nodes
    host = urlsplit(join.server).hostname or ""
    with suppress(ValueError):
        address = ipaddress.IPv4Address(host)
        if nodes and address not in ipaddress.IPv4Network(nodes):
            yield Problem(
                ("cluster", "join", "server"),
                join.server,
                f"at an address inside spillway:cluster.network.nodes, which is {nodes}, or a name",
            )


def _shared(path: Path, pool: Pool) -> Iterator[Problem]:
    if pool.mig is None:
        return
    if pool.time_slices is not None:
        yield Problem((*path, "timeSlices"), pool.time_slices, "left out: mig cuts the GPUs")
    if pool.tier is Tier.BURST:
        reason = "GPUs of a cloud's machine cannot be cut while it starts; timeSlices can"
        yield Problem((*path, "mig"), pool.mig, f"left out: {reason}")
    profiles = ACCELERATORS[pool.accelerator.value].mig
    if pool.mig not in profiles:
        known = f"one of {', '.join(profiles)}" if profiles else "left out: it cannot be cut"
        yield Problem((*path, "mig"), pool.mig, f"{known}, as the pool is {pool.accelerator.value}")


def _sold(path: Path, pool: Pool, cloud: str) -> Iterator[Problem]:
    machine = machine_of(pool, cloud)
    if isinstance(machine, Absent):
        offered = ACCELERATORS[pool.accelerator.value].machines(cloud)  # pyright: ignore[reportArgumentType]
        if isinstance(offered, Absent):
            yield Problem(
                (*path, "accelerator"),
                pool.accelerator.value,
                f"one of {', '.join(_sells(cloud))}, which {cloud} sells: {machine.reason}",
            )
        else:
            yield Problem(
                (*path, "gpusPerNode"),
                pool.gpus_per_node,
                f"one of {', '.join(str(m.gpus) for m in offered)}: {machine.reason}",
            )
    elif machine.spot_only and not pool.spot:
        yield Problem(
            (*path, "spot"), pool.spot, f"true: {cloud} sells {machine.name} as spot only"
        )


def _sells(cloud: str) -> list[str]:
    return [
        name
        for name in Accelerator
        if not isinstance(ACCELERATORS[name].machines(cloud), Absent)  # pyright: ignore[reportArgumentType]
    ]


def _joining(settings: Settings) -> Iterator[Problem]:
    cloud = settings.cloud.value
    section = getattr(settings, cloud)
    if section is not None and section.image is None:
        what = {"aws": AMI, "gcp": GCP_IMAGE}[cloud]
        yield Problem((cloud, "image"), None, f"{what}: {WHY}")
    if settings.cluster.join is None:
        yield Problem(("cluster", "join"), None, f"a map with: server, version: {WHY}")
    if settings.join_token is None and not offline():
        yield from secret_rules.encrypted("joinToken", None)
