"""Site-to-site VPN: both gateways, the connection with its two tunnels, and learned routes.

https://docs.aws.amazon.com/vpn/latest/s2svpn/VPNTunnels.html
"""

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Final

from rig.plugins.aws.ec2 import ROUTES, VPC
from rig.plugins.aws.names import arn, drawn, ec2, public_address
from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref
from rig.plugins.cloud.rules import address, among, as_network, between, cidr, exclusive, some, text
from rig.plugins.cloud.world import World
from rig.plugins.values import Values

GATEWAY: Final = "aws:ec2/vpnGateway:VpnGateway"
COMPANY: Final = "aws:ec2/customerGateway:CustomerGateway"
CONNECTION: Final = "aws:ec2/vpnConnection:VpnConnection"
DEFAULT_ASN: Final = 64512
_LARGEST_PLAIN: Final = 2**31 - 1
_PRIVATE: Final = ((64512, 65534), (4200000000, 4294967294))
_RESERVED: Final = (
    *(IPv4Network(f"169.254.{block}.0/30") for block in range(6)),
    IPv4Network("169.254.169.252/30"),
)
_INSIDE: Final = IPv4Network("169.254.0.0/16")
_INSIDE_PREFIX: Final = 30
_TUNNELS: Final = ("tunnel1", "tunnel2")


def _private_asn(given: Given) -> Iterator[Failure]:
    asn = given.get("amazonSideAsn")
    if asn is not None and not any(low <= int(asn) <= high for low, high in _PRIVATE):
        yield Failure("amazonSideAsn", f"{asn} must be private: 64512 to 65534, or of 32 bits")


def _one_attached(given: Given, world: World, urn: str) -> Iterator[Failure]:
    vpc = given.get("vpcId")
    for other in world.every(GATEWAY):
        if vpc and other.inputs.get("vpcId") == vpc and other.urn != urn:
            yield Failure("vpcId", f"{vpc} has a VPN gateway already: {other.id}")


def _inside(given: Given) -> Iterator[Failure]:
    for tunnel in _TUNNELS:
        path = f"{tunnel}InsideCidr"
        network = as_network(given.get(path))
        if path in given and network is None:
            continue
        if network and (network.prefixlen != _INSIDE_PREFIX or not network.subnet_of(_INSIDE)):
            yield Failure(path, f"{network} must be a /30 of 169.254.0.0/16")
        elif network and network in _RESERVED:
            yield Failure(path, f"{network} is AWS' own")


def _keys(given: Given) -> Iterator[Failure]:
    for tunnel in _TUNNELS:
        path = f"{tunnel}PresharedKey"
        key = given.get(path)
        if key is None:
            continue
        if not 8 <= len(key) <= 64 or key.startswith("0"):  # noqa: PLR2004
            yield Failure(path, "must be 8 to 64 characters and not begin with 0")
        elif not all(one.isalnum() or one in "._" for one in key):
            yield Failure(path, "takes letters, digits, periods and underscores")


def _ends(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """Both ends have numbers of their own."""
    del urn
    gateway = world.find(GATEWAY, given.get("vpnGatewayId"))
    company = world.find(COMPANY, given.get("customerGatewayId"))
    if gateway is None or company is None or given.get("staticRoutesOnly"):
        return
    ours = str(gateway.inputs.get("amazonSideAsn") or DEFAULT_ASN)
    theirs = str(company.inputs.get("bgpAsn") or company.inputs.get("bgpAsnExtended"))
    if ours == theirs:
        yield Failure("customerGatewayId", f"both ends are AS {ours}: BGP needs two numbers")


def _learning(given: Given, world: World, urn: str) -> Iterator[Failure]:
    del urn
    table = world.find(ROUTES, given.get("routeTableId"))
    gateway = world.find(GATEWAY, given.get("vpnGatewayId"))
    if table and gateway and table.inputs.get("vpcId") != gateway.inputs.get("vpcId"):
        yield Failure("vpnGatewayId", f"{gateway.id} is not attached to the VPC of {table.id}")


def _connection(made: Made) -> Values:
    found: Values = {"arn": arn("ec2", "vpn-connection/{id}")(made)}
    found["customerGatewayConfiguration"] = f"<vpn_connection id={made.id!r}/>"
    gateway = made.other(GATEWAY, "vpnGatewayId")
    asn = str((gateway.inputs.get("amazonSideAsn") if gateway else None) or DEFAULT_ASN)
    for number, tunnel in enumerate(_TUNNELS):
        block = made.number(tunnel, 60) * 4
        found |= {
            f"{tunnel}Address": public_address(made, tunnel),
            f"{tunnel}BgpAsn": asn,
            f"{tunnel}BgpHoldtime": 30,
            f"{tunnel}InsideCidr": f"169.254.{100 + number}.{block}/30",
            f"{tunnel}VgwInsideAddress": f"169.254.{100 + number}.{block + 1}",
            f"{tunnel}CgwInsideAddress": f"169.254.{100 + number}.{block + 2}",
        }
    if made.get("presharedKeyStorage") == "SecretsManager":
        name = f"s2svpn!{made.id}-{made.hex('secret', 8)}-{made.hex('mark', 6)}"
        found["presharedKeyArn"] = arn("secretsmanager", f"secret:{name}")(made)
    return found


KINDS: Final = [
    Kind(
        type=GATEWAY,
        called="VPN gateway",
        identify=drawn("vgw"),
        replaces=frozenset({"amazonSideAsn", "availabilityZone", "region"}),
        rules=[text("amazonSideAsn", r"\d{1,10}", "a number"), _private_asn],
        refs=[Ref("vpcId", VPC)],
        placed=_one_attached,
        outputs=ec2("vpn-gateway"),
    ),
    Kind(
        type=COMPANY,
        called="customer gateway",
        identify=drawn("cgw"),
        replaces=frozenset(
            {
                "bgpAsn",
                "bgpAsnExtended",
                "certificateArn",
                "deviceName",
                "ipAddress",
                "type",
                "region",
            }
        ),
        rules=[
            among("type", "ipsec.1"),
            address("ipAddress", public=True),
            some("bgpAsn", "bgpAsnExtended"),
            exclusive("bgpAsn", "bgpAsnExtended"),
            between("bgpAsn", 1, _LARGEST_PLAIN),
            between("bgpAsnExtended", _LARGEST_PLAIN + 1, 2**32 - 1),
            some("ipAddress", "certificateArn"),
        ],
        outputs=ec2("customer-gateway"),
    ),
    Kind(
        type=CONNECTION,
        called="VPN connection",
        identify=drawn("vpn"),
        replaces=frozenset(
            {"type", "staticRoutesOnly", "enableAcceleration", "presharedKeyStorage"}
        )
        | {"tunnelInsideIpVersion", "outsideIpAddressType", "region"}
        | {f"{tunnel}InsideCidr" for tunnel in _TUNNELS},
        kept=frozenset(f"{tunnel}InsideCidr" for tunnel in _TUNNELS),
        rules=[
            among("type", "ipsec.1"),
            some("vpnGatewayId", "transitGatewayId", "vpnConcentratorId"),
            exclusive("vpnGatewayId", "transitGatewayId", "vpnConcentratorId"),
            among("presharedKeyStorage", "Standard", "SecretsManager"),
            *(among(f"{tunnel}IkeVersions[*]", "ikev1", "ikev2") for tunnel in _TUNNELS),
            *(between(f"{tunnel}Phase1LifetimeSeconds", 900, 28800) for tunnel in _TUNNELS),
            *(between(f"{tunnel}Phase2LifetimeSeconds", 900, 3600) for tunnel in _TUNNELS),
            *(cidr(f"{tunnel}InsideCidr") for tunnel in _TUNNELS),
            _inside,
            _keys,
        ],
        refs=[Ref("vpnGatewayId", GATEWAY), Ref("customerGatewayId", COMPANY)],
        placed=_ends,
        outputs=_connection,
    ),
    Kind(
        type="aws:ec2/vpnConnectionRoute:VpnConnectionRoute",
        called="VPN route",
        identify=lambda v, _: f"{v['destinationCidrBlock']}:{v['vpnConnectionId']}",
        replaces=frozenset({"destinationCidrBlock", "vpnConnectionId", "region"}),
        rules=[cidr("destinationCidrBlock")],
        refs=[Ref("vpnConnectionId", CONNECTION, blocks=False)],
    ),
    Kind(
        type="aws:ec2/vpnGatewayRoutePropagation:VpnGatewayRoutePropagation",
        called="route propagation",
        overwrites=True,
        identify=lambda v, _: f"{v['vpnGatewayId']}_{v['routeTableId']}",
        replaces=frozenset({"vpnGatewayId", "routeTableId", "region"}),
        refs=[Ref("vpnGatewayId", GATEWAY), Ref("routeTableId", ROUTES)],
        placed=_learning,
    ),
]
