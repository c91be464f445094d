"""The two tunnels between a VPC and the company's own network.

Routes go both ways by BGP. The inner addresses of the tunnels are AWS' choice, which is free of
collisions with other connections; the company's VPN device is set up from the configuration that
AWS offers for download.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.shapes import Peer

ASN = 64512
"""AWS' end; the peer must have another number."""
LAST_PLAIN_ASN = 2**31 - 1
"""Larger numbers go into an argument of their own."""


@dataclass(frozen=True, kw_only=True)
class Vpn:
    """What others need to know of it."""

    gateway: aws.ec2.VpnGateway
    connection: aws.ec2.VpnConnection


def connect(
    name: str, vpc: aws.ec2.Vpc, peer: Peer, *, protect: bool, parent: pulumi.Resource
) -> Vpn:
    """Make both ends known to each other, and the keys in Secrets Manager."""
    child = pulumi.ResourceOptions(parent=parent)
    gateway = aws.ec2.VpnGateway(
        f"{name}-vpn-gateway", vpc_id=vpc.id, amazon_side_asn=str(ASN), opts=child
    )
    large = peer.asn > LAST_PLAIN_ASN
    company = aws.ec2.CustomerGateway(
        f"{name}-company",
        type="ipsec.1",
        ip_address=peer.address,
        bgp_asn=None if large else str(peer.asn),
        bgp_asn_extended=str(peer.asn) if large else None,
        opts=child,
    )
    connection = aws.ec2.VpnConnection(
        f"{name}-vpn",
        type="ipsec.1",
        vpn_gateway_id=gateway.id,
        customer_gateway_id=company.id,
        static_routes_only=False,
        # Otherwise AWS makes the keys part of what it tells about the connection, and of state.
        preshared_key_storage="SecretsManager",
        tunnel1_ike_versions=["ikev2"],
        tunnel2_ike_versions=["ikev2"],
        # Another connection has other addresses and keys: work on the company's VPN device.
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
    return Vpn(gateway=gateway, connection=connection)
