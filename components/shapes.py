"""What every cloud must offer, so that the rest of the platform need not know which one it is."""

from collections.abc import Sequence
from typing import Protocol

import pulumi
import pulumi_kubernetes as k8s


class Service(Protocol):
    """Something pods connect to."""

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """What must be up before anyone connects: for ``depends_on``."""
        ...

    @property
    def egress(self) -> k8s.networking.v1.NetworkPolicyEgressRuleArgsDict:
        """The rule a client's NetworkPolicy needs to reach it."""
        ...


class Database(Service, Protocol):
    """A PostgreSQL database with one user who owns it."""

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    user: pulumi.Output[str]
    password: pulumi.Output[str]
    """Secret."""
    url: pulumi.Output[str]
    """``postgresql://user:password@host:port/database``; secret."""


class ObjectStore(Service, Protocol):
    """A bucket that speaks the S3 protocol, and an account that owns this bucket only."""

    endpoint: pulumi.Output[str]
    bucket: pulumi.Output[str]
    region: pulumi.Output[str]
    access_key: pulumi.Output[str]
    """Secret."""
    secret_key: pulumi.Output[str]
    """Secret."""
    uri: pulumi.Output[str]
    """``s3://bucket``."""
