"""What every cloud must offer, so that the rest of the platform need not know which one it is.

The outputs of a shape are the same everywhere; what differs between clouds is said where it does.
Burst pools of GPU nodes will join ``Network`` here when they exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pulumi
import pulumi_kubernetes as k8s

Environment = Mapping[str, pulumi.Input[str]]
"""Variables of a pod, by name."""


class Service(Protocol):
    """Something pods connect to."""

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """What must be up before anyone connects: for ``depends_on``."""
        ...

    @property
    def egress(self) -> Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]:
        """The rules a client's NetworkPolicy needs to reach it."""
        ...


class Database(Service, Protocol):
    """A PostgreSQL database with one user who owns it."""

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    user: pulumi.Output[str]
    url: pulumi.Output[str]
    """``postgresql://user:password@host:port/database?…``; secret.

    Without a password where the cloud keeps it: clients then fetch it with the identity of their
    pod, from what ``environment`` names.
    """

    @property
    def environment(self) -> Environment:
        """What a client needs besides the URL; nothing secret."""
        ...


class ObjectStore(Service, Protocol):
    """A bucket, private and versioned."""

    bucket: pulumi.Output[str]
    uri: pulumi.Output[str]
    """``s3://bucket`` or ``gs://bucket``: artifacts of the platform go below it."""

    @property
    def environment(self) -> Environment:
        """Endpoint, region and the like, under the names that boto3 or Google's client read."""
        ...

    @property
    def credentials(self) -> Environment:
        """Secret variables; none where the identity of a pod opens the bucket."""
        ...


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The company's end of the VPN."""

    address: str
    """Public IPv4 address of its VPN device."""
    asn: int
    """The number it speaks BGP with."""
    networks: Sequence[str]
    """CIDRs behind it."""


class Network(Protocol):
    """A private network in a cloud, joined to the company's own by two tunnels."""

    network: pulumi.Output[str]
    """Its id."""
    subnets: pulumi.Output[Sequence[str]]
    """Ids of the private subnets: one a zone on AWS, a single one that spans zones on GCP."""
    zones: pulumi.Output[Sequence[str]]
    """At least two."""
    tunnels: pulumi.Output[Sequence[str]]
    """Public addresses of the cloud's two tunnel ends, for the VPN device on-prem."""
    tunnel_secret: pulumi.Output[str]
    """Where operators read the pre-shared keys: the name of a secret in the cloud's own store."""


class Registry(Protocol):
    """Where the images of this repository are pushed to."""

    url: pulumi.Output[str]
    """Registry and path in front of an image's name."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """How a pod becomes somebody in a cloud without a key: a token that the cluster signs.

    Empty where there is no cloud.
    """

    environment: Environment = field(default_factory=dict[str, pulumi.Input[str]])
    volumes: Sequence[k8s.core.v1.VolumeArgsDict] = ()
    mounts: Sequence[k8s.core.v1.VolumeMountArgsDict] = ()
    egress: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict] = ()
    """Rules to reach the cloud's API, where the token is exchanged."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A service account of the cluster."""

    namespace: str
    account: str

    @property
    def name(self) -> str:
        """As the cluster writes it into the ``sub`` of its tokens."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"


class Identity(Protocol):
    """Who of the cluster may do what in the cloud."""

    issuer: pulumi.Output[str]
    """The cluster's ``--service-account-issuer``, whose tokens the cloud believes."""
    roles: pulumi.Output[Mapping[str, str]]
    """By tenant, the identity its pods act as: a role's ARN, or a principal set."""
    autoscaler: pulumi.Output[str]
    """The identity of Cluster Autoscaler."""
    tracking: pulumi.Output[str]
    """The identity of the tracking server and its migration."""

    def login(self, subject: Subject) -> Login:
        """What a pod that runs as this service account carries."""
        ...
