"""Plans in the shape the engine prints, made of a small stack on AWS or Google Cloud.

The shape is that of `pulumi preview --json --show-sames --ignore-protect` of engine 3.259: a test
compares it with ``recorded_plan.json``, which that engine printed for the program of
``tests/engine/test_gate.py`` (with the positions in source files taken out).
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded_plan.json")
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
STACK = "prod"
ROOT = f"urn:pulumi:{STACK}::spillway::pulumi:pulumi:Stack::spillway-{STACK}"
AWS_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::store", "arn:aws:s3:::store/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}


@dataclass
class Made:
    """A resource that exists."""

    component: str
    """``aws:Database database``; empty for one that stands alone."""
    type: str
    name: str
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    protect: bool = True

    @property
    def parent(self) -> str:
        kind, _, name = self.component.partition(" ")
        return f"urn:pulumi:{STACK}::spillway::spillway:{kind}::{name}" if kind else ROOT

    @property
    def urn(self) -> str:
        kind = self.component.partition(" ")[0]
        chain = f"spillway:{kind}${self.type}" if kind else self.type
        return f"urn:pulumi:{STACK}::spillway::{chain}::{self.name}"

    def state(self) -> dict[str, Any]:
        return {
            "urn": self.urn,
            "custom": True,
            "id": f"{self.name}-1234567",
            "type": self.type,
            "inputs": copy.deepcopy(self.inputs),
            "outputs": {**copy.deepcopy(self.inputs), **self.outputs},
            "parent": self.parent,
            "protect": self.protect,
            "propertyDependencies": {name: [] for name in self.inputs},
        }


AWS = (
    Made(
        "aws:Network network",
        "aws:ec2/vpc:Vpc",
        "network",
        {"cidrBlock": "10.64.0.0/16", "enableDnsHostnames": True},
    ),
    Made(
        "aws:Network network",
        "aws:ec2/subnet:Subnet",
        "network-a",
        {"cidrBlock": "10.64.0.0/18", "availabilityZone": "eu-central-1a"},
    ),
    Made(
        "aws:Network network",
        "aws:ec2/vpnConnection:VpnConnection",
        "network-vpn",
        {
            "staticRoutesOnly": False,
            "type": "ipsec.1",
            "presharedKeyStorage": "SecretsManager",
        },
    ),
    Made(
        "aws:Database database",
        "aws:kms/key:Key",
        "database-key",
        {"enableKeyRotation": True, "deletionWindowInDays": 30},
    ),
    Made(
        "aws:Database database",
        "aws:rds/instance:Instance",
        "database",
        {
            "engine": "postgres",
            "engineVersion": "17",
            "instanceClass": "db.t4g.medium",
            "allocatedStorage": 50,
            "multiAz": True,
            "dbName": "mlflow",
            "username": "mlflow",
            "manageMasterUserPassword": True,
            "deletionProtection": True,
            "backupRetentionPeriod": 14,
            "skipFinalSnapshot": False,
            "storageEncrypted": True,
            "publiclyAccessible": False,
        },
    ),
    Made(
        "aws:Database database",
        "aws:rds/parameterGroup:ParameterGroup",
        "database-parameters",
        {"family": "postgres17", "parameters": [{"name": "rds.force_ssl", "value": "1"}]},
        protect=False,
    ),
    Made(
        "aws:ObjectStore object-store",
        "aws:s3/bucket:Bucket",
        "object-store",
        {"forceDestroy": False},
        {"bucket": "object-store-5c0ffee"},
    ),
    Made(
        "aws:ObjectStore object-store",
        "aws:s3/bucketVersioning:BucketVersioning",
        "object-store-versions",
        {"versioningConfiguration": {"status": "Enabled"}},
        protect=False,
    ),
    Made(
        "aws:ObjectStore object-store",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "object-store-lifecycle",
        {
            "rules": [
                {"id": "old", "noncurrentVersionExpiration": {"noncurrentDays": 30}},
                {"id": "markers", "expiration": {"expiredObjectDeleteMarker": True}},
            ]
        },
        protect=False,
    ),
    Made(
        "aws:ObjectStore object-store",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "object-store-public-access",
        {
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        protect=False,
    ),
    Made(
        "aws:ObjectStore object-store",
        "aws:s3/bucketPolicy:BucketPolicy",
        "object-store-policy",
        {"policy": json.dumps(AWS_POLICY)},
        protect=False,
    ),
    Made(
        "aws:Identity identity",
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "identity",
        {"url": "https://oidc.example.com", "clientIdLists": ["sts.amazonaws.com"]},
    ),
    Made(
        "aws:Identity identity",
        "aws:iam/role:Role",
        "identity-vision",
        {"assumeRolePolicy": json.dumps({"Statement": []})},
        protect=False,
    ),
    Made(
        "aws:Registry registry",
        "aws:ecr/repository:Repository",
        "registry-mlflow",
        {"name": "spillway/mlflow", "imageTagMutability": "IMMUTABLE"},
    ),
)

GCP = (
    Made(
        "gcp:Network network",
        "gcp:compute/network:Network",
        "network",
        {"autoCreateSubnetworks": False},
    ),
    Made(
        "gcp:Network network",
        "gcp:compute/subnetwork:Subnetwork",
        "network-subnet",
        {"ipCidrRange": "10.96.0.0/20"},
    ),
    Made("gcp:Network network", "gcp:compute/vPNTunnel:VPNTunnel", "network-0", {}),
    Made("gcp:Network network", "gcp:compute/vPNTunnel:VPNTunnel", "network-1", {}),
    Made(
        "gcp:Database database",
        "random:index/randomPassword:RandomPassword",
        "database-password",
        {"length": 32, "special": False},
        {"result": "[secret]"},
    ),
    Made(
        "gcp:Database database",
        "gcp:sql/databaseInstance:DatabaseInstance",
        "database",
        {
            "databaseVersion": "POSTGRES_17",
            "deletionProtection": True,
            "settings": {
                "tier": "db-custom-2-4096",
                "availabilityType": "REGIONAL",
                "diskSize": 50,
                "deletionProtectionEnabled": True,
                "retainBackupsOnDelete": True,
                "backupConfiguration": {"enabled": True, "pointInTimeRecoveryEnabled": True},
                "ipConfiguration": {"ipv4Enabled": False, "sslMode": "ENCRYPTED_ONLY"},
            },
        },
    ),
    Made(
        "gcp:Database database",
        "gcp:sql/database:Database",
        "database-mlflow",
        {"name": "mlflow"},
    ),
    Made(
        "gcp:ObjectStore object-store",
        "gcp:storage/bucket:Bucket",
        "object-store",
        {
            "name": "object-store-5c0ffee",
            "forceDestroy": False,
            "versioning": {"enabled": True},
            "publicAccessPrevention": "enforced",
            "uniformBucketLevelAccess": True,
            "lifecycleRules": [
                {
                    "action": {"type": "Delete"},
                    "condition": {"daysSinceNoncurrentTime": 30, "withState": "ARCHIVED"},
                }
            ],
        },
    ),
    Made(
        "gcp:Identity identity",
        "gcp:storage/managedFolder:ManagedFolder",
        "identity-vision",
        {"name": "tenants/vision/"},
    ),
    Made(
        "gcp:Identity identity",
        "gcp:storage/managedFolderIamMember:ManagedFolderIamMember",
        "identity-vision-objects",
        {"member": "principalSet://iam.example/vision", "role": "roles/storage.objectUser"},
        protect=False,
    ),
    Made(
        "gcp:Identity identity",
        "gcp:iam/workloadIdentityPool:WorkloadIdentityPool",
        "identity",
        {"workloadIdentityPoolId": "spillway"},
    ),
    Made(
        "gcp:Registry registry",
        "gcp:artifactregistry/repository:Repository",
        "registry",
        {"repositoryId": "spillway", "format": "DOCKER"},
    ),
)

KUBERNETES = (
    Made(
        "index:FencedNamespace platform",
        "kubernetes:core/v1:Namespace",
        "platform",
        {"metadata": {"name": "spillway"}},
    ),
    Made(
        "onprem:Database database",
        "kubernetes:core/v1:PersistentVolumeClaim",
        "database-data",
        {"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "5Gi"}}}},
    ),
    Made(
        "index:Mlflow mlflow",
        "kubernetes:apps/v1:Deployment",
        "mlflow",
        {"spec": {"replicas": 2}},
        protect=False,
    ),
)

NO_TRAFFIC = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def tenant(name: str) -> tuple[Made, ...]:
    """A team's namespace with its fences."""
    component, place = f"index:Tenant tenant-{name}", {"namespace": name}
    policy = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
    return (
        Made(
            component,
            "kubernetes:core/v1:Namespace",
            f"tenant-{name}-namespace",
            {"metadata": {"name": name, "labels": {"spillway.dev/tenant": "true"}}},
        ),
        Made(
            component,
            policy,
            f"tenant-{name}-default-deny",
            {"metadata": place, "spec": NO_TRAFFIC},
            protect=False,
        ),
        Made(
            component,
            policy,
            f"tenant-{name}-tracking",
            {"metadata": place, "spec": {**NO_TRAFFIC, "egress": [{"to": [{"podSelector": {}}]}]}},
            protect=False,
        ),
        Made(
            component,
            "kubernetes:core/v1:ResourceQuota",
            f"tenant-{name}-quota",
            {"metadata": place, "spec": {"hard": {"requests.cpu": "8"}}},
            protect=False,
        ),
    )


ADMISSION = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
GUARD = (
    Made(
        "index:Guard guard",
        ADMISSION,
        "guard-pods-policy",
        {"spec": {"failurePolicy": "Fail", "validations": [{"expression": "true"}]}},
        protect=False,
    ),
    Made(
        "index:Guard guard",
        f"{ADMISSION}Binding",
        "guard-pods-binding",
        {"spec": {"validationActions": ["Deny"]}},
        protect=False,
    ),
)
TENANTS = (*tenant("vision"), *tenant("language"), *GUARD)

CONFIG: Mapping[str, Any] = {
    "cloud": "aws",
    "cluster": {
        "pools": {
            "a100": {
                "tier": "onprem",
                "accelerator": "a100-80gb",
                "gpusPerNode": 8,
                "nodes": ["gpu-0", "gpu-1"],
            },
            "l4": {"tier": "burst", "accelerator": "l4", "maxNodes": 8, "spot": True},
        }
    },
    "tenants": {
        "vision": {"quota": {"gpu": {"onprem": 4, "burst": 2}}},
        "language": {"quota": {"gpu": {"onprem": 8, "burst": 4}}},
    },
    "budget": {"idlePerMonth": 400, "burstPerHour": 12},
}


class Planned:
    """A plan to be edited; without edits, nothing changes."""

    def __init__(self, *made: Made) -> None:
        self.made = {resource.urn: resource for resource in made}
        self.steps: dict[str, dict[str, Any]] = {}
        self.diagnostics: list[dict[str, Any]] = []
        for resource in made:
            state = resource.state()
            self.steps[resource.urn] = self._step("same", resource, state, copy.deepcopy(state))

    def urn(self, name: str, kind: str = "") -> str:
        found = [u for u, m in self.made.items() if m.name == name and m.type.endswith(kind)]
        assert len(found) == 1, f"{name} {kind}: {found}"
        return found[0]

    def update(self, name: str, kind: str = "", /, **changes: Any) -> str:
        return self._change("update", name, kind, changes)

    def replace(self, name: str, kind: str = "", /, **changes: Any) -> str:
        return self._change("replace", name, kind, changes)

    def delete(self, name: str, kind: str = "") -> str:
        step = self.steps[urn := self.urn(name, kind)]
        del step["newState"]
        step["op"] = "delete"
        return urn

    def create(self, resource: Made) -> str:
        self.made[resource.urn] = resource
        self.steps[resource.urn] = self._step("create", resource, None, resource.state())
        return resource.urn

    def json(self) -> dict[str, Any]:
        components = {m.parent for m in self.made.values()} - {ROOT}
        steps = [self._plain(ROOT, "pulumi:pulumi:Stack")]
        steps += [self._plain(urn, urn.split("::")[2]) for urn in sorted(components)]
        steps += self.steps.values()
        summary: dict[str, int] = {}
        for step in steps:
            summary[step["op"]] = summary.get(step["op"], 0) + 1
        document = {
            "config": {f"spillway:{k}": _text(v) for k, v in CONFIG.items()},
            "steps": steps,
            "diagnostics": self.diagnostics,
            "duration": 916289286,
            "changeSummary": summary,
        }
        return json.loads(json.dumps(document))

    def _change(self, op: str, name: str, kind: str, changes: Mapping[str, Any]) -> str:
        step = self.steps[urn := self.urn(name, kind)]
        step["op"] = op
        suffix = "-replace" if op == "replace" else ""
        step["detailedDiff"] = {}
        for path, value in changes.items():
            dotted = path.replace("__", ".")
            _put(step["newState"]["inputs"], dotted.split("."), value)
            step["detailedDiff"][dotted] = {"kind": f"update{suffix}", "inputDiff": True}
        step["diffReasons" if op == "update" else "replaceReasons"] = sorted(
            {path.partition("__")[0] for path in changes}
        )
        return urn

    @staticmethod
    def _step(
        op: str, resource: Made, old: dict[str, Any] | None, new: dict[str, Any] | None
    ) -> dict[str, Any]:
        package = resource.type.partition(":")[0]
        step: dict[str, Any] = {
            "op": op,
            "urn": resource.urn,
            "provider": f"urn:pulumi:{STACK}::spillway::pulumi:providers:{package}::cloud::1234",
            "detailedDiff": None,
        }
        return step | ({"oldState": old} if old else {}) | ({"newState": new} if new else {})

    @staticmethod
    def _plain(urn: str, kind: str) -> dict[str, Any]:
        state = {"urn": urn, "custom": False, "type": kind}
        if urn != ROOT:
            state["parent"] = ROOT
        return {
            "op": "same",
            "urn": urn,
            "oldState": state,
            "newState": dict(state),
            "detailedDiff": None,
        }


def _put(inputs: Any, path: list[str], value: Any) -> None:
    for name in path[:-1]:
        inputs = inputs.setdefault(name, {})
    inputs[path[-1]] = value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
