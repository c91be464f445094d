"""The VPN to the company: two tunnels from one HA gateway, with routes exchanged by BGP.

The company's device speaks BGP on 169.254.64.2 and 169.254.64.6, to .1 and .5 on Google's side.
What it announces is what Google learns: nothing here narrows that down.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import compute, secretmanager
from pulumi_gcp.compute.outputs import HaVpnGatewayVpnInterface

from components.gcp.names import known
from components.gcp.site import Site
from components.secrets import password, version
from components.shapes import Peer

ASN = 64514
"""Of Google's end: private, and not the one AWS takes."""
LINKS = (("169.254.64.1", "169.254.64.2"), ("169.254.64.5", "169.254.64.6"))
"""Google's and the company's address inside each tunnel, each pair in a /30 of its own. Far from
169.254.20.10 (NodeLocal DNS) and 169.254.169.254 (metadata)."""
KEY_LENGTH = 32


@dataclass(frozen=True, kw_only=True)
class Vpn:
    """What the company's device has to know."""

    addresses: pulumi.Output[Sequence[str]]
    secret: pulumi.Output[str]
    """Name of the secret that holds the pre-shared key."""


def join(site: Site, network: compute.Network, router: compute.Router, peer: Peer) -> Vpn:
    """Two tunnels from the network to the peer, and the router's talk with it."""
    key = password(f"{site.name}-vpn-key", KEY_LENGTH, protect=site.protect, parent=site.parent)
    gateway = compute.HaVpnGateway(
        f"{site.name}-vpn",
        project=site.project,
        region=site.region,
        network=network.id,
        # Google picks its addresses, and the company's device is set up with them.
        opts=site.kept,
    )
    device = compute.ExternalVpnGateway(
        f"{site.name}-peer",
        project=site.project,
        redundancy_type="SINGLE_IP_INTERNALLY_REDUNDANT",
        interfaces=[{"id": 0, "ip_address": peer.address}],
        opts=site.child,
    )
    for number in range(len(LINKS)):
        tunnel = _tunnel(site, number, gateway, device, router, key)
        _session(site, number, tunnel, router, peer)
    return Vpn(
        addresses=gateway.vpn_interfaces.apply(_addresses),
        secret=_keep(site, key),
    )


def _addresses(interfaces: Sequence[HaVpnGatewayVpnInterface]) -> list[str]:
    ordered = sorted(interfaces, key=lambda one: one.id or 0)
    return [one.ip_address for one in ordered if one.ip_address]


def _tunnel(  # noqa: PLR0913, PLR0917 - a tunnel has these two ends, and a key
    site: Site,
    number: int,
    gateway: compute.HaVpnGateway,
    device: compute.ExternalVpnGateway,
    router: compute.Router,
    key: pulumi.Output[str],
) -> compute.VPNTunnel:
    return compute.VPNTunnel(
        f"{site.name}-tunnel-{number}",
        project=site.project,
        region=site.region,
        vpn_gateway=gateway.id,
        vpn_gateway_interface=number,
        peer_external_gateway=device.id,
        peer_external_gateway_interface=0,
        ike_version=2,
        shared_secret_wo=key,
        shared_secret_wo_version=version(key).apply(str),
        router=router.id,
        # Google refuses a second tunnel between the same two addresses.
        opts=site.one_at_a_time,
    )


def _session(
    site: Site, number: int, tunnel: compute.VPNTunnel, router: compute.Router, peer: Peer
) -> None:
    ours, theirs = LINKS[number]
    interface = compute.RouterInterface(
        f"{site.name}-link-{number}",
        project=site.project,
        region=site.region,
        router=router.name,
        ip_range=f"{ours}/30",
        vpn_tunnel=tunnel.name,
        opts=site.one_at_a_time,
    )
    compute.RouterPeer(
        f"{site.name}-bgp-{number}",
        project=site.project,
        region=site.region,
        router=router.name,
        interface=interface.name,
        peer_asn=peer.asn,
        peer_ip_address=theirs,
        opts=site.one_at_a_time,
    )


def _keep(site: Site, key: pulumi.Output[str]) -> pulumi.Output[str]:
    """Keep the key where operators can read it: ``gcloud secrets versions access latest``."""
    secret = secretmanager.Secret(
        f"{site.name}-vpn-secret",
        project=site.project,
        # Operators look for it by name.
        secret_id=known(f"{site.name}-vpn-key"),
        replication={"auto": {}},
        opts=pulumi.ResourceOptions.merge(
            site.kept, pulumi.ResourceOptions(delete_before_replace=True)
        ),
    )
    secretmanager.SecretVersion(
        f"{site.name}-vpn-secret-version",
        secret=secret.id,
        secret_data_wo=key,
        secret_data_wo_version=version(key).apply(str),
        opts=site.child,
    )
    return secret.secret_id
