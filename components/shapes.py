"""What every cloud must offer, so that the rest of the platform need not know which one it is.

The outputs of a shape are the same everywhere; what differs between clouds is said where it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import pulumi
import pulumi_kubernetes as k8s

from components.cluster.nodes import NodePool
from components.pods import PullPolicy

Environment = Mapping[str, pulumi.Input[str]]
"""Variables of a pod, by name."""
STORAGE_LABEL = "spillway.dev/storage-client"
"""A namespace with this label set to "true" may connect to an object store in the cluster."""
TENANT_ACCOUNTS = ("notebook", "job", "model")
"""The service accounts of a tenant's namespace that open the tenant's storage."""


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


class DatabaseServer(Database, Protocol):
    """A database whose server has room for others."""

    def another(self, name: str, guest: "Guest") -> Database:
        """One more database on the server, of that name, with an owner of that name.

        Protected like the first, and reached at the same address.
        """
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


@dataclass(frozen=True, kw_only=True)
class Join:
    """How a machine in the cloud becomes a node of the cluster; nothing secret."""

    server: str
    """``https://host:6443``: the API server, which machines reach through the VPN."""
    version: str
    """Of k3s, such as ``v1.36.2+k3s1``: what the machine's image must have."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a burst pool is made of: the same in every cloud but for the names of things."""

    pool: NodePool
    machine: str
    """The cloud's machine type."""
    image: str
    """Of the machine's disk: the driver, k3s and what ``components.cluster.boot`` calls."""
    maximum: int
    """Machines at a time, in all zones together."""
    spot: bool = False
    """Cheaper ones that the cloud may take back at any time."""
    join: Join

    def __post_init__(self) -> None:
        if self.pool.tier != "burst":
            raise ValueError(f"{self.pool.name} is {self.pool.tier}: the cloud has none of it")
        if self.maximum < 1:
            raise ValueError(f"{self.pool.name} could never have a machine")


class BurstNodes(Protocol):
    """What all burst nodes of a stack share: who they are, and what they join with."""

    identity: pulumi.Output[str]
    """Whom a node acts as: a role's ARN, or the address of a service account. It may read the
    token and pull images, no more."""
    secret: pulumi.Output[str]
    """Name of the token in the cloud's own store. Its value is in no state and no user data."""


class BurstPool(Protocol):
    """Machines of one kind that come when work waits for them, and go again: none at first."""

    groups: pulumi.Output[Mapping[str, int]]
    """What the autoscaler scales, by its name for it (a group's name on AWS, its URL on GCP), and
    the most machines of each. Together they have no more than the pool may."""
    maximum: pulumi.Output[int]
    """Machines of the pool at a time."""


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
class Scaling:
    """What Cluster Autoscaler has to know of a cloud to scale groups in it."""

    provider: Literal["aws", "gce", "kwok"]
    """As its ``--cloud-provider`` calls the cloud; ``kwok`` plays one."""
    environment: Environment = field(default_factory=dict[str, pulumi.Input[str]])
    config: str | None = None
    """Content of its ``--cloud-config``, which it needs outside of Google's machines."""
    login: Login = field(default_factory=Login)
    """How its pod becomes somebody in the cloud."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """A tenant's own part of the object store, and what its pods need to use it.

    With all of this a pod reads and writes its tenant's part and sees nothing else.
    """

    uri: pulumi.Output[str]
    """``s3://…`` or ``gs://…``, without a slash at its end."""
    environment: Environment
    """Endpoint, region and the like; nothing secret. A store in the cluster has an endpoint and
    wants paths, not a name for each bucket."""
    credentials: Environment = field(default_factory=dict[str, pulumi.Input[str]])
    """Secret variables; none where the identity of a pod opens the bucket."""
    login: Login = field(default_factory=Login)
    """What a pod carries that runs as one of ``TENANT_ACCOUNTS``; its variables go with those of
    ``environment``, its rules with those of ``egress``."""
    egress: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]
    """The rules a pod's NetworkPolicy needs to reach the store."""
    ready: Sequence[pulumi.Resource]
    """What must be up before anyone connects: for ``depends_on``."""


class Landlord(Protocol):
    """Whoever gives tenants their storage: what knows both the bucket and who may open it."""

    def storage(self, tenant: str, namespace: pulumi.Input[str]) -> Storage:
        """A tenant's part; ``namespace`` is the tenant's, and exists by then. Once a tenant."""
        ...


@dataclass(frozen=True, kw_only=True)
class Guest:
    """Who gets a database on a server that is there, and the pod that can make it.

    A server in the cluster asks who connects; a cloud without an API for databases needs the pod.
    """

    consumers: Sequence[k8s.networking.v1.NetworkPolicyPeerArgsDict]
    """Pods that may connect."""
    namespace: pulumi.Input[str]
    """Of the platform: where the pod runs."""
    image: pulumi.Input[str]
    """Has Python with psycopg 3, and with what reads passwords that the cloud keeps."""
    python: str
    """Path of that Python."""
    uid: int
    """Whom the image runs as."""
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    login: Login = field(default_factory=Login)
    """How the pod becomes somebody who may read the password of the server's first user."""


@dataclass(kw_only=True)
class GuestDatabase:
    """What a guest gets; fulfils ``Database``, whose outputs are no constants."""

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    user: pulumi.Output[str]
    url: pulumi.Output[str]
    egress: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]
    ready: Sequence[pulumi.Resource]
    environment: Environment = field(default_factory=dict[str, pulumi.Input[str]])


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
