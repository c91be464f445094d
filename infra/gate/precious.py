"""What must not be deleted or replaced by accident, and why: one table, and what is locked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from infra.gate.plan import Change, Plan, Resource
from infra.gate.values import MISSING, SECRET, at, shown

_LINK = "the link between the clouds and the company breaks, and its other end must be set up anew"
_LOGIN = "whoever logs in through it is locked out"
_OPENS = "what it opens or encrypts knows the old value only"
_NETWORK = "everything in it goes with it"

PRECIOUS: Final[Mapping[str, str]] = {
    # data
    "aws:rds/instance:Instance": "the database goes; a snapshot is all that is left of it",
    "aws:rds/cluster:Cluster": "the database goes; a snapshot is all that is left of it",
    "gcp:sql/databaseInstance:DatabaseInstance": "the server goes with every database on it",
    "gcp:sql/database:Database": "the database goes with its content",
    "gcp:sql/user:User": "the owner of the database goes; what connects with it is locked out",
    "aws:s3/bucket:Bucket": "artifacts and models go with it",
    "aws:s3/bucketV2:BucketV2": "artifacts and models go with it",
    "gcp:storage/bucket:Bucket": "artifacts and models go with it",
    "gcp:storage/managedFolder:ManagedFolder": "a tenant's objects lose their guard, or go",
    "kubernetes:core/v1:PersistentVolumeClaim": "the volume goes with its data",
    "kubernetes:core/v1:PersistentVolume": "the volume goes with its data",
    "kubernetes:core/v1:Namespace": "everything in it goes with it, volumes included",
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": (
        "every object of its kind goes, in all namespaces"
    ),
    "aws:ecr/repository:Repository": "the images that pods run go with it",
    "gcp:artifactregistry/repository:Repository": "the images that pods run go with it",
    # keys
    "aws:kms/key:Key": "what it encrypted can never be read again, backups included",
    "gcp:kms/cryptoKey:CryptoKey": "what it encrypted can never be read again, backups included",
    "gcp:kms/keyRing:KeyRing": "its name is taken for ever, and its keys cannot be found again",
    "aws:secretsmanager/secret:Secret": "what reads it finds nothing",
    "gcp:secretmanager/secret:Secret": "what reads it finds nothing",
    "random:index/randomPassword:RandomPassword": _OPENS,
    "random:index/randomBytes:RandomBytes": _OPENS,
    "tls:index/privateKey:PrivateKey": _OPENS,
    # networks
    "aws:ec2/vpc:Vpc": _NETWORK,
    "aws:ec2/subnet:Subnet": _NETWORK,
    "gcp:compute/network:Network": _NETWORK,
    "gcp:compute/subnetwork:Subnetwork": _NETWORK,
    "gcp:compute/globalAddress:GlobalAddress": "the database's addresses are taken from it",
    "gcp:servicenetworking/connection:Connection": "the way to the database goes",
    "aws:ec2/vpnGateway:VpnGateway": _LINK,
    "aws:ec2/customerGateway:CustomerGateway": _LINK,
    "aws:ec2/vpnConnection:VpnConnection": _LINK,
    "gcp:compute/haVpnGateway:HaVpnGateway": _LINK,
    "gcp:compute/externalVpnGateway:ExternalVpnGateway": _LINK,
    "gcp:compute/vPNTunnel:VPNTunnel": _LINK,
    "gcp:compute/router:Router": _LINK,
    # identities
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "no pod can log in to the cloud",
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": (
        "no pod can log in to the cloud, and its name stays taken for 30 days"
    ),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": (
        "no pod can log in to the cloud, and its name stays taken for 30 days"
    ),
    "aws:iam/role:Role": _LOGIN,
    "gcp:serviceaccount/account:Account": _LOGIN,
    "gcp:storage/managedFolderIamMember:ManagedFolderIamMember": _LOGIN,
    "gcp:storage/bucketIAMMember:BucketIAMMember": _LOGIN,
}
"""Why the end of a resource of this type hurts.

Left out on purpose: StatefulSets and Deployments (their volumes are claims of their own), RandomId
(names; one that matters is locked), policies (their bucket or role counts), versions of secrets.
"""

GONE: Final = "the program no longer has it under this name"
FOLLOWS: Final = "something it depends on is replaced"
LOCKED: Final = "it is locked in the state (protect)"


@dataclass(frozen=True)
class Finding:
    """Something the gate refuses unless ``allow`` names its URN."""

    resource: Resource
    what: str
    """What happens: replaced, deleted, …"""
    why: str
    """What is lost."""
    because: str = ""
    """The reason in our own words, where no input is one."""
    forced: tuple[str, ...] = ()
    """The inputs that force it: foreign text."""


def losses(plan: Plan) -> Iterator[Finding]:
    """Every precious resource that the plan ends."""
    for resource in plan.resources:
        if not resource.gone:
            continue
        why = PRECIOUS.get(resource.type)
        if why is None and resource.old is not None and resource.old.protect:
            why = LOCKED
        if why is None:
            continue
        if resource.old is not None and resource.old.retain_on_delete:
            why = f"{why} (the old one stays in place, outside the stack)"
        done = "replaced" if resource.change is Change.REPLACE else "deleted"
        forced = tuple(difference(resource, path) for path in resource.reasons)
        if resource.change is Change.DELETE:
            yield Finding(resource, done, why, GONE)
        else:
            yield Finding(resource, done, why, FOLLOWS, forced)


def difference(resource: Resource, path: str) -> str:
    """``path: old → new``; no values of what is or could be secret."""
    old, new = at(resource.before, path), at(resource.after, path)
    if old is MISSING and new is MISSING:
        return path
    before, after = (shown(value, path, resource.type) for value in (old, new))
    if before == after or SECRET in (before, after):
        return path
    return f"{path}: {before} → {after}"
