"""What a plan costs a month while nobody works: the sum over its resources.

What has no price is named, never counted as nothing in silence.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from infra import catalog
from infra.catalog import HOURS_PER_MONTH, Price
from infra.gate.plan import Change, Plan, State
from infra.gate.values import get


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
