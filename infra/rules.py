"""Rules that need more than one setting: addresses that overlap, keys that need each other."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

import yaml
from pulumi.runtime import config as engine

from components.mlflow_env import MAX_CONNECTIONS
from infra import (
    batch_rules,
    door_rules,
    gpu_rules,
    model_rules,
    people_rules,
    pool_rules,
    queue_rules,
)
from infra.config_errors import PROJECT, Path, Problem, key, refuse
from infra.sections import Cloud, Pool, Tier

if TYPE_CHECKING:
    from infra.settings import Settings

POSTGRES_ONPREM = 17
"""The version in images/postgres."""
CLOUD_ASNS = (64512, 64514)
"""What the clouds' ends of the tunnels call themselves: components/{aws,gcp}/vpn.py."""
VPC_PREFIX = {"aws": (16, 22), "gcp": (16, 24)}
"""Shortest and longest prefix that leaves room for the subnets of every zone."""
_NEEDED = {
    "cluster.issuer": "the API server's --service-account-issuer",
    "cluster.jwks": "the output of: kubectl get --raw /openid/v1/jwks",
    "cluster.network.nodes": "a private network such as 10.10.0.0/16",
    "cluster.network.pods": "a network such as 10.42.0.0/16",
    "cluster.network.services": "a network such as 10.43.0.0/16",
    "cluster.network.vpnPeer": "a public IPv4 address such as 203.0.113.10",
}
"""What every cloud must know of the cluster."""


def check(settings: Settings) -> None:
    """Raise a ``RunError`` of one line for the first rule that is broken."""
    for problem in _problems(settings):
        raise refuse(problem)


def _problems(settings: Settings) -> Iterator[Problem]:
    yield from _kubeconfig(settings)
    yield from _tracking(settings)
    yield from _cloud(settings)
    yield from _addresses(settings)
    yield from _zones(settings)
    yield from _pools(settings)
    yield from _tenants(settings)
    yield from pool_rules.problems(settings)
    yield from queue_rules.problems(settings)
    yield from people_rules.problems(settings)
    yield from door_rules.problems(settings)
    yield from model_rules.problems(settings)
    yield from batch_rules.problems(settings)
    yield from gpu_rules.problems(settings)


def _kubeconfig(settings: Settings) -> Iterator[Problem]:
    if settings.kubeconfig is None:
        return
    problem = Problem(
        ("kubeconfig",),
        "",
        "the text of a kubeconfig, stored with: pulumi config set --secret spillway:kubeconfig",
    )
    if not engine.is_config_secret(f"{PROJECT}:kubeconfig"):
        yield problem
    try:
        content: Any = yaml.safe_load(settings.kubeconfig.get_secret_value())
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict) or "clusters" not in content:
        yield problem
    if settings.cluster.context is not None:
        yield Problem(
            ("cluster", "context"),
            settings.cluster.context,
            "left out when spillway:kubeconfig is set, whose current context is used",
        )


def _tracking(settings: Settings) -> Iterator[Problem]:
    mlflow = settings.mlflow
    if mlflow.node_port is not None and settings.cluster.network.pods is None:
        yield Problem(
            ("mlflow", "nodePort"),
            mlflow.node_port,
            "left out, or go with spillway:cluster.network.pods",
        )
    most = MAX_CONNECTIONS // mlflow.workers - 1
    if mlflow.replicas > most:
        yield Problem(
            ("mlflow", "replicas"),
            mlflow.replicas,
            f"at most {most} with {mlflow.workers} workers each, or the database runs out of "
            "connections during a roll-out",
        )


def _cloud(settings: Settings) -> Iterator[Problem]:
    cloud = settings.cloud
    if cloud is Cloud.NONE:
        if settings.database.version != POSTGRES_ONPREM:
            yield Problem(
                ("database", "version"),
                settings.database.version,
                f"{POSTGRES_ONPREM} on-prem, where the image has no other",
            )
        for name in ("bucket", "database"):
            if (value := getattr(settings.adopt, name)) is not None:
                yield Problem(("adopt", name), value, "left out without a cloud")
        return
    if getattr(settings, cloud.value) is None:
        need = {"aws": "account and region", "gcp": "project and region"}[cloud.value]
        yield _missing((cloud.value,), f"a map with at least {need}", cloud)
    for path, what in _NEEDED.items():
        if _at(settings, path) is None:
            yield _missing(tuple(path.split(".")), what, cloud)


def _missing(path: Path, what: str, cloud: Cloud) -> Problem:
    return Problem(path, None, f"{what}: spillway:cloud is {cloud.value}")


def _at(settings: Settings, path: str) -> Any:
    value: Any = settings
    for part in path.split("."):
        value = getattr(value, {"vpnPeer": "vpn_peer"}.get(part, part))
    return value


def _addresses(settings: Settings) -> Iterator[Problem]:
    """No two networks that must reach each other overlap; both clouds count, to switch freely."""
    network, taken = settings.cluster.network, dict[Path, str]()
    for name in ("nodes", "pods", "services"):
        if cidr := getattr(network, name):
            taken["cluster", "network", name] = cidr
    for cloud, section in (("aws", settings.aws), ("gcp", settings.gcp)):
        for name in ("network", "services"):
            if cidr := getattr(section, name, None):
                yield from _prefix((cloud, name), cidr)
                taken[cloud, name] = cidr
    for (one, first), (other, second) in combinations(taken.items(), 2):
        if ipaddress.IPv4Network(first).overlaps(ipaddress.IPv4Network(second)):
            yield Problem(other, second, f"outside of {key(one)}, which is {first}")
    peer, asn = network.vpn_peer, network.vpn_asn
    if peer and any(
        ipaddress.IPv4Address(peer) in ipaddress.IPv4Network(cidr) for cidr in taken.values()
    ):
        yield Problem(("cluster", "network", "vpnPeer"), peer, "outside of every private network")
    if asn in CLOUD_ASNS:
        yield Problem(
            ("cluster", "network", "vpnAsn"),
            asn,
            f"a private AS number other than {' and '.join(map(str, CLOUD_ASNS))}, which the "
            "clouds take",
        )


def _prefix(path: Path, cidr: str) -> Iterator[Problem]:
    shortest, longest = VPC_PREFIX[str(path[0])]
    if not shortest <= ipaddress.IPv4Network(cidr).prefixlen <= longest:
        yield Problem(path, cidr, f"a private network from /{shortest} to /{longest}")


def _zones(settings: Settings) -> Iterator[Problem]:
    for cloud, section in (("aws", settings.aws), ("gcp", settings.gcp)):
        if section and len(set(section.zones)) < len(section.zones):
            yield Problem(
                (cloud, "zones"), list(section.zones), "two to six different letters from a to f"
            )


def _pools(settings: Settings) -> Iterator[Problem]:
    pools = settings.cluster.pools
    for name, pool in pools.items():
        yield from _pool(("cluster", "pools", name), pool)
    owners = Counter(node for pool in pools.values() for node in pool.nodes)
    for name, pool in pools.items():
        if twice := next((node for node in pool.nodes if owners[node] > 1), None):
            path = ("cluster", "pools", name, "nodes")
            yield Problem(
                path, list(pool.nodes), f"nodes of this pool alone: {twice} is listed twice"
            )


def _pool(path: Path, pool: Pool) -> Iterator[Problem]:
    if pool.tier is Tier.ONPREM:
        if not pool.nodes:
            yield Problem((*path, "nodes"), [], "a list of node names: the pool is on-prem")
        for name, value in (("maxNodes", pool.max_nodes), ("spot", pool.spot)):
            if value is not None:
                yield Problem((*path, name), value, "left out: the pool is on-prem")
        return
    if pool.nodes:
        yield Problem((*path, "nodes"), list(pool.nodes), "left out: the cloud makes the nodes")
    if pool.max_nodes is None:
        yield Problem((*path, "maxNodes"), None, "a whole number from 1 to 1000: the pool bursts")


def _tenants(settings: Settings) -> Iterator[Problem]:
    bursts = any(pool.tier is Tier.BURST for pool in settings.cluster.pools.values())
    for name, tenant in settings.tenants.items():
        if name == settings.namespace:
            yield Problem(
                ("tenants", name), name, "another name: the platform's own namespace is called so"
            )
        burst = tenant.quota.gpu.burst
        if burst and not bursts:
            yield Problem(
                ("tenants", name, "quota", "gpu", "burst"),
                burst,
                "0, or spillway:cluster.pools needs one with tier: burst",
            )
