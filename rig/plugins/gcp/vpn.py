"""HA VPN: the gateway, the peer's device, the tunnels, and BGP through them.

https://cloud.google.com/network-connectivity/docs/vpn/concepts/topologies
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, Final

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref, at
from rig.plugins.cloud.rules import address, among, at_most, between, cidr, exclusive, some, text
from rig.plugins.cloud.world import World
from rig.plugins.gcp.names import RFC1035, SAID, compute, public_address
from rig.plugins.gcp.network import OF_NETWORK, ROUTER, same_region
from rig.plugins.values import Values

GATEWAY: Final = "gcp:compute/haVpnGateway:HaVpnGateway"
DEVICE: Final = "gcp:compute/externalVpnGateway:ExternalVpnGateway"
TUNNEL: Final = "gcp:compute/vPNTunnel:VPNTunnel"
LINK: Final = "gcp:compute/routerInterface:RouterInterface"
_INTERFACES: Final = {
    "SINGLE_IP_INTERNALLY_REDUNDANT": 1,
    "TWO_IPS_REDUNDANCY": 2,
    "FOUR_IPS_REDUNDANCY": 4,
}
_INSIDE: Final = IPv4Network("169.254.0.0/16")
_ENDS: Final = ("vpnGateway", "vpnGatewayInterface", "peerExternalGateway", "peerIp")
_END: Final = "peerExternalGatewayInterface"


def _interfaces(given: Given) -> Iterator[Failure]:
    kind, found = given.get("redundancyType"), given.values.get("interfaces")
    wanted = _INTERFACES.get(str(kind))
    if wanted and isinstance(found, list) and len(found) != wanted:
        yield Failure("interfaces", f"{kind} has {wanted}, not {len(found)}")
    ids = sorted(value for _, value in given.each("interfaces[*].id"))
    if isinstance(found, list) and len(ids) == len(found) and ids != list(range(len(ids))):
        yield Failure("interfaces", f"have the ids {ids}; they count from 0")


def _tunnel(given: Given) -> Iterator[Failure]:
    if "sharedSecret" not in given and "sharedSecretWo" not in given:
        yield Failure("sharedSecret", "is required, or sharedSecretWo")
    if "sharedSecretWo" in given and "sharedSecretWoVersion" not in given:
        yield Failure("sharedSecretWo", "needs sharedSecretWoVersion as well")
    if "vpnGateway" in given:
        for name in ("vpnGatewayInterface", "router"):
            if name not in given:
                yield Failure(name, "is required for a tunnel of an HA VPN gateway")
        if "peerExternalGateway" in given and _END not in given:
            yield Failure(_END, "is required with peerExternalGateway")


def _ends(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """Its interface of the peer exists, its region is the router's, and it is the only one."""
    yield from same_region(given, world, urn)
    device = world.find(DEVICE, given.get("peerExternalGateway"))
    number, interfaces = given.get(_END), device and device.inputs.get("interfaces")
    if interfaces and number is not None:
        ids = [one.get("id") for one in interfaces if isinstance(one, dict)]
        if number not in ids:
            yield Failure(_END, f"{number}: the peer has {ids}")
    ends = [given.get(name) for name in (*_ENDS, _END)]
    for other in world.every(TUNNEL):
        theirs = [other.inputs.get(name) for name in (*_ENDS, _END)]
        if other.urn != urn and ends == theirs and ends[0] is not None:
            yield Failure("vpnGatewayInterface", f"{other.id} joins the same two addresses")


def _link_range(given: Given) -> Iterator[Failure]:
    value = given.get("ipRange")
    if value is None:
        return
    try:
        found = IPv4Interface(value)
    except ValueError:
        yield Failure("ipRange", f"{value!r} must be an address in a /30, such as 169.254.1.1/30")
        return
    if found.network.prefixlen not in (29, 30, 31) or not found.network.subnet_of(_INSIDE):
        yield Failure("ipRange", f"{value!r} must be in a /29 to /31 of 169.254.0.0/16")
    elif found.ip in (found.network[0], found.network[-1]) and found.network.prefixlen != 31:  # noqa: PLR2004
        yield Failure("ipRange", f"{value!r} must be an address of the /30, not the first or last")


def _session(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """The peer's number is another one than the router's, its address in the link's network."""
    yield from same_region(given, world, urn)
    router = world.find(ROUTER, given.get("router"))
    ours = router and (router.inputs.get("bgp") or {}).get("asn")
    if ours and ours == given.get("peerAsn"):
        yield Failure("peerAsn", f"{ours} is the router's own: BGP needs two numbers")
    link = world.find(LINK, given.get("interface"))
    inside, theirs = link and link.inputs.get("ipRange"), given.get("peerIpAddress")
    if not inside or not theirs:
        return
    network = IPv4Interface(inside)
    if IPv4Address(theirs) not in network.network:
        yield Failure("peerIpAddress", f"{theirs} is not in {network.network} of the interface")
    elif IPv4Address(theirs) == network.ip:
        yield Failure("peerIpAddress", f"{theirs} is the router's own end")


def _addresses(made: Made) -> Values:
    found = [{"id": n, "ipAddress": public_address(made, f"interface-{n}")} for n in range(2)]
    return {"vpnInterfaces": found, "stackType": "IPV4_ONLY", "gatewayIpVersion": "IPV4"}


def _part_of_router(called: str, type: str, identify: str, **more: Any) -> Kind:
    rules = [text("name", RFC1035, SAID), *more.pop("rules")]
    return Kind(
        type=f"gcp:compute/{type[0].lower()}{type[1:]}:{type}",
        called=called,
        identify=at(identify),
        name="name",
        rules=rules,
        **more,
    )


KINDS: Final = [
    compute(
        "HA VPN gateway",
        "HaVpnGateway",
        "regions/{region}/vpnGateways",
        replaces={"network", "region", "description", "gatewayIpVersion", "stackType"}
        | {"vpnInterfaces"},
        kept=frozenset({"vpnInterfaces"}),
        rules=[among("stackType", "IPV4_ONLY", "IPV4_IPV6", "IPV6_ONLY")],
        refs=[OF_NETWORK],
        outputs=_addresses,
    ),
    compute(
        "external VPN gateway",
        "ExternalVpnGateway",
        "global/externalVpnGateways",
        replaces={"description", "interfaces", "redundancyType"},
        rules=[
            among("redundancyType", *_INTERFACES),
            address("interfaces[*].ipAddress", public=True),
            _interfaces,
        ],
    ),
    compute(
        "VPN tunnel",
        "VPNTunnel",
        "regions/{region}/vpnTunnels",
        replaces={*_ENDS, _END, "description", "ikeVersion", "localTrafficSelectors", "region"}
        | {"peerGcpGateway", "remoteTrafficSelectors", "router", "sharedSecret"}
        | {"sharedSecretWoVersion", "targetVpnGateway", "cipherSuite"},
        rules=[
            among("ikeVersion", 1, 2),
            between("vpnGatewayInterface", 0, 1),
            between(_END, 0, 3),
            some("vpnGateway", "targetVpnGateway"),
            exclusive("sharedSecret", "sharedSecretWo"),
            exclusive("peerExternalGateway", "peerGcpGateway", "peerIp"),
            _tunnel,
        ],
        refs=[
            Ref("vpnGateway", GATEWAY),
            Ref("peerExternalGateway", DEVICE),
            Ref("router", ROUTER),
        ],
        placed=_ends,
        outputs=lambda made: {
            "detailedStatus": "Tunnel is up and running.",
            "tunnelId": str(made.number("number", 10**18)),
        },
    ),
    _part_of_router(
        "router interface",
        "RouterInterface",
        "{region}/{router}/{name}",
        replaces=frozenset({"name", "router", "region", "project", "ipRange", "vpnTunnel"})
        | {"interconnectAttachment", "subnetwork", "privateIpAddress", "redundantInterface"},
        rules=[_link_range, some("vpnTunnel", "interconnectAttachment", "subnetwork", "ipRange")],
        refs=[Ref("router", ROUTER), Ref("vpnTunnel", TUNNEL)],
        placed=same_region,
        outputs=lambda _: {"ipVersion": "IPV4"},
    ),
    _part_of_router(
        "BGP peer",
        "RouterPeer",
        "projects/{project}/regions/{region}/routers/{router}/{name}",
        replaces=frozenset({"name", "router", "region", "project"}),
        rules=[
            between("peerAsn", 1, 2**32 - 1),
            address("peerIpAddress"),
            address("ipAddress"),
            between("advertisedRoutePriority", 0, 65535),
            among("advertiseMode", "DEFAULT", "CUSTOM"),
            cidr("advertisedIpRanges[*].range"),
            at_most("name", 63),
        ],
        refs=[Ref("router", ROUTER), Ref("interface", LINK)],
        placed=_session,
        outputs=lambda made: {
            "managementType": "MANAGED_BY_USER",
            "ipAddress": _own_end(made),
            "enable": True,
        },
    ),
]


def _own_end(made: Made) -> str:
    link = made.other(LINK, "interface")
    inside = link and link.inputs.get("ipRange")
    return str(IPv4Interface(inside).ip) if inside else ""
