"""What a plan costs: the floor while nothing runs, and the ceiling when everything bursts.

The floor is added up over the resources of the plan, the ceiling follows from the settings. What
has no price is named, never counted as nothing in silence.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from infra import catalog
from infra.catalog import HOURS_PER_MONTH, Absent, CloudName, Machine, Price
from infra.gate.plan import Change, Plan, State
from infra.gate.terms import Terms
from infra.gate.values import get

# -- the floor -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One kind of thing that costs money all month."""

    what: str
    usd: float
    """A month."""
    prices: tuple[Price, ...]


class Unpriced(Exception):
    """This one has a price, but nobody knows it here; says what is missing."""


@dataclass
class Floor:
    """What a set of resources costs a month while nobody uses it."""

    lines: list[Line] = field(default_factory=list[Line])
    unpriced: list[str] = field(default_factory=list[str])
    """URNs whose price is not known."""
    by_use: int = 0
    """Resources that cost by use alone."""

    @property
    def usd(self) -> float:
        """The sum."""
        return sum(line.usd for line in self.lines)


def floors(plan: Plan) -> tuple[Floor, Floor]:
    """Before and after the plan."""
    before = floor((r.urn, r.old) for r in plan.resources if r.change is not Change.READ)
    after = floor(
        (r.urn, r.new) for r in plan.resources if r.change not in (Change.READ, Change.DELETE)
    )
    return before, after


def floor(resources: Iterable[tuple[str, State | None]]) -> Floor:
    """The sum over resources; those of Kubernetes run on machines that are paid elsewhere."""
    total = Floor()
    for urn, state in resources:
        if state is None or not state.custom:
            continue
        if (rate := _RATES.get(state.type)) is not None:
            try:
                total.lines.append(rate(state.inputs))
            except Unpriced:
                total.unpriced.append(urn)
        elif state.type in _BY_USE:
            total.by_use += 1
        elif state.type.startswith(("aws:", "gcp:")) and not _FREE.match(state.type):
            total.unpriced.append(urn)
    return total


def _hourly(what: str, price: Price, count: float = 1) -> Line:
    return Line(what, price.usd * HOURS_PER_MONTH * count, (price,))


def _monthly(what: str, price: Price, count: float = 1) -> Line:
    return Line(what, price.usd * count, (price,))


def _rds(inputs: Mapping[str, Any]) -> Line:
    size = _float(get(inputs, "allocatedStorage"))
    standby = get(inputs, "multiAz") is True
    line = _database(get(inputs, "instanceClass"), size, standby, catalog.RDS_GP3_GB)
    if get(inputs, "manageMasterUserPassword") is True:
        return _with_secret(line)
    return line


def _cloud_sql(inputs: Mapping[str, Any]) -> Line:
    size = _float(get(inputs, "settings.diskSize"))
    standby = get(inputs, "settings.availabilityType") == "REGIONAL"
    return _database(get(inputs, "settings.tier"), size, standby, catalog.CLOUD_SQL_SSD_GB)


def _database(machine: Any, size: float | None, standby: bool, disk: Price) -> Line:
    price = catalog.database_price(str(machine))
    if price is None or size is None:
        raise Unpriced
    count = catalog.STANDBY if standby else 1
    usd = count * (price.usd * HOURS_PER_MONTH + size * disk.usd)
    what = f"{machine}, {size:g} GB{' and its standby' if standby else ''}"
    return Line(what, usd, (price, disk))


def _vpn(inputs: Mapping[str, Any]) -> Line:
    usd = (catalog.AWS_VPN.usd + 2 * catalog.AWS_IPV4.usd) * HOURS_PER_MONTH
    what = "VPN connection and its two public addresses"
    line = Line(what, usd, (catalog.AWS_VPN, catalog.AWS_IPV4))
    if get(inputs, "presharedKeyStorage") == "SecretsManager":
        return _with_secret(line)
    return line


def _with_secret(line: Line) -> Line:
    """Of a thing that makes itself a secret, which is no resource of the plan."""
    secret = catalog.AWS_SECRET
    return Line(f"{line.what}, with a secret", line.usd + secret.usd, (*line.prices, secret))


def _endpoint(inputs: Mapping[str, Any]) -> Line:
    if get(inputs, "vpcEndpointType") in (None, "Gateway"):
        return Line("gateway endpoint", 0, (catalog.AWS_ENDPOINT,))
    zones = len(cast("list[Any]", get(inputs, "subnetIds") or [None]))
    return _hourly("interface endpoint", catalog.AWS_ENDPOINT, zones)


def _group(inputs: Mapping[str, Any]) -> Line:
    least = get(inputs, "minSize") or 0
    wanted = get(inputs, "desiredCapacity") or 0
    if least or wanted:
        raise Unpriced
    return Line("group of machines that starts at zero", 0, ())


def _google_group(inputs: Mapping[str, Any]) -> Line:
    if get(inputs, "targetSize") or 0:
        raise Unpriced
    return Line("group of machines that starts at zero", 0, ())


_RATES: Final[Mapping[str, Callable[[Mapping[str, Any]], Line]]] = {
    "aws:rds/instance:Instance": _rds,
    "aws:ec2/vpnConnection:VpnConnection": _vpn,
    "aws:ec2/natGateway:NatGateway": lambda _: _hourly("NAT gateway", catalog.AWS_NAT),
    "aws:ec2/eip:Eip": lambda _: _hourly("public address", catalog.AWS_IPV4),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:kms/key:Key": lambda _: _monthly("encryption key", catalog.AWS_KEY),
    "aws:secretsmanager/secret:Secret": lambda _: _monthly("secret", catalog.AWS_SECRET),
    "aws:autoscaling/group:Group": _group,
    "gcp:sql/databaseInstance:DatabaseInstance": _cloud_sql,
    "gcp:compute/vPNTunnel:VPNTunnel": lambda _: _hourly("VPN tunnel", catalog.GCP_TUNNEL),
    "gcp:compute/address:Address": lambda _: _hourly("address", catalog.GCP_ADDRESS),
    "gcp:kms/cryptoKey:CryptoKey": lambda _: _monthly("encryption key", catalog.GCP_KEY),
    "gcp:secretmanager/secretVersion:SecretVersion": lambda _: _monthly(
        "version of a secret", catalog.GCP_SECRET
    ),
    "gcp:compute/instanceGroupManager:InstanceGroupManager": _google_group,
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager": _google_group,
}

_BY_USE: Final = frozenset(
    {
        "aws:s3/bucket:Bucket",
        "aws:s3/bucketObjectv2:BucketObjectv2",
        "aws:s3/bucketObject:BucketObject",
        "aws:ecr/repository:Repository",
        "aws:cloudwatch/logGroup:LogGroup",
        "gcp:storage/bucket:Bucket",
        "gcp:storage/bucketObject:BucketObject",
        "gcp:artifactregistry/repository:Repository",
        "gcp:compute/routerNat:RouterNat",
    }
)

_FREE: Final = re.compile(
    r"aws:(iam/|vpc/|s3/bucket(?!Object)|ecr/|rds/(subnetGroup|parameterGroup)|kms/(alias|keyPolicy)"
    r"|ec2/(vpc:|subnet|routeTable|route:|securityGroup|vpnGateway|customerGateway|internetGateway"
    r"|default|launchTemplate|networkAcl|vpcEndpointRouteTable|vpcDhcp|mainRoute|tag)"
    r"|secretsmanager/secret(Version|Policy|Rotation))"
    r"|gcp:(storage/(managedFolder|bucketIAM)|sql/(database:|user)|iam/|projects/|serviceaccount/"
    r"|servicenetworking/|kms/(keyRing|cryptoKeyIAM)|artifactregistry/repositoryIam"
    r"|secretmanager/(secret:|secretIam)"
    r"|compute/(network|subnetwork|router:|routerInterface|routerPeer|haVpn|externalVpn"
    r"|firewall|globalAddress|instanceTemplate|regionInstanceTemplate|route:|healthCheck))"
)
"""Types the clouds do not charge for."""


def _float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


# -- the ceiling -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Burst:
    """A pool in the cloud with the machine it starts."""

    name: str
    machine: Machine
    most: int
    """Machines at a time."""
    spot: bool

    @property
    def hourly(self) -> float:
        """A machine at its dearest: spot prices rise, never above on-demand."""
        return self.machine.on_demand.usd

    @property
    def expected(self) -> float:
        """A machine as it is meant to run."""
        cheaper = self.machine.spot if self.spot else None
        return (cheaper or self.machine.on_demand).usd


@dataclass(frozen=True)
class Ceiling:
    """The most that can be spent in an hour."""

    pools: Sequence[Burst]
    missing: Sequence[str]
    """Pools that cannot be priced, and why."""
    tenants: Mapping[str, float]
    """By tenant, the dearest way to use up its quota."""
    expected: Mapping[str, float]
    """By tenant, the cheapest way, at spot prices where the pool is spot."""

    @property
    def capacity(self) -> float:
        """All machines of all pools."""
        return sum(pool.hourly * pool.most for pool in self.pools)

    @property
    def usd(self) -> float:
        """Of the stack: what the tenants may use, but no more than the pools can start."""
        return min(sum(self.tenants.values()), self.capacity)


def ceiling(terms: Terms) -> Ceiling:
    """What tenants can spend by the hour in the cloud that the settings choose."""
    pools: list[Burst] = []
    missing: list[str] = []
    for name, pool in terms.cluster.pools.items():
        if pool.tier != "burst" or terms.cloud not in catalog.CLOUDS:
            continue
        machine = _machine(pool.accelerator, pool.gpus_per_node, terms.cloud)
        if isinstance(machine, Absent):
            missing.append(f"{name}: {machine.reason}")
        else:
            pools.append(Burst(name, machine, pool.max_nodes or 0, bool(pool.spot)))
    quotas = {name: tenant.quota.gpu.burst for name, tenant in terms.tenants.items()}
    return Ceiling(
        pools,
        missing,
        {name: dearest(pools, gpus) for name, gpus in quotas.items()},
        {name: cheapest(pools, gpus) for name, gpus in quotas.items()},
    )


def dearest(pools: Sequence[Burst], gpus: int) -> float:
    """Every GPU on a machine of its own, the dearest machines first, as many as the pools have."""
    usd = 0.0
    for pool in sorted(pools, key=lambda p: p.hourly, reverse=True):
        machines = min(gpus, pool.most)
        usd, gpus = usd + machines * pool.hourly, gpus - machines
    return usd


def cheapest(pools: Sequence[Burst], gpus: int) -> float:
    """Machines filled up, the cheapest by GPU first."""
    usd = 0.0
    for pool in sorted(pools, key=lambda p: p.expected / p.machine.gpus):
        machines = min(math.ceil(gpus / pool.machine.gpus), pool.most)
        usd, gpus = usd + machines * pool.expected, max(0, gpus - machines * pool.machine.gpus)
    return usd


def _machine(accelerator: str, gpus: int, cloud: str) -> Machine | Absent:
    entry = catalog.ACCELERATORS.get(accelerator)
    if entry is None:
        return Absent(reason=f"{accelerator} is not in the catalog")
    machines = entry.machines(cast("CloudName", cloud))
    if isinstance(machines, Absent):
        return machines
    found = next((m for m in machines if m.gpus == gpus), None)
    sizes = ", ".join(str(m.gpus) for m in machines)
    return found or Absent(reason=f"{cloud} sells {accelerator} by {sizes}, not by {gpus}")


# -- on-prem ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Onprem:
    """The company's own GPUs."""

    gpus: int
    hourly: float
    """One GPU."""
    assumed: bool
    """Whether the price is the catalog's, because the settings say nothing."""
    tenants: Mapping[str, float]
    """By tenant, its whole quota by the hour."""


def onprem(terms: Terms) -> Onprem:
    """What the company's own GPUs cost, so that nobody takes them for free."""
    own = terms.prices.onprem_gpu_hour
    hourly = catalog.ONPREM_GPU_HOUR.usd if own is None else own
    gpus = sum(
        len(pool.nodes) * pool.gpus_per_node
        for pool in terms.cluster.pools.values()
        if pool.tier == "onprem"
    )
    quotas = {name: t.quota.gpu.onprem * hourly for name, t in terms.tenants.items()}
    return Onprem(gpus, hourly, own is None, quotas)
