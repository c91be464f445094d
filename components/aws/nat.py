"""A way out to the internet for machines in private subnets, and no way in."""

import pulumi
import pulumi_aws as aws

ANYWHERE = "0.0.0.0/0"


def open_up(  # noqa: PLR0913 - a way from here to there
    name: str,
    vpc: aws.ec2.Vpc,
    routes: aws.ec2.RouteTable,
    zone: str,
    cidr: str,
    *,
    parent: pulumi.Resource,
) -> None:
    """Lead ``routes`` to the internet, by a gateway in a public subnet with this CIDR.

    One gateway, in one zone: a second one costs as much again, and burst machines can wait.
    """
    child = pulumi.ResourceOptions(parent=parent)
    internet = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=vpc.id, opts=child)
    outside = aws.ec2.RouteTable(f"{name}-public-routes", vpc_id=vpc.id, opts=child)
    way_out = aws.ec2.Route(
        f"{name}-public-to-internet",
        route_table_id=outside.id,
        destination_cidr_block=ANYWHERE,
        gateway_id=internet.id,
        opts=child,
    )
    subnet = aws.ec2.Subnet(
        f"{name}-public",
        vpc_id=vpc.id,
        availability_zone=zone,
        cidr_block=cidr,
        map_public_ip_on_launch=False,
        opts=child,
    )
    aws.ec2.RouteTableAssociation(
        f"{name}-public-uses-routes", subnet_id=subnet.id, route_table_id=outside.id, opts=child
    )
    address = aws.ec2.Eip(f"{name}-nat-address", domain="vpc", opts=child)
    nat = aws.ec2.NatGateway(
        f"{name}-nat",
        subnet_id=subnet.id,
        allocation_id=address.allocation_id,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[way_out]),
    )
    aws.ec2.Route(
        f"{name}-to-internet",
        route_table_id=routes.id,
        destination_cidr_block=ANYWHERE,
        nat_gateway_id=nat.id,
        opts=child,
    )
