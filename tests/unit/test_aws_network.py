"""The VPC, and its way to the company's network."""

from ipaddress import IPv4Network

import pytest
from aws_builders import PEER, network
from computed_aws import REGION

from components.aws.network import private_part, public_part
from components.shapes import Peer

ZONES = [f"{REGION}{letter}" for letter in "abcdefgh"]


def peer(**changes):
    return Peer(**{"address": PEER.address, "asn": PEER.asn, "networks": PEER.networks, **changes})


def test_parts_of_all_zones_lie_in_the_vpc_and_overlap_nowhere():
    for cidr in ("10.64.0.0/16", "10.64.4.0/22"):
        parts = [IPv4Network(f(cidr, z)) for f in (private_part, public_part) for z in ZONES]
        assert all(part.subnet_of(IPv4Network(cidr)) for part in parts)
        assert all(part.prefixlen <= 28 for part in parts), "AWS takes no smaller subnet"
        assert not any(a.overlaps(b) for i, a in enumerate(parts) for b in parts[:i])


def test_another_zone_moves_no_subnet_that_is_there(engine, resolve):
    resolve(lambda: [network("one", zones=ZONES[1:3]).urn, network("two", zones=ZONES[:4]).urn])

    parts = {n: s["cidrBlock"] for n, s in engine.of("Subnet").items()}
    for zone in ZONES[1:3]:
        assert parts[f"one-{zone}"] == parts[f"two-{zone}"]


def test_subnets_are_private_and_use_the_routes_to_the_company(engine, resolve):
    made = resolve(lambda: [(n := network()).subnets, n.zones, n.network])

    assert made == [
        [f"network-{zone}-id" for zone in ZONES[:3]],
        ZONES[:3],
        "network-vpc-id",
    ]
    for name, subnet in engine.of("Subnet").items():
        assert name == f"network-{subnet['availabilityZone']}"
        assert subnet["mapPublicIpOnLaunch"] is False
    uses = engine.of("RouteTableAssociation").values()
    assert {use["subnetId"] for use in uses} == set(made[0])
    assert {use["routeTableId"] for use in uses} == {"network-routes-id"}
    assert engine.named("network-company-routes") == {
        "routeTableId": "network-routes-id",
        "vpnGatewayId": "network-vpn-gateway-id",
    }
    assert engine.named("network-s3") == {
        "vpcId": "network-vpc-id",
        "vpcEndpointType": "Gateway",
        "serviceName": f"com.amazonaws.{REGION}.s3",
        "routeTableIds": ["network-routes-id"],
    }


def test_without_nat_nothing_leads_to_the_internet(engine, resolve):
    resolve(lambda: network().urn)

    for kind in ("InternetGateway", "NatGateway", "Eip", "Route"):
        assert engine.of(kind) == {}


def test_nat_leads_out_by_a_public_subnet_that_machines_are_not_in(engine, resolve):
    subnets = resolve(lambda: network(nat=True).subnets)

    assert "network-public-id" not in subnets
    assert engine.named("network-public")["mapPublicIpOnLaunch"] is False
    assert engine.named("network-nat")["subnetId"] == "network-public-id"
    assert {r["routeTableId"]: r for r in engine.of("Route").values()} == {
        "network-routes-id": {
            "routeTableId": "network-routes-id",
            "destinationCidrBlock": "0.0.0.0/0",
            "natGatewayId": "network-nat-id",
        },
        "network-public-routes-id": {
            "routeTableId": "network-public-routes-id",
            "destinationCidrBlock": "0.0.0.0/0",
            "gatewayId": "network-internet-id",
        },
    }
    uses = engine.of("RouteTableAssociation")
    assert uses["network-public-uses-routes"] == {
        "subnetId": "network-public-id",
        "routeTableId": "network-public-routes-id",
    }


def test_the_default_security_group_lets_nobody_talk(engine, resolve):
    resolve(lambda: network().urn)

    (group,) = engine.of("DefaultSecurityGroup").values()
    assert group == {"vpcId": "network-vpc-id", "ingress": [], "egress": []}


def test_two_tunnels_speak_bgp_and_their_keys_never_enter_state(engine, resolve):
    tunnels, secret = resolve(lambda: [(n := network()).tunnels, n.tunnel_secret])

    assert tunnels == ["198.51.100.1", "198.51.100.2"]
    assert secret.startswith("arn:aws:secretsmanager:")
    connection = engine.named("network-vpn")
    assert connection["presharedKeyStorage"] == "SecretsManager"
    assert not any(key.endswith("PresharedKey") for key in connection)
    assert connection["staticRoutesOnly"] is False
    assert connection["tunnel1IkeVersions"] == connection["tunnel2IkeVersions"] == ["ikev2"]
    assert engine.named("network-company") == {
        "type": "ipsec.1",
        "ipAddress": "203.0.113.10",
        "bgpAsn": "65010",
    }


def test_a_large_number_of_the_peer_goes_into_the_argument_for_large_ones(engine, resolve):
    resolve(lambda: network(peer=peer(asn=4200000000)).urn)

    company = engine.named("network-company")
    assert company["bgpAsnExtended"] == "4200000000"
    assert "bgpAsn" not in company


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cidr": "10.64.0.0/23"}, "a /16 to a /22, not 10.64.0.0/23"),
        ({"cidr": "10.0.0.0/8"}, "a /16 to a /22, not 10.0.0.0/8"),
        ({"cidr": "10.64.0.1/16"}, "has host bits set"),
        ({"zones": [ZONES[0]]}, "two different zones or more"),
        ({"zones": [ZONES[0], ZONES[0]]}, "two different zones or more"),
        ({"zones": [ZONES[0], ZONES[1], ZONES[0]]}, "two different zones or more"),
        ({"zones": [ZONES[0], "eu-west-1b"]}, "eu-west-1b is not a zone of eu-central-1"),
        ({"zones": ["a", "b"]}, "a is not a zone"),
        ({"peer": peer(asn=64512)}, "the peer cannot be AS 64512"),
        ({"peer": peer(networks=["10.64.128.0/24"])}, "overlaps 10.64.128.0/24"),
    ],
)
def test_what_aws_or_the_company_would_not_take_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        network(**changes)
