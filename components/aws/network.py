"""A VPC of private subnets, joined to the company's network by VPN.

Security groups belong to what they guard; only the VPC's default one is here, emptied. No flow
logs: they cost by the byte, and nothing reads them yet.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
import pulumi_aws as aws

from components.aws.nat import open_up
from components.aws.vpn import ASN, connect
from components.shapes import Peer

PARTS = 16
"""A VPC is cut into equal parts: eight for private subnets, eight for public ones."""
LARGEST, SMALLEST = 16, 22
"""Prefixes of a VPC: AWS takes no larger one, and below /22 a zone would hold few machines.
https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""
FEWEST_ZONES = 2


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Where it lies, its addresses, and the company's end of the VPN."""

    region: str
    zones: Sequence[str]
    """Full names, such as ``eu-central-1a``."""
    cidr: str
    """Of the VPC, /16 to /22. A change replaces the VPC and all in it."""
    peer: Peer
    nat: bool = False
    """Lets machines in the subnets reach the internet, through one gateway in the first zone.
    S3 needs no NAT."""
    protect: bool = True
    """Keeps what other things lie in, and the VPN's addresses and keys."""

    def __post_init__(self) -> None:
        network = IPv4Network(self.cidr)
        if not LARGEST <= network.prefixlen <= SMALLEST:
            raise ValueError(f"a VPC is a /{LARGEST} to a /{SMALLEST}, not {self.cidr}")
        if len(set(self.zones)) < max(FEWEST_ZONES, len(self.zones)):
            raise ValueError(f"a VPC needs two different zones or more, not {list(self.zones)}")
        for zone in self.zones:
            if not re.fullmatch(rf"{re.escape(self.region)}[a-h]", zone):
                raise ValueError(f"{zone} is not a zone of {self.region}")
        if self.peer.asn == ASN:
            raise ValueError(f"the peer cannot be AS {ASN}: AWS' end is that")
        for other in self.peer.networks:
            if network.overlaps(IPv4Network(other)):
                raise ValueError(f"{self.cidr} overlaps {other}, which lies behind the peer")


class Network(pulumi.ComponentResource):
    """A private network in AWS; fulfils ``shapes.Network``."""

    network: pulumi.Output[str]
    subnets: pulumi.Output[Sequence[str]]
    zones: pulumi.Output[Sequence[str]]
    tunnels: pulumi.Output[Sequence[str]]
    tunnel_secret: pulumi.Output[str]

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:aws:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._kept = pulumi.ResourceOptions(parent=self, protect=args.protect)
        vpc = self._vpc()
        routes = aws.ec2.RouteTable(f"{name}-routes", vpc_id=vpc.id, opts=self._child)
        subnets = [self._subnet(vpc, routes, zone) for zone in args.zones]
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{args.region}.s3",
            route_table_ids=[routes.id],
            opts=self._child,
        )
        vpn = connect(name, vpc, args.peer, protect=args.protect, parent=self)
        aws.ec2.VpnGatewayRoutePropagation(
            f"{name}-company-routes",
            route_table_id=routes.id,
            vpn_gateway_id=vpn.gateway.id,
            opts=self._child,
        )
        if args.nat:
            zone = args.zones[0]
            open_up(name, vpc, routes, zone, public_part(args.cidr, zone), parent=self)

        self.network = vpc.id
        self.subnets = pulumi.Output.all(*[subnet.id for subnet in subnets])
        self.zones = pulumi.Output.all(*[subnet.availability_zone for subnet in subnets])
        self.tunnels = pulumi.Output.all(
            vpn.connection.tunnel1_address, vpn.connection.tunnel2_address
        )
        self.tunnel_secret = vpn.connection.preshared_key_arn
        self.register_outputs(
            {
                "network": self.network,
                "subnets": self.subnets,
                "zones": self.zones,
                "tunnels": self.tunnels,
                "tunnel_secret": self.tunnel_secret,
            }
        )

    @property
    def cidr(self) -> str:
        """Where everything in it has its address."""
        return self._args.cidr

    def _vpc(self) -> aws.ec2.Vpc:
        vpc = aws.ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=self._args.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            opts=self._kept,
        )
        # As AWS makes it, whatever names no group of its own may talk to all others that do not.
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default", vpc_id=vpc.id, ingress=[], egress=[], opts=self._child
        )
        return vpc

    def _subnet(self, vpc: aws.ec2.Vpc, routes: aws.ec2.RouteTable, zone: str) -> aws.ec2.Subnet:
        subnet = aws.ec2.Subnet(
            f"{self._name}-{zone}",
            vpc_id=vpc.id,
            availability_zone=zone,
            cidr_block=private_part(self._args.cidr, zone),
            map_public_ip_on_launch=False,
            # A database lies in them: AWS would try for an hour to delete one, in vain.
            opts=self._kept,
        )
        aws.ec2.RouteTableAssociation(
            f"{self._name}-{zone}-uses-routes",
            subnet_id=subnet.id,
            route_table_id=routes.id,
            opts=self._child,
        )
        return subnet


def private_part(cidr: str, zone: str) -> str:
    """A zone's part of the VPC. By its letter: a zone more or less moves no other subnet."""
    return _part(cidr, _index(zone))


def public_part(cidr: str, zone: str) -> str:
    """The part for what has a public address in this zone."""
    return _part(cidr, PARTS // 2 + _index(zone))


def _part(cidr: str, index: int) -> str:
    return str(list(IPv4Network(cidr).subnets(prefixlen_diff=PARTS.bit_length() - 1))[index])


def _index(zone: str) -> int:
    return ord(zone[-1]) - ord("a")
