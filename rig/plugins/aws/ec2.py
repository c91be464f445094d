"""VPCs and what lies in them: subnets, routes, gateways, endpoints, security groups.

Rules: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html and the API's errors.
"""

from collections.abc import Callable, Iterator
from typing import Final

from rig.plugins.aws.names import drawn, ec2, public_address
from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref, Rule, digits
from rig.plugins.cloud.rules import (
    among,
    as_network,
    at_most,
    between,
    cidr,
    exclusive,
    some,
    text,
    when,
)
from rig.plugins.cloud.world import World
from rig.plugins.values import Values

VPC: Final = "aws:ec2/vpc:Vpc"
SUBNET: Final = "aws:ec2/subnet:Subnet"
ROUTES: Final = "aws:ec2/routeTable:RouteTable"
INTERNET: Final = "aws:ec2/internetGateway:InternetGateway"
NAT: Final = "aws:ec2/natGateway:NatGateway"
ADDRESS: Final = "aws:ec2/eip:Eip"
ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"
GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
_LARGEST, _SMALLEST = 16, 28
_DESCRIPTION: Final = r"[\w .:/()#,@\[\]+=&;{}!$*-]{0,255}"
_GATEWAYS: Final = (
    "gatewayId",
    "natGatewayId",
    "networkInterfaceId",
    "transitGatewayId",
    "vpcEndpointId",
    "vpcPeeringConnectionId",
    "egressOnlyGatewayId",
    "carrierGatewayId",
    "localGatewayId",
    "coreNetworkArn",
    "odbNetworkArn",
)
_ROUTE_ENDS: Final = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
_RULE_ENDS: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
PORTS: Final = 65535


def _zone(given: Given) -> Iterator[Failure]:
    zone, region = given.get("availabilityZone"), given.get("region") or given.place["region"]
    if zone and not (zone.startswith(region) and zone[len(region) :].isalpha()):
        yield Failure("availabilityZone", f"{zone!r} is not a zone of {region}")


def _inside(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """A subnet lies in its VPC and on no other subnet."""
    vpc, network = world.find(VPC, given.get("vpcId")), as_network(given.get("cidrBlock"))
    if vpc is None or network is None:
        return
    around = as_network(vpc.inputs.get("cidrBlock"))
    if around and not network.subnet_of(around):
        yield Failure("cidrBlock", f"{network} is not inside {around} of {vpc.id}")
    for other in world.every(SUBNET):
        there = as_network(other.inputs.get("cidrBlock"))
        if other.inputs.get("vpcId") != vpc.id or other.urn == urn or there is None:
            continue
        if network.overlaps(there):
            yield Failure("cidrBlock", f"{network} overlaps {there} of subnet {other.id}")


def _one_default_route(given: Given, world: World, urn: str) -> Iterator[Failure]:
    for other in world.every("aws:ec2/route:Route"):
        same = all(
            other.inputs.get(n) == given.values.get(n) for n in ("routeTableId", *_ROUTE_ENDS)
        )
        if same and other.urn != urn:
            end = given.get("destinationCidrBlock")
            yield Failure("destinationCidrBlock", f"the route table has a route to {end} already")


def _zone_of_region(given: Given) -> Iterator[Failure]:
    name, region = given.get("serviceName"), given.get("region") or given.place["region"]
    if not name:
        return
    if not name.startswith(("com.amazonaws.", "cn.com.amazonaws.", "aws.")):
        yield Failure("serviceName", f"{name!r} must be such as com.amazonaws.{region}.s3")
    elif region not in name.split(".") and "serviceRegion" not in given:
        yield Failure("serviceName", f"{name!r} is not a service of {region}")


def _gateway_endpoint(given: Given) -> Iterator[Failure]:
    kind, name = given.get("vpcEndpointType", "Gateway"), str(given.get("serviceName", ""))
    if kind == "Gateway":
        if name and not name.endswith((".s3", ".dynamodb")):
            yield Failure("vpcEndpointType", f"{name!r} has no Gateway endpoint: Interface")
        for other in ("subnetIds", "securityGroupIds", "privateDnsEnabled"):
            if given.get(other):
                yield Failure(other, "is for Interface endpoints, not for a Gateway")
    elif given.get("routeTableIds"):
        yield Failure("routeTableIds", f"is for Gateway endpoints, not for {kind}")


def _ports(given: Given) -> Iterator[Failure]:
    protocol = given.get("ipProtocol")
    first, last = given.get("fromPort"), given.get("toPort")
    if str(protocol) == "-1":
        for name, port in (("fromPort", first), ("toPort", last)):
            if port not in (None, -1):
                yield Failure(name, "must not be given with protocol -1, which is all ports")
    elif protocol in ("tcp", "udp", "6", "17"):
        for name in ("fromPort", "toPort"):
            if name not in given:
                yield Failure(name, f"is required with protocol {protocol}")
        if first is not None and last is not None and first > last:
            yield Failure("fromPort", f"{first} is above toPort {last}")


def _exactly_one(*names: str, what: str) -> Rule:
    def rule(given: Given) -> Iterator[Failure]:
        found = [name for name in names if name in given]
        if len(found) != 1:
            yield Failure(names[0], f"a {what} has exactly one of {', '.join(names)}")

    return rule


def _nat(given: Given) -> Iterator[Failure]:
    public = given.get("connectivityType", "public") == "public"
    regional = given.get("availabilityMode") == "regional"
    if public and not regional and "allocationId" not in given:
        yield Failure("allocationId", "is required for a public NAT gateway")
    if not public and "allocationId" in given:
        yield Failure("allocationId", "is for public NAT gateways only")
    if not regional and "subnetId" not in given:
        yield Failure("subnetId", "is required")


def _table_of(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """A subnet has one route table."""
    subnet = given.get("subnetId")
    for other in world.every("aws:ec2/routeTableAssociation:RouteTableAssociation"):
        if subnet and other.inputs.get("subnetId") == subnet and other.urn != urn:
            yield Failure("subnetId", f"{subnet} has a route table already: {other.id}")


def _one_gateway(given: Given, world: World, urn: str) -> Iterator[Failure]:
    vpc = given.get("vpcId")
    for other in world.every(INTERNET):
        if vpc and other.inputs.get("vpcId") == vpc and other.urn != urn:
            yield Failure("vpcId", f"{vpc} has an internet gateway already: {other.id}")


def _vpc(made: Made) -> Values:
    return {
        "defaultNetworkAclId": f"acl-{made.hex('acl', 17)}",
        "defaultRouteTableId": f"rtb-{made.hex('rtb', 17)}",
        "mainRouteTableId": f"rtb-{made.hex('rtb', 17)}",
        "defaultSecurityGroupId": f"sg-{made.hex('sg', 17)}",
        "dhcpOptionsId": f"dopt-{made.hex('dopt', 17)}",
        "enableDnsSupport": True,
        "enableDnsHostnames": False,
        "instanceTenancy": "default",
    }


def _address(made: Made) -> Values:
    public = public_address(made, "eip")
    return {
        "allocationId": made.id,
        "publicIp": public,
        "publicDns": f"ec2-{public.replace('.', '-')}.{made.place['region']}.compute.amazonaws.com",
        "domain": "vpc",
    }


def _nat_gateway(made: Made) -> Values:
    address = made.other(ADDRESS, "allocationId")
    there = address and Made(address.inputs, address.place, address.id, made.world)
    return {
        "publicIp": _address(there)["publicIp"] if there else "",
        "networkInterfaceId": f"eni-{made.hex('eni', 17)}",
        "associationId": f"eipassoc-{made.hex('association', 17)}",
        "connectivityType": "public",
    }


def _with(resource: str, more: Callable[[Made], Values]) -> Callable[[Made], Values]:
    common = ec2(resource)
    return lambda made: common(made) | more(made)


_IN_VPC: Final = (Ref("vpcId", VPC),)

KINDS: Final = [
    Kind(
        type=VPC,
        called="VPC",
        identify=drawn("vpc"),
        replaces=frozenset({"cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength", "region"}),
        rules=[
            cidr("cidrBlock", _LARGEST, _SMALLEST),
            some("cidrBlock", "ipv4IpamPoolId"),
            among("instanceTenancy", "default", "dedicated"),
        ],
        outputs=_with("vpc", _vpc),
    ),
    Kind(
        type=SUBNET,
        called="subnet",
        identify=drawn("subnet"),
        replaces=frozenset(
            {"vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId", "region"}
        ),
        rules=[
            cidr("cidrBlock", _LARGEST, _SMALLEST),
            some("cidrBlock", "ipv6CidrBlock", "ipv4IpamPoolId"),
            exclusive("availabilityZone", "availabilityZoneId"),
            _zone,
        ],
        refs=_IN_VPC,
        placed=_inside,
        outputs=_with(
            "subnet",
            lambda made: {
                "availabilityZoneId": f"{made.place['region'][:2]}az{made.number('az', 3)}"
            },
        ),
    ),
    Kind(
        type=INTERNET,
        called="internet gateway",
        identify=drawn("igw"),
        replaces=frozenset({"region"}),
        refs=_IN_VPC,
        placed=_one_gateway,
        outputs=ec2("internet-gateway"),
    ),
    Kind(
        type=ROUTES,
        called="route table",
        identify=drawn("rtb"),
        replaces=frozenset({"vpcId", "region"}),
        unordered=frozenset({"routes", "propagatingVgws"}),
        rules=[cidr("routes[*].cidrBlock")],
        refs=_IN_VPC,
        outputs=ec2("route-table"),
    ),
    Kind(
        type="aws:ec2/route:Route",
        called="route",
        identify=lambda values, _: (
            f"r-{values['routeTableId']}{digits('', str(values.get(_ROUTE_ENDS[0])), 10)}"
        ),
        replaces=frozenset({"routeTableId", "region", *_ROUTE_ENDS}),
        rules=[
            cidr("destinationCidrBlock"),
            _exactly_one(*_ROUTE_ENDS, what="route"),
            _exactly_one(*_GATEWAYS, what="route"),
        ],
        refs=[
            Ref("routeTableId", ROUTES, blocks=False),
            Ref("gatewayId", INTERNET, pattern=r"(igw-.*)"),
            Ref("natGatewayId", NAT),
        ],
        placed=_one_default_route,
        outputs=lambda _: {"origin": "CreateRoute", "state": "active"},
    ),
    Kind(
        type="aws:ec2/routeTableAssociation:RouteTableAssociation",
        called="route table association",
        identify=drawn("rtbassoc"),
        replaces=frozenset({"subnetId", "gatewayId", "region"}),
        rules=[_exactly_one("subnetId", "gatewayId", what="route table association")],
        refs=[Ref("subnetId", SUBNET, blocks=False), Ref("routeTableId", ROUTES)],
        placed=_table_of,
    ),
    Kind(
        type=ADDRESS,
        called="Elastic IP",
        identify=drawn("eipalloc"),
        replaces=frozenset({"domain", "region", "publicIpv4Pool", "networkBorderGroup", "address"}),
        rules=[among("domain", "vpc")],
        outputs=_with("elastic-ip", _address),
    ),
    Kind(
        type=NAT,
        called="NAT gateway",
        identify=drawn("nat"),
        replaces=frozenset({"allocationId", "subnetId", "connectivityType", "privateIp", "region"}),
        rules=[among("connectivityType", "public", "private"), _nat],
        refs=[Ref("subnetId", SUBNET), Ref("allocationId", ADDRESS)],
        outputs=_nat_gateway,
    ),
    Kind(
        type=ENDPOINT,
        called="VPC endpoint",
        identify=drawn("vpce"),
        replaces=frozenset({"vpcId", "serviceName", "vpcEndpointType", "serviceRegion", "region"}),
        unordered=frozenset({"routeTableIds", "subnetIds", "securityGroupIds"}),
        documents=frozenset({"policy"}),
        rules=[
            among("vpcEndpointType", "Gateway", "Interface", "GatewayLoadBalancer", "Resource"),
            _zone_of_region,
            _gateway_endpoint,
        ],
        refs=[*_IN_VPC, Ref("routeTableIds[*]", ROUTES), Ref("subnetIds[*]", SUBNET)],
        outputs=ec2(
            "vpc-endpoint",
            prefixListId=lambda made: f"pl-{made.hex('prefixes', 8)}",
            state=lambda _: "available",
            requesterManaged=lambda _: False,
        ),
    ),
    Kind(
        type="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        called="default security group",
        overwrites=True,
        identify=lambda values, _: f"sg-{digits(values['vpcId'], 'sg', 17)}",
        replaces=frozenset({"vpcId", "region"}),
        rules=[
            cidr("ingress[*].cidrBlocks[*]"),
            cidr("egress[*].cidrBlocks[*]"),
        ],
        refs=[Ref("vpcId", VPC, blocks=False)],
        handles=("arn",),
        outputs=ec2(
            "security-group",
            name=lambda _: "default",
            description=lambda _: "default VPC security group",
        ),
    ),
    Kind(
        type=GROUP,
        called="security group",
        identify=drawn("sg"),
        name="name",
        instead=("namePrefix",),
        handles=("arn",),
        replaces=frozenset({"name", "namePrefix", "description", "vpcId", "region"}),
        kept=frozenset({"description"}),
        unordered=frozenset({"ingress", "egress"}),
        rules=[
            text(
                "name", rf"(?!sg-){_DESCRIPTION}", "at most 255 plain characters, not sg- at first"
            ),
            text("description", _DESCRIPTION, "at most 255 letters, digits and plain signs"),
            cidr("ingress[*].cidrBlocks[*]"),
            cidr("egress[*].cidrBlocks[*]"),
        ],
        refs=_IN_VPC,
        outputs=ec2("security-group"),
    ),
    *(
        Kind(
            type=f"aws:vpc/securityGroup{way}Rule:SecurityGroup{way}Rule",
            called=f"{way.lower()} rule",
            identify=drawn("sgr"),
            replaces=frozenset({"securityGroupId", "region"}),
            rules=[
                text("ipProtocol", r"-1|tcp|udp|icmp|icmpv6|\d{1,3}", "tcp, udp, icmp, -1 or so"),
                _exactly_one(*_RULE_ENDS, what="rule"),
                cidr("cidrIpv4"),
                between("fromPort", -1, PORTS),
                between("toPort", -1, PORTS),
                when(lambda given: "ipProtocol" in given, _ports),
                at_most("description", 255),
            ],
            refs=[
                Ref("securityGroupId", GROUP, blocks=False, pattern=r"(sg-.*)"),
                Ref("referencedSecurityGroupId", GROUP, pattern=r"^(sg-[0-9a-f]+)$"),
            ],
            outputs=lambda made: {
                "arn": ec2("security-group-rule")(made)["arn"],
                "securityGroupRuleId": made.id,
            },
        )
        for way in ("Ingress", "Egress")
    ),
]
