"""The network in Google Cloud, the VPN, and where managed services get their addresses."""

import pytest
from builders_gcp import PEER, network
from pulumi.runtime.rpc import is_rpc_secret

from components.shapes import Peer


def test_there_is_one_subnet_for_all_zones_and_machines_in_it_reach_google(engine, resolve):
    zones, subnets = resolve(lambda: [(n := network()).zones, n.subnets])

    assert zones == ["europe-west3-a", "europe-west3-b"]
    assert subnets == ["network-subnet-id"]
    assert engine.named("network-network")["autoCreateSubnetworks"] is False
    assert engine.named("network-network")["routingMode"] == "GLOBAL"
    assert engine.named("network-subnet")["ipCidrRange"] == "10.96.0.0/20"
    assert engine.named("network-subnet")["privateIpGoogleAccess"] is True


@pytest.mark.parametrize("zones", [[], ["europe-west3-a"], ["europe-west3-a"] * 2])
def test_fewer_than_two_zones_are_refused(zones):
    with pytest.raises(ValueError, match="two zones or more"):
        network(zones=zones)


def test_a_zone_of_another_region_is_refused():
    with pytest.raises(ValueError, match=r"zones outside of europe-west3: \['europe-west4-b'\]"):
        network(zones=["europe-west3-a", "europe-west4-b"])


def test_nobody_is_let_in_and_nothing_is_public(engine, resolve):
    resolve(lambda: network(nat=True).urn)

    assert engine.of("Firewall") == {}
    assert engine.of("Address") == {}
    assert [a["addressType"] for a in engine.of("GlobalAddress").values()] == ["INTERNAL"]


@pytest.mark.parametrize(("nat", "expected"), [(False, 0), (True, 1)])
def test_nat_is_there_only_when_asked_for(nat, expected, engine, resolve):
    resolve(lambda: network(nat=nat).urn)

    assert len(engine.of("RouterNat")) == expected


def test_two_tunnels_lead_to_the_peer_and_speak_bgp(engine, resolve):
    resolve(lambda: network().urn)

    device = engine.named("network-peer")
    assert device["redundancyType"] == "SINGLE_IP_INTERNALLY_REDUNDANT"
    assert device["interfaces"] == [{"id": 0, "ipAddress": "203.0.113.10"}]
    for number, (ours, theirs) in enumerate(
        [("169.254.64.1/30", "169.254.64.2"), ("169.254.64.5/30", "169.254.64.6")]
    ):
        tunnel = engine.named(f"network-tunnel-{number}")
        assert tunnel["vpnGateway"] == "network-vpn-id"
        assert tunnel["vpnGatewayInterface"] == number
        assert tunnel["peerExternalGateway"] == "network-peer-id"
        assert tunnel["ikeVersion"] == 2
        link = engine.named(f"network-link-{number}")
        assert link["ipRange"] == ours
        assert link["vpnTunnel"] == f"network-tunnel-{number}-0badcaf"
        session = engine.named(f"network-bgp-{number}")
        assert session["interface"] == f"network-link-{number}-0badcaf"
        assert session["peerIpAddress"] == theirs
        assert session["peerAsn"] == PEER.asn


def test_routes_go_both_ways_to_the_managed_services_too(engine, resolve):
    resolve(lambda: network().urn)

    bgp = engine.named("network-router")["bgp"]
    assert bgp["advertiseMode"] == "CUSTOM"
    assert bgp["advertisedGroups"] == ["ALL_SUBNETS"]
    assert [r["range"] for r in bgp["advertisedIpRanges"]] == ["10.97.0.0/20"]
    routes = engine.named("network-services-routes")
    assert routes["peering"] == "servicenetworking-googleapis-com"
    assert routes["exportCustomRoutes"] is True
    assert routes["importCustomRoutes"] is False


def test_the_peer_cannot_have_googles_own_number():
    with pytest.raises(ValueError, match="64514"):
        network(peer=Peer(address="203.0.113.10", asn=64514, networks=[]))


def test_managed_services_take_their_addresses_from_the_range_that_is_given(engine, resolve):
    resolve(lambda: network(services="10.97.16.0/20").urn)

    reserved = engine.named("network-services-range")
    assert (reserved["address"], reserved["prefixLength"]) == ("10.97.16.0", 20)
    assert reserved["purpose"] == "VPC_PEERING"
    assert reserved["network"] == "network-network-id"
    assert engine.named("network-services")["reservedPeeringRanges"] == [
        "network-services-range-0badcaf"
    ]


def test_a_range_too_small_for_managed_services_is_refused(engine):
    with pytest.raises(ValueError, match="/24 or larger"):
        network(services="10.97.0.0/25")


def test_a_peering_is_cut_only_where_nothing_is_protected(engine, resolve):
    resolve(lambda: [network("kept").urn, network("tried", protect=False).urn])

    assert engine.named("kept-services")["deletionPolicy"] == "ABANDON"
    assert engine.named("tried-services")["deletionPolicy"] == "REMOVE_PEERING"


def test_the_addresses_of_the_tunnels_come_in_their_order(resolve):
    assert resolve(lambda: network().tunnels) == ["198.51.100.1", "198.51.100.2"]


def test_the_key_goes_to_tunnels_and_to_operators_and_nowhere_in_plain(engine, resolve):
    name = resolve(lambda: network().tunnel_secret)

    kept = engine.named("network-vpn-secret-version")
    given = [kept["secretDataWo"], *(t["sharedSecretWo"] for t in engine.of("VPNTunnel").values())]
    assert len(given) == 3
    assert all(is_rpc_secret(value) for value in given)
    assert {value["value"] for value in given} == {"hunter2networkvpnkey"}
    assert "sharedSecret" not in engine.named("network-tunnel-0")
    assert "secretData" not in kept
    assert engine.named("network-vpn-secret")["secretId"] == name == "spillway-dev-network-vpn-key"


def test_another_key_has_another_version_so_that_it_arrives(engine, resolve):
    resolve(lambda: [network("one").urn, network("two").urn])

    versions = [
        engine.named(f"{name}-{at}")
        for name in ("one", "two")
        for at in ("tunnel-0", "tunnel-1", "vpn-secret-version")
    ]
    found = [v.get("sharedSecretWoVersion") or v["secretDataWoVersion"] for v in versions]
    assert all(is_rpc_secret(value) for value in found)
    values = [value["value"] for value in found]
    assert all(isinstance(value, str) and value.isdigit() for value in values)
    assert len({*values[:3]}) == len({*values[3:]}) == 1
    assert values[0] != values[3]


@pytest.mark.parametrize("protect", [True, False])
def test_what_is_written_down_elsewhere_is_protected(protect, engine, resolve):
    resolve(lambda: network(protect=protect).urn)

    kept = {name for name, request in engine.requests.items() if request.protect}
    assert kept == (
        {
            "network-network",
            "network-subnet",
            "network-services-range",
            "network-services",
            "network-vpn",
            "network-vpn-key",
            "network-vpn-secret",
        }
        if protect
        else set()
    )


def test_a_tunnel_goes_before_another_one_takes_its_place(engine, resolve):
    resolve(lambda: network().urn)

    for kind in ("VPNTunnel", "RouterInterface", "RouterPeer"):
        assert all(engine.requests[name].deleteBeforeReplace for name in engine.of(kind)), kind
