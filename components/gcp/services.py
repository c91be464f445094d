"""Private services access: a peering in which Cloud SQL gets an address of our network."""

from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_gcp import compute, servicenetworking

from components.gcp.site import Site

SMALLEST = 24
"""Prefix of the smallest range: https://cloud.google.com/sql/docs/postgres/private-ip"""


@dataclass(frozen=True, kw_only=True)
class PrivateServices:
    """A range of addresses for Google's managed services."""

    cidr: str
    connection: pulumi.Resource
    """Must be up before a service asks for an address, and until the last service is gone."""


def private_services(site: Site, cidr: str, network: compute.Network) -> PrivateServices:
    """Reserve a range and let Google's services live in it."""
    block = IPv4Network(cidr)
    if block.prefixlen > SMALLEST:
        raise ValueError(f"{cidr} is too small for managed services: /{SMALLEST} or larger")
    reserved = compute.GlobalAddress(
        f"{site.name}-services-range",
        project=site.project,
        network=network.id,
        purpose="VPC_PEERING",
        address_type="INTERNAL",
        address=str(block.network_address),
        prefix_length=block.prefixlen,
        opts=site.kept,
    )
    connection = servicenetworking.Connection(
        f"{site.name}-services",
        network=network.id,
        service="servicenetworking.googleapis.com",
        reserved_peering_ranges=[reserved.name],
        # A deleted database holds on to the peering for days, and the peering to the network.
        # Where data matters it stays until somebody removes it by hand (gcloud services
        # vpc-peerings delete); a stack to try things in cuts it, and goes away whole.
        deletion_policy="ABANDON" if site.protect else "REMOVE_PEERING",
        opts=site.kept,
    )
    compute.NetworkPeeringRoutesConfig(
        f"{site.name}-services-routes",
        project=site.project,
        network=network.name,
        peering=connection.peering,
        # Tells Google's side the way back to the company; theirs has no routes for us.
        export_custom_routes=True,
        import_custom_routes=False,
        opts=site.child,
    )
    return PrivateServices(cidr=cidr, connection=connection)
