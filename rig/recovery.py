"""After an engine was killed: what it was making is looked for, so that nothing is made twice.

Before the engine makes a resource it writes so into the state: a pending operation, with the inputs
and so with the name it chose. Nothing comes of that by itself: the next ``up`` makes the resource
again, and `pulumi refresh --import-pending-creates` (3.259) turns the operation into an import that
no part of the engine carries out; the next write of the state drops it. So this puts such resources
into the state itself, with the id that follows from the name, and lets a refresh of these alone
read them: what is not there is dropped again.
"""

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rig.errors import RigError

Resource = dict[str, Any]
Engine = Callable[[Sequence[str]], str]
"""Runs a command of the engine on the stack, and gives what it printed."""

_COMPUTE: Final = "projects/{project}/global"
_REGIONAL: Final = "projects/{project}/regions/{region}"
_POOL: Final = "projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}"

IDS: Final[Mapping[str, str]] = {
    "aws:autoscaling/group:Group": "{name}",
    "aws:ec2/vpnGatewayRoutePropagation:VpnGatewayRoutePropagation": (
        "{vpnGatewayId}_{routeTableId}"
    ),
    "aws:ecr/repository:Repository": "{name}",
    "aws:iam/instanceProfile:InstanceProfile": "{name}",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": (
        "arn:{partition}:iam::{account}:oidc-provider/{issuer}"
    ),
    "aws:iam/role:Role": "{name}",
    "aws:iam/rolePolicy:RolePolicy": "{role}:{name}",
    "aws:rds/instance:Instance": "{identifier}",
    "aws:rds/parameterGroup:ParameterGroup": "{name}",
    "aws:rds/subnetGroup:SubnetGroup": "{name}",
    "aws:s3/bucket:Bucket": "{bucket}",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "{bucket}",
    "aws:s3/bucketObjectv2:BucketObjectv2": "{bucket}/{key}",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "{bucket}",
    "aws:s3/bucketPolicy:BucketPolicy": "{bucket}",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "{bucket}",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "{bucket}"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": "{bucket}",
    "gcp:artifactregistry/repository:Repository": (
        "projects/{project}/locations/{location}/repositories/{repositoryId}"
    ),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": (
        "projects/{project}/locations/{location}/repositories/{repository}/{role}/{member}"
    ),
    "gcp:compute/externalVpnGateway:ExternalVpnGateway": f"{_COMPUTE}/externalVpnGateways/{{name}}",
    "gcp:compute/firewall:Firewall": f"{_COMPUTE}/firewalls/{{name}}",
    "gcp:compute/globalAddress:GlobalAddress": f"{_COMPUTE}/addresses/{{name}}",
    "gcp:compute/haVpnGateway:HaVpnGateway": f"{_REGIONAL}/vpnGateways/{{name}}",
    "gcp:compute/instanceGroupManager:InstanceGroupManager": (
        "projects/{project}/zones/{zone}/instanceGroupManagers/{name}"
    ),
    "gcp:compute/instanceTemplate:InstanceTemplate": f"{_COMPUTE}/instanceTemplates/{{name}}",
    "gcp:compute/network:Network": f"{_COMPUTE}/networks/{{name}}",
    "gcp:compute/networkPeeringRoutesConfig:NetworkPeeringRoutesConfig": (
        f"{_COMPUTE}/networks/{{network}}/networkPeerings/{{peering}}"
    ),
    "gcp:compute/router:Router": f"{_REGIONAL}/routers/{{name}}",
    "gcp:compute/routerInterface:RouterInterface": "{region}/{router}/{name}",
    "gcp:compute/routerNat:RouterNat": f"{_REGIONAL}/routers/{{router}}/{{name}}",
    "gcp:compute/routerPeer:RouterPeer": f"{_REGIONAL}/routers/{{router}}/{{name}}",
    "gcp:compute/subnetwork:Subnetwork": f"{_REGIONAL}/subnetworks/{{name}}",
    "gcp:compute/vPNTunnel:VPNTunnel": f"{_REGIONAL}/vpnTunnels/{{name}}",
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": _POOL,
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": (
        f"{_POOL}/providers/{{workloadIdentityPoolProviderId}}"
    ),
    "gcp:projects/iAMCustomRole:IAMCustomRole": "projects/{project}/roles/{roleId}",
    "gcp:projects/iAMMember:IAMMember": "{project}/{role}/{member}",
    "gcp:secretmanager/secret:Secret": "projects/{project}/secrets/{secretId}",
    "gcp:secretmanager/secretIamMember:SecretIamMember": "{secretId}/{role}/{member}",
    "gcp:serviceaccount/account:Account": (
        "projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com"
    ),
    "gcp:servicenetworking/connection:Connection": "{quotedNetwork}:{service}",
    "gcp:sql/database:Database": "projects/{project}/instances/{instance}/databases/{name}",
    "gcp:sql/databaseInstance:DatabaseInstance": "{name}",
    "gcp:sql/user:User": "{name}/{host?}/{instance}",
    "gcp:storage/bucket:Bucket": "{name}",
    "gcp:storage/managedFolder:ManagedFolder": "{bucket}/{name}",
    "gcp:storage/managedFolderIamMember:ManagedFolderIamMember": (
        "b/{bucket}/managedFolders/{managedFolder}/{role}/{member}"
    ),
}
"""By type, the id that follows from inputs and provider; for Kubernetes it is the name."""

NAMELESS: Final = frozenset(
    {
        "aws:ec2/customerGateway:CustomerGateway",
        # The VPC's own: to make it again is to take it.
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "aws:ec2/eip:Eip",
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ec2/natGateway:NatGateway",
        "aws:ec2/route:Route",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/vpc:Vpc",
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "aws:ec2/vpnConnection:VpnConnection",
        "aws:ec2/vpnGateway:VpnGateway",
        "aws:kms/key:Key",
        "aws:secretsmanager/secret:Secret",
        "aws:secretsmanager/secretVersion:SecretVersion",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        # Numbered by Google: a second version of the same content, of which the last one counts.
        "gcp:secretmanager/secretVersion:SecretVersion",
    }
)
"""Types whose ids the cloud draws: one that was being made cannot be told from others."""

_STATELESS: Final = ("random:", "pulumi:")
"""Of these nothing exists but what the state says."""
_MANAGER, _MANAGERS = "__fieldManager", "pulumi-kubernetes-"
"""Where its provider notes under which name it applied an object, and how such names start."""
_EVERY, _TIMES = 15, 240
_FIELD: Final = re.compile(r"{(\w+)(\??)}")


@dataclass
class Interrupted:
    """What was being made when the engine was killed."""

    guessed: list[str] = field(default_factory=list[str])
    """URNs with an id that follows from their name, put into the state to be read."""
    unknown: list[str] = field(default_factory=list[str])
    """URNs that may exist without anybody knowing their id."""
    again: list[str] = field(default_factory=list[str])
    """URNs of what exists in the state alone."""


def mend(engine: Engine, stack: str, config: Path, notes: Path) -> None:
    """Takes over what exists of the pending creations and drops the others from the state.

    `notes` is a file for what was guessed until it is read: should this be interrupted as well, the
    next one goes on. Nobody else may change the stack meanwhile.
    """
    exported = _export(engine)
    found = adopt(exported["deployment"])
    if notes.exists():
        before = Interrupted(**json.loads(notes.read_text()))
        there = {resource["urn"] for resource in _resources(exported)}
        found.guessed += [u for u in before.guessed if u in there and u not in found.guessed]
        found.unknown += [urn for urn in before.unknown if urn not in found.unknown]
        found.again += [urn for urn in before.again if urn not in found.again]
    if not (found.guessed or found.unknown or found.again):
        notes.unlink(missing_ok=True)
        return
    notes.write_text(json.dumps(vars(found)))
    _import(engine, notes.parent, exported)
    taken = _read(engine, config, found.guessed)
    _sign(engine, notes.parent, taken)
    for line in report(stack, found, taken):
        sys.stderr.write(f"warning: {line}\n")
    notes.unlink()


def adopt(deployment: dict[str, Any]) -> Interrupted:
    """Puts every pending creation with a known id among the resources; forgets the others."""
    found = Interrupted()
    resources: list[Resource] = deployment.get("resources") or []
    for operation in deployment.pop("pending_operations", None) or []:
        resource: Resource = operation["resource"]
        urn, kind = str(resource["urn"]), str(resource["type"])
        if operation["type"] != "creating":
            continue  # it is in the state as it was before: the next operation repeats it
        if kind.startswith(_STATELESS):
            found.again.append(urn)
        elif (identifier := identify(resource, resources)) is None:
            found.unknown.append(urn)
        else:
            found.guessed.append(urn)
            outputs = _public(resource.get("inputs") or {})
            _insert(resources, {**resource, "id": identifier, "outputs": outputs})
    deployment["resources"] = _ordered(resources)
    return found


def identify(resource: Resource, resources: Iterable[Resource]) -> str | None:
    """The id that a provider gives to a resource with these inputs, where that can be known."""
    kind, inputs = str(resource["type"]), resource.get("inputs") or {}
    resources = list(resources)
    if {*_references(resource)} - {str(other["urn"]) for other in resources}:
        return None
    if kind.startswith("kubernetes:"):
        metadata = inputs.get("metadata") or {}
        names = [metadata.get("namespace"), metadata.get("name")]
        return "/".join(name for name in names if name) if names[1] else None
    if kind not in IDS:
        return None
    known = {**_surroundings(resource, resources), **inputs}
    known["issuer"] = str(known.get("url", "")).removeprefix("https://")
    known["quotedNetwork"] = quote(str(known.get("network", "")), safe="")
    fields = _FIELD.findall(IDS[kind])
    if any(not optional and not _text(known.get(name)) for name, optional in fields):
        return None
    return _FIELD.sub(lambda match: _text(known.get(match[1])), IDS[kind])


def report(stack: str, found: Interrupted, taken: Iterable[str]) -> Iterable[str]:
    """What there is to tell, in a line, or in two where something must be looked for."""
    taken = set(taken)
    there = [urn for urn in found.guessed if urn in taken]
    missing = [*(urn for urn in found.guessed if urn not in taken), *found.again]
    parts = [f"taken over {_names(there)}"] if there else []
    parts += [f"not there: {_names(missing)}"] if missing else []
    parts += [f"not to be found by name: {_names(found.unknown)}"] if found.unknown else []
    yield f"{stack} was interrupted while it made something: {'; '.join(parts)}"
    if found.unknown:
        kinds = ", ".join(f"{_kind(urn)} {_name(urn)}" for urn in found.unknown)
        yield (
            f"there may be two of {kinds}: look for one that the state does not know by the "
            f"tags project=spillway, stack={stack.lower()} in the cloud's console, and delete it"
        )


# -- the state ------------------------------------------------------------------------------------


def _read(engine: Engine, config: Path, urns: Sequence[str]) -> set[str]:
    """Lets the providers say which of these exist; waits for those that are not finished."""
    if not urns:
        return set()
    targets = [word for urn in urns for word in ("--target", urn)]
    for attempt in range(_TIMES):
        engine(["refresh", "--yes", "--skip-preview", "--config-file", str(config), *targets])
        found = {r["urn"]: r for r in _resources(_export(engine)) if not r.get("delete")}
        waiting = [urn for urn in urns if urn in found and unfinished(found[urn])]
        if not waiting:
            return {urn for urn in urns if urn in found}
        if not attempt:
            sys.stderr.write(f"waiting for {_names(waiting)}, which the cloud is still making\n")
        targets = [word for urn in waiting for word in ("--target", urn)]
        time.sleep(_EVERY)
    raise RigError(f"the cloud is still making what an interrupted run asked for: {_names(urns)}")


def _sign(engine: Engine, folder: Path, urns: Collection[str]) -> None:
    """Lets the engine change Kubernetes objects under the name it made them with.

    The name is drawn at creation and was lost with the state; the object itself tells it. Under
    another one every field would belong to somebody else, and the next change be a conflict.
    """
    objects = {urn for urn in urns if _kind(urn).startswith("kubernetes:")}
    if not objects:
        return
    exported = _export(engine)
    claimed = [claim(one) for one in _resources(exported) if one["urn"] in objects]
    if any(claimed):
        _import(engine, folder, exported)


def claim(resource: Resource) -> bool:
    """Whether its state now names another field manager: the one that applied the live object."""
    outputs = resource.get("outputs") or {}
    entries = (outputs.get("metadata") or {}).get("managedFields") or []
    appliers = [
        entry["manager"]
        for entry in entries
        if entry.get("operation") == "Apply" and str(entry.get("manager")).startswith(_MANAGERS)
    ]
    if len(appliers) != 1 or outputs.get(_MANAGER) == appliers[0]:
        return False
    outputs[_MANAGER] = appliers[0]
    return True


def unfinished(resource: Resource) -> bool:
    """Whether it exists but has no address yet: others would be given an empty one."""
    outputs = resource.get("outputs") or {}
    match resource["type"]:
        case "aws:rds/instance:Instance":
            return outputs.get("status") == "creating" or not outputs.get("address")
        case "gcp:sql/databaseInstance:DatabaseInstance":
            return not outputs.get("firstIpAddress")
        case _:
            return False


def _import(engine: Engine, folder: Path, exported: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".json") as file:
        json.dump(exported, file)
        file.flush()
        engine(["stack", "import", "--file", file.name])


def _export(engine: Engine) -> dict[str, Any]:
    exported: dict[str, Any] = json.loads(engine(["stack", "export"]))
    return exported


def _resources(exported: dict[str, Any]) -> list[Resource]:
    return exported["deployment"].get("resources") or []


def _insert(resources: list[Resource], new: Resource) -> None:
    """As the engine would have: what it replaces is to be deleted, or is deleted already."""
    for old in [one for one in resources if one["urn"] == new["urn"] and not one.get("delete")]:
        if old.get("pendingReplacement"):
            resources.remove(old)
        else:
            old["delete"] = True
    resources.append(new)


def _ordered(resources: Sequence[Resource]) -> list[Resource]:
    """Everything after what it refers to, else as it was."""
    newest = {str(one["urn"]): one for one in resources if one.get("delete")}
    newest |= {str(one["urn"]): one for one in resources if not one.get("delete")}
    seen, ordered = set[int](), list[Resource]()

    def visit(one: Resource) -> None:
        if id(one) in seen:
            return
        seen.add(id(one))
        for urn in _references(one):
            if urn in newest:
                visit(newest[urn])
        ordered.append(one)

    for one in resources:
        visit(one)
    return ordered


def _references(resource: Resource) -> Iterable[str]:
    """The URNs of all it needs in the state."""
    if provider := resource.get("provider"):
        yield str(provider).rsplit("::", 1)[0]
    for name in ("parent", "deletedWith"):
        if resource.get(name):
            yield str(resource[name])
    yield from resource.get("dependencies") or ()
    for urns in (resource.get("propertyDependencies") or {}).values():
        yield from urns or ()


def _surroundings(resource: Resource, resources: Iterable[Resource]) -> dict[str, str]:
    """Account, project and region, which are the provider's or in what exists already."""
    urn = str(resource.get("provider", "")).rsplit("::", 1)[0]
    found: dict[str, str] = {}
    for other in resources:
        if other["urn"] == urn:
            inputs = other.get("inputs") or {}
            found |= {n: inputs[n] for n in ("project", "region") if _text(inputs.get(n))}
            accounts = re.findall(r"\d{12}", str(inputs.get("allowedAccountIds", "")))
            found |= {"account": accounts[0]} if len(accounts) == 1 else {}
        arn = str((other.get("outputs") or {}).get("arn", ""))
        if "account" not in found and (match := re.match(r"arn:[^:]+:[^:]+:[^:]*:(\d{12}):", arn)):
            found["account"] = match[1]
    found["partition"] = "aws-cn" if found.get("region", "").startswith("cn-") else "aws"
    return found


def _public(value: Any) -> Any:
    """Inputs as outputs: without the providers' own notes and what they only hand on."""
    if isinstance(value, list):
        return [_public(item) for item in value]
    if isinstance(value, dict):
        kept = {n: v for n, v in value.items() if not n.startswith("__") and not n.endswith("Wo")}
        return {name: _public(item) for name, item in kept.items()}
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _kind(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _names(urns: Iterable[str]) -> str:
    return ", ".join(sorted(map(_name, urns)))
