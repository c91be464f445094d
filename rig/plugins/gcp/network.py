"""Networks of Compute Engine: subnets, routers, NAT, firewalls, and private services access.

https://cloud.google.com/vpc/docs/subnets and https://cloud.google.com/vpc/docs/private-services-access
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final
from urllib.parse import quote

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref
from rig.plugins.cloud.rules import (
    among,
    as_network,
    at_most,
    between,
    cidr,
    count,
    exclusive,
    some,
    text,
)
from rig.plugins.cloud.world import World
from rig.plugins.gcp.names import compute
from rig.plugins.values import Values

NETWORK: Final = "gcp:compute/network:Network"
SUBNET: Final = "gcp:compute/subnetwork:Subnetwork"
RANGE: Final = "gcp:compute/globalAddress:GlobalAddress"
ROUTER: Final = "gcp:compute/router:Router"
PEERING: Final = "gcp:servicenetworking/connection:Connection"
SERVICES: Final = "servicenetworking.googleapis.com"
_SMALLEST_SUBNET, _LARGEST_SUBNET = 29, 4
_PROHIBITED: Final = tuple(
    IPv4Network(block)
    for block in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "199.36.153.4/30")
)
_PRIVATE_ASN: Final = ((64512, 65534), (4200000000, 4294967294), (16550, 16550))
OF_NETWORK: Final = Ref("network", NETWORK)


def _not_prohibited(given: Given) -> Iterator[Failure]:
    for path in ("ipCidrRange", "secondaryIpRanges[*].ipCidrRange"):
        for where, value in given.each(path):
            network = as_network(value)
            for block in _PROHIBITED:
                if network and network.overlaps(block):
                    yield Failure(where, f"{network} overlaps {block}, which no subnet may use")


def _of(network: Any, world: World, token: str) -> Iterator[Any]:
    found = world.find(NETWORK, network)
    names = {network} | ({found.id, *found.handles} if found else set())
    yield from (one for one in world.every(token) if one.inputs.get("network") in names)


def reserved(found: Any) -> IPv4Network | None:
    """The range of a global address, if the program chose it."""
    start, length = found.inputs.get("address"), found.inputs.get("prefixLength")
    return as_network(f"{start}/{length}") if start and length else None


def _apart(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """A subnet lies on no other subnet of its network, nor on a range of managed services."""
    network = as_network(given.get("ipCidrRange"))
    if network is None:
        return
    for other in _of(given.get("network"), world, SUBNET):
        there = as_network(other.inputs.get("ipCidrRange"))
        if other.urn != urn and there and network.overlaps(there):
            yield Failure("ipCidrRange", f"{network} overlaps {there} of {other.id}")
    for other in _of(given.get("network"), world, RANGE):
        there = reserved(other)
        if there and network.overlaps(there):
            yield Failure("ipCidrRange", f"{network} overlaps {there}, reserved by {other.id}")


def _range_apart(given: Given, world: World, urn: str) -> Iterator[Failure]:
    mine = as_network(f"{given.get('address')}/{given.get('prefixLength')}")
    if mine is None:
        return
    for token, of in (
        (SUBNET, lambda one: as_network(one.inputs.get("ipCidrRange"))),
        (RANGE, reserved),
    ):
        for other in _of(given.get("network"), world, token):
            there = of(other)
            if other.urn != urn and there and mine.overlaps(there):
                yield Failure("address", f"{mine} overlaps {there} of {other.id}")


def _peered_range(given: Given) -> Iterator[Failure]:
    if given.get("purpose") != "VPC_PEERING":
        return
    for name in ("network", "prefixLength"):
        if name not in given:
            yield Failure(name, "is required with purpose VPC_PEERING")
    if given.get("addressType", "EXTERNAL") != "INTERNAL":
        yield Failure("addressType", "must be INTERNAL with purpose VPC_PEERING")
    start, length = given.get("address"), given.get("prefixLength")
    if start and length and as_network(f"{start}/{length}") is None:
        yield Failure("address", f"{start!r} is not the first of a /{length}")


def _asn(given: Given) -> Iterator[Failure]:
    asn = given.get("bgp.asn")
    if asn is not None and not any(low <= asn <= high for low, high in _PRIVATE_ASN):
        yield Failure("bgp.asn", f"{asn} must be private: 64512 to 65534, or of 32 bits")


def _advertising(given: Given) -> Iterator[Failure]:
    if given.get("bgp.advertiseMode", "DEFAULT") == "CUSTOM":
        return
    for name in ("advertisedGroups", "advertisedIpRanges"):
        if given.get(f"bgp.{name}"):
            yield Failure(f"bgp.{name}", "needs bgp.advertiseMode CUSTOM")


def _nat(given: Given) -> Iterator[Failure]:
    if given.get("natIpAllocateOption") == "MANUAL_ONLY" and not given.values.get("natIps"):
        yield Failure("natIps", "is required with natIpAllocateOption MANUAL_ONLY")
    if given.get("natIpAllocateOption") == "AUTO_ONLY" and given.get("natIps"):
        yield Failure("natIps", "conflicts with natIpAllocateOption AUTO_ONLY")
    listed = given.get("sourceSubnetworkIpRangesToNat") == "LIST_OF_SUBNETWORKS"
    if listed and not given.values.get("subnetworks"):
        yield Failure("subnetworks", "is required with LIST_OF_SUBNETWORKS")


def same_region(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """What belongs to a router lies in its region."""
    del urn
    router = world.find(ROUTER, given.get("router"))
    region = router and (router.inputs.get("region") or router.place.get("region"))
    if router and region and region != given.place["region"]:
        yield Failure("region", f"{given.place['region']}: the router is in {region}")


def _ranges(given: Given, world: World, urn: str) -> Iterator[Failure]:
    del urn
    for where, name in given.each("reservedPeeringRanges[*]"):
        found = world.find(RANGE, name)
        if found and found.inputs.get("purpose", "VPC_PEERING") != "VPC_PEERING":
            yield Failure(where, f"{name} is not reserved for VPC_PEERING")


def _firewall(given: Given) -> Iterator[Failure]:
    inward = given.get("direction", "INGRESS") == "INGRESS"
    sources = ("sourceRanges", "sourceTags", "sourceServiceAccounts")
    if inward and not any(name in given for name in sources):
        yield Failure("sourceRanges", f"is required, or one of {', '.join(sources[1:])}")
    if inward and "destinationRanges" in given and not any(name in given for name in sources):
        yield Failure("destinationRanges", "alone is for EGRESS")
    if not inward:
        yield from (Failure(n, "is for INGRESS only") for n in sources[1:] if n in given)


def _subnet(made: Made) -> Values:
    network = as_network(made.get("ipCidrRange"))
    return {
        "gatewayAddress": str(network[1]) if network else "",
        "fingerprint": made.hex("fingerprint", 11),
        "subnetworkId": made.number("number", 2**53),
        "purpose": "PRIVATE",
        "stackType": "IPV4_ONLY",
        "privateIpv6GoogleAccess": "DISABLE_GOOGLE_ACCESS",
    }


def _reserved_address(made: Made) -> Values:
    length = made.get("prefixLength") or 32
    start = IPv4Address("10.128.0.0") + made.number("range", 100) * 2**16
    return {"address": str(start), "prefixLength": length, "ipVersion": ""}


def _grown(old: Any, new: Any) -> bool:
    """Whether a range is not the old one and more."""
    before, after = as_network(old), as_network(new)
    return not (before and after and before.subnet_of(after))


KINDS: Final = [
    compute(
        "network",
        "Network",
        "global/networks",
        replaces={"autoCreateSubnetworks", "description", "enableUlaInternalIpv6"}
        | {"internalIpv6Range", "networkProfile"},
        rules=[
            among("routingMode", "GLOBAL", "REGIONAL"),
            between("mtu", 1300, 8896),
            at_most("description", 2048),
        ],
        outputs=lambda made: {
            "numericId": str(made.number("number", 10**18)),
            "networkId": made.number("number", 2**53),
            "mtu": 1460,
            "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
        },
    ),
    compute(
        "subnet",
        "Subnetwork",
        "regions/{region}/subnetworks",
        replaces={"network", "region", "purpose", "description", "reservedInternalRange"},
        replaces_if={"ipCidrRange": _grown},
        rules=[
            cidr("ipCidrRange", _LARGEST_SUBNET, _SMALLEST_SUBNET),
            cidr("secondaryIpRanges[*].ipCidrRange", _LARGEST_SUBNET, _SMALLEST_SUBNET),
            some("ipCidrRange", "reservedInternalRange", "stackType"),
            _not_prohibited,
        ],
        refs=[OF_NETWORK],
        placed=_apart,
        outputs=_subnet,
    ),
    compute(
        "reserved range",
        "GlobalAddress",
        "global/addresses",
        replaces={"address", "addressType", "description", "ipVersion", "network"}
        | {"prefixLength", "purpose"},
        kept=frozenset({"address", "prefixLength"}),
        rules=[
            among("addressType", "EXTERNAL", "INTERNAL"),
            among("purpose", "VPC_PEERING", "PRIVATE_SERVICE_CONNECT"),
            between("prefixLength", 8, 29),
            _peered_range,
        ],
        refs=[OF_NETWORK],
        placed=_range_apart,
        outputs=_reserved_address,
    ),
    compute(
        "router",
        "Router",
        "regions/{region}/routers",
        replaces={"network", "region", "encryptedInterconnectRouter"},
        rules=[
            _asn,
            among("bgp.advertiseMode", "DEFAULT", "CUSTOM"),
            among("bgp.advertisedGroups[*]", "ALL_SUBNETS"),
            cidr("bgp.advertisedIpRanges[*].range"),
            _advertising,
        ],
        refs=[OF_NETWORK],
    ),
    compute(
        "NAT",
        "RouterNat",
        "regions/{region}/routers/{router}",
        replaces={"router", "region", "type", "initialNatIps"},
        rules=[
            among("natIpAllocateOption", "AUTO_ONLY", "MANUAL_ONLY"),
            among(
                "sourceSubnetworkIpRangesToNat",
                *("ALL_SUBNETWORKS_ALL_IP_RANGES", "ALL_SUBNETWORKS_ALL_PRIMARY_IP_RANGES"),
                "LIST_OF_SUBNETWORKS",
            ),
            _nat,
            between("minPortsPerVm", 2, 65536),
        ],
        refs=[Ref("router", ROUTER)],
        placed=same_region,
    ),
    compute(
        "firewall",
        "Firewall",
        "global/firewalls",
        replaces={"network", "direction"},
        unordered=frozenset({"sourceRanges", "targetTags", "targetServiceAccounts", "allows"}),
        rules=[
            among("direction", "INGRESS", "EGRESS"),
            cidr("sourceRanges[*]"),
            cidr("destinationRanges[*]"),
            between("priority", 0, 65535),
            some("allows", "denies"),
            exclusive("allows", "denies"),
            text("allows[*].protocol", r"all|tcp|udp|icmp|esp|ah|sctp|ipip|\d{1,3}", "a protocol"),
            text("allows[*].ports[*]", r"\d{1,5}(-\d{1,5})?", "a port such as 443, or 8000-8010"),
            _firewall,
        ],
        refs=[OF_NETWORK],
    ),
    Kind(
        type=PEERING,
        called="private services connection",
        identify=lambda values, _: f"{quote(values['network'], safe='')}:{values['service']}",
        handles=("network", "peering"),
        replaces=frozenset({"network", "service"}),
        unordered=frozenset({"reservedPeeringRanges"}),
        rules=[
            text("service", r"[a-z0-9.-]+\.[a-z]+", f"such as {SERVICES}"),
            count("reservedPeeringRanges", 1, 100, "ranges"),
        ],
        refs=[OF_NETWORK, Ref("reservedPeeringRanges[*]", RANGE)],
        placed=_ranges,
        outputs=lambda made: {"peering": made.get("service", SERVICES).replace(".", "-")},
    ),
    Kind(
        type="gcp:compute/networkPeeringRoutesConfig:NetworkPeeringRoutesConfig",
        called="routes of a peering",
        identify=lambda values, place: (
            f"projects/{place['project']}/global/networks/{values['network']}"
            f"/networkPeerings/{values['peering']}"
        ),
        handles=(),
        replaces=frozenset({"network", "peering", "project"}),
        refs=[Ref("network", NETWORK), Ref("peering", PEERING, blocks=False)],
    ),
]
