"""A network of our own with one subnet, joined to the company's by VPN.

No firewall rules: a custom network on Google Cloud refuses every connection to a machine in it and
lets machines call out. What burst nodes need beyond that comes with the burst nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import compute

from components.gcp.names import fitting
from components.gcp.services import PrivateServices, private_services
from components.gcp.site import Site
from components.gcp.vpn import ASN, join
from components.shapes import Peer

FEWEST_ZONES = 2


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Where it lies, its addresses, and the company's end of the VPN."""

    project: str
    region: str
    zones: Sequence[str]
    """Full names, such as ``europe-west4-a``. A subnet on Google Cloud spans all zones of its
    region: they say where machines may start later, not how many subnets there are."""
    cidr: str
    """Of the subnet; may grow later, any other change replaces it."""
    services: str
    """Range for Google's managed services, a /24 or larger, outside ``cidr``: Cloud SQL takes its
    address there. https://cloud.google.com/vpc/docs/configure-private-services-access"""
    peer: Peer
    nat: bool = False
    """Lets machines without a public address reach the internet; Google's own APIs need none."""
    protect: bool = True
    """Keeps what cannot come back as it was: the network, its addresses, and those of the VPN."""

    def __post_init__(self) -> None:
        """Refuse what Google would refuse only half-way through."""
        if len(set(self.zones)) < FEWEST_ZONES:
            raise ValueError(f"a network needs two zones or more, not {list(self.zones)}")
        elsewhere = [zone for zone in self.zones if zone.rpartition("-")[0] != self.region]
        if elsewhere:
            raise ValueError(f"zones outside of {self.region}: {elsewhere}")
        if self.peer.asn == ASN:
            raise ValueError(
                f"{ASN} is the number of Google's end of the VPN: the peer needs another"
            )


class Network(pulumi.ComponentResource):
    """A private way from the company's machines to a cloud; fulfils ``shapes.Network``."""

    network: pulumi.Output[str]
    subnets: pulumi.Output[Sequence[str]]
    zones: pulumi.Output[Sequence[str]]
    tunnels: pulumi.Output[Sequence[str]]
    tunnel_secret: pulumi.Output[str]

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:gcp:Network", fitting(name), None, opts)
        site = Site(
            name=name, project=args.project, region=args.region, parent=self, protect=args.protect
        )
        # Protected, as everything lies in them and the company routes to their addresses.
        network = compute.Network(
            f"{name}-network",
            project=args.project,
            auto_create_subnetworks=False,
            # The VPN's router tells the company about subnets in every region.
            routing_mode="GLOBAL",
            opts=site.kept,
        )
        subnet = compute.Subnetwork(
            f"{name}-subnet",
            project=args.project,
            region=args.region,
            network=network.id,
            ip_cidr_range=args.cidr,
            # Machines without a public address reach Cloud Storage and the other APIs.
            private_ip_google_access=True,
            opts=site.kept,
        )
        self._services = private_services(site, args.services, network)
        router = _router(site, network, args.services)
        if args.nat:
            _nat(site, router)
        vpn = join(site, network, router, args.peer)

        self.network = network.id
        self.subnets = subnet.id.apply(lambda one: [one])
        self.zones = pulumi.Output.from_input(list(args.zones))
        self.tunnels = vpn.addresses
        self.tunnel_secret = vpn.secret
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
    def services(self) -> PrivateServices:
        """Where Google's managed services answer inside this network."""
        return self._services


def _router(site: Site, network: compute.Network, services: str) -> compute.Router:
    return compute.Router(
        f"{site.name}-router",
        project=site.project,
        region=site.region,
        network=network.id,
        bgp={
            "asn": ASN,
            # By itself a router tells of subnets, but not of the range of peered services.
            "advertise_mode": "CUSTOM",
            "advertised_groups": ["ALL_SUBNETS"],
            "advertised_ip_ranges": [
                {"range": services, "description": "Google's managed services"}
            ],
        },
        opts=site.child,
    )


def _nat(site: Site, router: compute.Router) -> None:
    compute.RouterNat(
        f"{site.name}-nat",
        project=site.project,
        region=site.region,
        router=router.name,
        nat_ip_allocate_option="AUTO_ONLY",
        source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
        opts=site.child,
    )
