"""What an RDS instance stands on: its keys, its subnets, its settings, and who may connect."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.aws.network import Network

ENGINE = "postgres"
PORT = 5432
KEY_DAYS = 30
"""How long a deleted key, and with it every snapshot, can still be brought back."""


@dataclass(frozen=True, kw_only=True)
class Birth:
    """What an instance is given once; another value replaces it. Nothing for an adopted one."""

    database: str | None = None
    user: str | None = None
    key: pulumi.Output[str] | None = None
    subnets: pulumi.Output[str] | None = None
    """Group of them; alone in this list, it could be changed, but not within the same VPC."""


def birth(
    name: str, database: str, network: Network, *, protect: bool, parent: pulumi.Resource
) -> Birth:
    """The key of an instance, where it lies, and whose it is."""
    key = aws.kms.Key(
        f"{name}-key",
        description="A database, its snapshots and its password",
        enable_key_rotation=True,
        deletion_window_in_days=KEY_DAYS,
        # Without it neither the database nor any of its snapshots opens again.
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
    group = aws.rds.SubnetGroup(
        f"{name}-subnets",
        subnet_ids=network.subnets,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return Birth(database=database, user=database, key=key.arn, subnets=group.name)


def last_snapshot(
    name: str, born: Birth, region: str, identifier: str | None, parent: pulumi.Resource
) -> pulumi.Output[str]:
    """A name for the snapshot that a deletion leaves behind.

    Another one for every instance: a name already taken would stop the deletion half-way.
    """
    life = random.RandomId(
        f"{name}-life",
        byte_length=4,
        keepers={
            "region": region,
            "identifier": identifier or "",
            "engine": ENGINE,
            "database": born.database or "",
            "user": born.user or "",
            "key": born.key or "",
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return pulumi.Output.format("{0}-final-{1}", name, life.hex)


def guard(
    name: str, vpc: pulumi.Output[str], clients: Sequence[str], parent: pulumi.Resource
) -> tuple[aws.ec2.SecurityGroup, Sequence[pulumi.Resource]]:
    """Let clients in. Nothing goes out: a group without rules for that has none."""
    child = pulumi.ResourceOptions(parent=parent)
    group = aws.ec2.SecurityGroup(
        f"{name}-clients", vpc_id=vpc, description="Clients of a database", opts=child
    )
    rules = [
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-from-{cidr.replace('/', '-')}",
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            cidr_ipv4=cidr,
            opts=child,
        )
        for cidr in dict.fromkeys(clients)
    ]
    return group, rules


def parameters(name: str, version: int, parent: pulumi.Resource) -> aws.rds.ParameterGroup:
    """The server's settings: it answers nobody who does not encrypt."""
    return aws.rds.ParameterGroup(
        f"{name}-parameters",
        family=f"{ENGINE}{version}",
        parameters=[{"name": "rds.force_ssl", "value": "1"}],
        opts=pulumi.ResourceOptions(parent=parent),
    )
