"""The sections of a stack's settings: what each key may be, what it means, and its default.

The models are the reference: the JSON Schema for editors, the table in docs/config.md and the
error texts come from them. Rules that need more than one key are in ``rules``.
"""

import ipaddress
import json
import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from components.pods import PullPolicy

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
"""RFC 1123 label: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""
HOST = rf"{LABEL}(\.{LABEL})*"
GIB = 2**30
UNITS = {"": 1, **{u: 1000**i for i, u in enumerate("kMGTPE", 1)}} | {
    f"{u}i": 1024**i for i, u in enumerate("KMGTPE", 1)
}


def in_bytes(quantity: str) -> float:
    """A Kubernetes quantity without fractions of a unit below one; ``ValueError`` if it is none."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGTPE]i|[kMGTPE])?", quantity)
    if match is None:
        raise ValueError("not a quantity")
    return float(match[1]) * UNITS[match[2] or ""]


def _volume_size(quantity: str) -> str:
    if in_bytes(quantity) < GIB:
        raise ValueError("too small")
    return quantity


def _own_namespace(name: str) -> str:
    # The stack creates this namespace, fences it and deletes it on destroy.
    if name == "default" or name.startswith("kube-"):
        raise ValueError("belongs to the cluster")
    return name


def _cidr(network: str) -> str:
    return str(ipaddress.IPv4Network(network))


_RFC1918 = [ipaddress.IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
_DOCUMENTATION = ipaddress.IPv4Network("203.0.113.0/24")
"""RFC 5737: what examples use, never routed; refusing it would refuse every example."""


def _public(address: str) -> str:
    if (
        not ipaddress.IPv4Address(address).is_global
        and ipaddress.IPv4Address(address) not in _DOCUMENTATION
    ):
        raise ValueError("not public")
    return address


def _private(network: str) -> str:
    if not any(ipaddress.IPv4Network(network).subnet_of(block) for block in _RFC1918):
        raise ValueError("not private")
    return network


def _public_keys(text: str) -> str:
    """A JWKS without private parts: ``d`` and ``k`` are what must never leave the cluster."""
    keys = json.loads(text)["keys"]
    if not keys or any(not key.get("kty") or {"d", "k"} & key.keys() for key in keys):
        raise ValueError("not public keys")
    return text


def _as_text(value: Any) -> Any:
    """A JSON document may be written as YAML too."""
    return json.dumps(value) if isinstance(value, dict) else value


VolumeSize = Annotated[
    str,
    AfterValidator(_volume_size),
    Field(json_schema_extra={"pattern": r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE])?$"}),
]
HostName = Annotated[str, StringConstraints(pattern=rf"^{HOST}$", max_length=253)]
Origin = Annotated[str, StringConstraints(pattern=rf"^https://{HOST}(:[0-9]{{1,5}})?$")]
Cidr = Annotated[str, AfterValidator(_cidr)]
PrivateCidr = Annotated[str, AfterValidator(_cidr), AfterValidator(_private)]
PublicAddress = Annotated[str, AfterValidator(_public)]
PublicKeys = Annotated[str, BeforeValidator(_as_text), AfterValidator(_public_keys)]
Money = Annotated[float, Field(ge=0, strict=False, allow_inf_nan=False)]
NamespaceName = Annotated[
    str, StringConstraints(pattern=rf"^{LABEL}$"), AfterValidator(_own_namespace)
]
Urn = Annotated[str, StringConstraints(pattern=r"^urn:pulumi:[^:]+::spillway::[^:]+(:[^:]+)*::.+$")]
PoolName = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$")]
AMI = "the id of an AMI, such as ami-0123456789abcdef0"
GCP_IMAGE = (
    "an image, such as projects/example-ds/global/images/gpu-node-7 or "
    "projects/example-ds/global/images/family/gpu-node"
)
SIZES = "a Kubernetes quantity of at least 1Gi, such as 5Gi"
IMAGE = r"^[a-z0-9][^\s]*[:@][^\s/]+$"


def setting(default: Any, what: str, allowed: str, **limits: Any) -> Any:
    """A field with its description for people and the rule an error message quotes."""
    return Field(default, description=what, json_schema_extra={"allowed": allowed}, **limits)


class Section(BaseModel):
    """A group of settings; a key it does not know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Cloud(StrEnum):
    """Where work goes when the machines of the company are full."""

    NONE = "none"
    AWS = "aws"
    GCP = "gcp"


class Aws(Section):
    """The AWS account to burst into."""

    account: str = setting(
        ...,
        "Account the stack may change; any other is refused.",
        "twelve digits, in quotes",
        pattern=r"^[0-9]{12}$",
    )
    region: str = setting(
        ...,
        "Region of everything.",
        "a region such as eu-central-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
    )
    zones: tuple[Annotated[str, StringConstraints(pattern=r"^[a-f]$")], ...] = setting(
        ("a", "b"),
        "Zones of the region, by their letters.",
        "two to six different letters from a to f",
        min_length=2,
        max_length=6,
    )
    network: PrivateCidr = setting(
        "10.64.0.0/16",
        "Addresses of the VPC.",
        "a private network from /16 to /22, such as 10.64.0.0/16",
    )
    nat: StrictBool = setting(
        False,
        "A gateway to the internet, about $33 a month and zone; without it, by on-prem only.",
        "true or false",
    )
    image: str | None = setting(
        None,
        "What burst nodes start from; what must be in it: docs/clouds.md.",
        AMI,
        pattern=r"^ami-[0-9a-f]{8}([0-9a-f]{9})?$",
    )


class Gcp(Section):
    """The Google Cloud project to burst into."""

    project: str = setting(
        ...,
        "Project of everything.",
        "a project id: 6 to 30 lower-case letters, digits and '-'",
        pattern=r"^[a-z][-a-z0-9]{4,28}[a-z0-9]$",
    )
    region: str = setting(
        ...,
        "Region of everything.",
        "a region such as europe-west3",
        pattern=r"^[a-z]+-[a-z]+[0-9]+$",
    )
    zones: tuple[Annotated[str, StringConstraints(pattern=r"^[a-f]$")], ...] = setting(
        ("a", "b"),
        "Zones of the region, by their letters.",
        "two to six different letters from a to f",
        min_length=2,
        max_length=6,
    )
    network: PrivateCidr = setting(
        "10.96.0.0/20",
        "Addresses of the subnet.",
        "a private network from /16 to /24, such as 10.96.0.0/20",
    )
    services: PrivateCidr = setting(
        "10.97.0.0/20",
        "Addresses of Google's managed services, such as Cloud SQL.",
        "a private network from /16 to /24, such as 10.97.0.0/20",
    )
    nat: StrictBool = setting(
        False,
        "A gateway to the internet; without it, by on-prem only.",
        "true or false",
    )
    image: str | None = setting(
        None,
        "What burst nodes start from; what must be in it: docs/clouds.md.",
        GCP_IMAGE,
        pattern=r"^(https://www\.googleapis\.com/compute/v1/)?projects/[a-z][-a-z0-9.:]{4,61}"
        r"/global/images/(family/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?$",
    )


class ClusterNetwork(Section):
    """Addresses the cluster uses."""

    nodes: PrivateCidr | None = setting(
        None,
        "Addresses of the machines on-prem; clouds route them back through the VPN.",
        "a private network such as 10.10.0.0/16",
    )
    pods: Cidr | None = setting(
        None,
        "Pod addresses, so that pods do not pass as callers from outside the cluster.",
        "a network such as 10.42.0.0/16",
    )
    services: Cidr | None = setting(
        None,
        "Addresses of Services; no cloud network may overlap them.",
        "a network such as 10.43.0.0/16",
    )
    vpn_peer: PublicAddress | None = setting(
        None,
        "Public address of the VPN device on-prem.",
        "a public IPv4 address such as 203.0.113.10",
    )
    vpn_asn: StrictInt = setting(
        65010,
        "Number the VPN device speaks BGP with.",
        "a private AS number from 64512 to 65534, not 64512 or 64514, which the clouds take",
        ge=64512,
        le=65534,
    )


class Tier(StrEnum):
    """Whose machines a pool is made of."""

    ONPREM = "onprem"
    BURST = "burst"


class Accelerator(StrEnum):
    """GPUs by the names that infra/catalog.py translates into machine types."""

    T4 = "t4"
    L4 = "l4"
    A10G = "a10g"
    L40S = "l40s"
    A100_40GB = "a100-40gb"
    A100_80GB = "a100-80gb"
    H100 = "h100"


class Pool(Section):
    """Machines of one kind."""

    tier: Tier = setting(..., "Whose machines they are.", "one of onprem, burst")
    accelerator: Accelerator = setting(..., "Their GPU.", f"one of {', '.join(Accelerator)}")
    gpus_per_node: StrictInt = setting(
        1, "GPUs in one machine.", "a whole number from 1 to 16", ge=1, le=16
    )
    nodes: tuple[HostName, ...] = setting(
        (), "Names of the nodes, on-prem.", "a list of node names; for onprem pools only"
    )
    max_nodes: StrictInt | None = setting(
        None,
        "Most machines at a time, in the cloud.",
        "a whole number from 1 to 1000; for burst pools only",
        ge=1,
        le=1000,
    )
    spot: StrictBool | None = setting(
        None,
        "Cheaper machines that the cloud may take back.",
        "true or false; for burst pools only",
    )
    time_slices: StrictInt | None = setting(
        None,
        "Parts of each GPU that work by turns, each counted as a GPU; they share its memory.",
        "a whole number from 2 to 48; not together with mig",
        ge=2,
        le=48,
    )
    mig: str | None = setting(
        None,
        "Profile into which each GPU is cut by its driver, each part counted as a GPU.",
        "a MIG profile of the accelerator, such as 1g.10gb; for onprem pools only",
        min_length=1,
    )


class Join(Section):
    """How a machine in the cloud becomes a node: k3s, as an agent."""

    server: str = setting(
        ...,
        "The API server on-prem, as burst nodes reach it through the VPN.",
        "https://host:port, the host in cluster.network.nodes, such as https://10.10.0.5:6443",
        pattern=rf"^https://{HOST}:[0-9]{{1,5}}$",
    )
    version: str = setting(
        ...,
        "Version of k3s on the servers; a node whose image has another does not join.",
        "a version of k3s, such as v1.36.2+k3s1",
        pattern=r"^v1\.[0-9]{1,3}\.[0-9]{1,3}(-rc[0-9]{1,2})?\+k3s[0-9]{1,2}$",
    )


class Cluster(Section):
    """Which cluster the stack is installed in."""

    context: str | None = setting(
        None,
        "Context of the kubeconfig on this machine; without it, its current context.",
        "the name of a context",
        min_length=1,
    )
    issuer: Origin | None = setting(
        None,
        "The API server's --service-account-issuer; clouds believe tokens that carry it.",
        "an https URL without path, such as https://example-oidc.s3.eu-central-1.amazonaws.com",
    )
    jwks: PublicKeys | None = setting(
        None,
        "Public keys of those tokens.",
        "the output of: kubectl get --raw /openid/v1/jwks (public keys only)",
    )
    network: ClusterNetwork = setting(
        ClusterNetwork(),
        "Addresses the cluster uses.",
        "a map with: nodes, pods, services, vpnPeer, vpnAsn",
    )
    join: Join | None = setting(
        None,
        "How burst nodes join; its secret is spillway:joinToken.",
        "a map with: server, version",
    )
    pools: dict[PoolName, Pool] = setting(
        {},
        "Machines with GPUs, by the name of their pool.",
        "a map of names (lower-case letters, digits and '-', at most 20) to: tier, accelerator, "
        "gpusPerNode, nodes, maxNodes, spot, timeSlices, mig",
    )


class Placement(StrEnum):
    """What follows where no single machine has room for work that was admitted."""

    STRICT = "strict"
    ELASTIC = "elastic"


class Queueing(Section):
    """The queue for GPUs; there is one where there are pools."""

    placement: Placement = setting(
        Placement.STRICT,
        "Whether work waits until a machine of its pool has room (strict: quota.gpu.burst is a cap "
        "on what is spent), or also goes to the cloud beyond its tenant's cap (elastic).",
        "one of strict, elastic",
    )
    replicas: StrictInt = setting(
        1, "Pods of the queue's manager.", "a whole number from 1 to 5", ge=1, le=5
    )


class Operators(StrEnum):
    """Where the images of other projects' operators are from."""

    OFFICIAL = "official"
    BUILT = "built"


class Images(Section):
    """Where pods get their images from."""

    registry: str | None = setting(
        None,
        "Registry and path in front of every image name; without it, that of the cloud, or "
        "localhost/spillway where there is none.",
        "registry/path in lower case, without scheme and tag, such as localhost/spillway",
        pattern=r"^[a-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$",
    )
    pull_policy: PullPolicy = setting(
        PullPolicy.IF_NOT_PRESENT,
        "When a node asks the registry for an image.",
        "one of Always, IfNotPresent, Never",
    )
    tag: str | None = setting(
        None,
        "One tag for all images; without it, each image's tag follows from its content.",
        "an image tag: letters, digits, '.', '_', '-', at most 128",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$",
    )

    operators: Operators = setting(
        Operators.OFFICIAL,
        "Istio, cert-manager and Seldon: their projects' own images, or built like the others "
        "where no registry can be reached.",
        "one of official, built",
    )


class Storage(Section):
    """How volumes are made."""

    class_name: str | None = setting(
        None,
        "StorageClass of all volumes; without it, the cluster's default.",
        "the name of a StorageClass",
        pattern=rf"^{HOST}$",
    )


class DatabaseClass(StrEnum):
    """Machines of a managed database, by the names that infra/catalog.py translates."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    XLARGE = "xlarge"


class Database(Section):
    """The database for metadata."""

    size: VolumeSize = setting("20Gi", "Size of its volume; may grow later, never shrink.", SIZES)
    class_: DatabaseClass = setting(
        DatabaseClass.SMALL,
        "Machine it runs on, in a cloud.",
        f"one of {', '.join(DatabaseClass)}",
        alias="class",
    )
    version: StrictInt = setting(
        17,
        "Major version of PostgreSQL; never goes back.",
        "a whole number from 15 to 17, on-prem only 17",
        ge=15,
        le=17,
    )
    backup_days: StrictInt = setting(
        14,
        "Days back to which it can be restored, in a cloud.",
        "a whole number from 7 to 35",
        ge=7,
        le=35,
    )


class ObjectStore(Section):
    """The S3 store for artifacts."""

    size: VolumeSize = setting(
        "20Gi", "Size of its volume, on-prem; may grow later, never shrink.", SIZES
    )
    keep_days: StrictInt = setting(
        30,
        "Days for which overwritten and deleted objects can be brought back, in a cloud.",
        "a whole number from 1 to 3650",
        ge=1,
        le=3650,
    )


class Mlflow(Section):
    """The tracking server."""

    replicas: StrictInt = setting(
        2, "How many servers share the work.", "a whole number from 1 to 32", ge=1, le=32
    )
    workers: StrictInt = setting(
        2, "Processes in each server.", "a whole number from 1 to 32", ge=1, le=32
    )
    hosts: tuple[HostName, ...] = setting(
        (),
        "Names, besides those inside the cluster, under which clients reach the server.",
        "a list of host names without scheme, port or path, such as mlflow.example.com",
    )
    origins: tuple[Origin, ...] = setting(
        (),
        "Web origins, besides those of its own hosts, that may call the API from a browser.",
        "a list of origins such as https://ds.example.com",
    )
    node_port: StrictInt | None = setting(
        None,
        "Port on every node that leads to the server; needs cluster.network.pods.",
        "a whole number from 30000 to 32767",
        ge=30000,
        le=32767,
    )


class Budget(Section):
    """What a plan may cost at most; a preview over it is refused."""

    idle_per_month: Money | None = setting(
        None, "US dollars a month with nothing running.", "an amount in US dollars, 0 or more"
    )
    burst_per_hour: Money | None = setting(
        None,
        "US dollars an hour with all tenants at their burst quota.",
        "an amount in US dollars, 0 or more",
    )


class Prices(Section):
    """What the company's own machines cost; clouds have their list prices."""

    onprem_gpu_hour: Money = setting(
        0.35,
        "US dollars an hour of one GPU on-prem, power and write-off included.",
        "an amount in US dollars, 0 or more",
    )


class Adopt(Section):
    """What exists already and becomes part of the stack, protected from the first moment."""

    bucket: str | None = setting(
        None,
        "Name of a bucket to take over.",
        "the name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.'",
        pattern=r"^[a-z0-9][-a-z0-9.]{1,61}[a-z0-9]$",
    )
    database: str | None = setting(
        None,
        "Identifier of a database instance to take over.",
        "the identifier of an RDS or Cloud SQL instance",
        pattern=r"^[a-z][-a-z0-9]{0,62}$",
    )
