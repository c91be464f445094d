"""Changes in place that take a guard away: nothing is deleted today, something can be tomorrow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from infra.gate.plan import Change, Plan, Resource
from infra.gate.precious import GONE, Finding, difference
from infra.gate.values import at, get

Test = Callable[[Any, Any], bool]
"""Whether going from the first value to the second is dangerous."""


@dataclass(frozen=True)
class Danger:
    """A property of a type, and when its change is dangerous."""

    path: str
    test: Test
    why: str


def _off(old: Any, new: Any) -> bool:
    return old is True and new is not True


def _on(old: Any, new: Any) -> bool:
    return old is not True and new is True


def _leaves(value: str | list[str]) -> Test:
    return lambda old, new: old == value and new != value


def _number(value: Any) -> float | None:
    digits = "".join(c if c.isdigit() or c == "." else " " for c in str(value)).split()
    try:
        return float(digits[0]) if digits else None
    except ValueError:
        return None


def _lower(old: Any, new: Any) -> bool:
    before, after = _number(old), _number(new)
    return before is not None and after is not None and after < before


def _none_left(old: Any, new: Any) -> bool:
    return bool(_number(old)) and not _number(new)


_UNLOCK = "from then on the cloud lets it be deleted"
_BACK = "data files cannot go back to an older version"
_RESTORE = "it can no longer be restored to a moment in the past"
_SHRINK = "a disk cannot shrink: the cloud refuses, or starts an empty one"
_EMPTY = "from then on a delete takes everything in it along"
_KEEP = "what is overwritten or deleted from then on is lost"
_GUARD = "from then on a policy can make it public"
_FINAL = "a delete would leave no last snapshot"
_PLAIN = "connections without TLS would be accepted"
_UNJUDGED = "from then on a tenant's account makes any pod, and so reads every Secret of its team"
_UNFENCED = "from then on all pods of its namespace talk to anybody whom no other policy shuts out"
_UNLIMITED = "from then on its namespace takes as much of the cluster as it likes"

_RDS: Final = (
    Danger("deletionProtection", _off, _UNLOCK),
    Danger("engineVersion", _lower, _BACK),
    Danger("backupRetentionPeriod", _none_left, _RESTORE),
    Danger("allocatedStorage", _lower, _SHRINK),
    Danger("skipFinalSnapshot", _on, _FINAL),
    Danger("storageEncrypted", _off, "its disk would no longer be encrypted"),
)
_BUCKET: Final = (
    Danger("forceDestroy", _on, _EMPTY),
    Danger("versioning.enabled", _off, _KEEP),
)
_ADMISSION: Final = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
_BINDING: Final = f"{_ADMISSION}Binding"
_POLICY: Final = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_QUOTA: Final = "kubernetes:core/v1:ResourceQuota"
_NAMESPACE: Final = "kubernetes:core/v1:Namespace"
_WAYS: Final = ("ingress", "egress")
_MARK: Final = 'metadata.labels["spillway.dev/tenant"]'
"""What a tenant's namespace carries: components/labels.py, which needs Pulumi."""
_ACCESS_BLOCK: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls")

DANGERS: Final[Mapping[str, Sequence[Danger]]] = {
    "aws:rds/instance:Instance": _RDS,
    "gcp:sql/databaseInstance:DatabaseInstance": (
        Danger("deletionProtection", _off, _UNLOCK),
        Danger("settings.deletionProtectionEnabled", _off, _UNLOCK),
        Danger("databaseVersion", _lower, _BACK),
        Danger("settings.backupConfiguration.enabled", _off, _RESTORE),
        Danger("settings.backupConfiguration.pointInTimeRecoveryEnabled", _off, _RESTORE),
        Danger("settings.retainBackupsOnDelete", _off, _FINAL),
        Danger("settings.finalBackupConfig.enabled", _off, _FINAL),
        Danger("settings.diskSize", _lower, _SHRINK),
        Danger("settings.ipConfiguration.sslMode", _leaves("ENCRYPTED_ONLY"), _PLAIN),
    ),
    "aws:s3/bucket:Bucket": _BUCKET,
    "aws:s3/bucketV2:BucketV2": _BUCKET,
    "aws:s3/bucketVersioning:BucketVersioning": (
        Danger("versioningConfiguration.status", _leaves("Enabled"), _KEEP),
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": tuple(
        Danger(path, _off, _GUARD) for path in (*_ACCESS_BLOCK, "restrictPublicBuckets")
    ),
    "gcp:storage/bucket:Bucket": (
        *_BUCKET,
        Danger("publicAccessPrevention", _leaves("enforced"), _GUARD),
        Danger("uniformBucketLevelAccess", _off, "objects could be opened one by one"),
        Danger("softDeletePolicy.retentionDurationSeconds", _none_left, _KEEP),
    ),
    "gcp:storage/managedFolder:ManagedFolder": (Danger("forceDestroy", _on, _EMPTY),),
    "aws:kms/key:Key": (
        Danger(
            "isEnabled",
            lambda old, new: old is not False and new is False,
            "what it encrypts cannot be read",
        ),
        Danger("enableKeyRotation", _off, "a key that leaked stays good for ever"),
    ),
    "aws:ecr/repository:Repository": (
        Danger("forceDelete", _on, _EMPTY),
        Danger("imageTagMutability", _leaves("IMMUTABLE"), "an image could change under its tag"),
    ),
    _ADMISSION: (Danger("spec.failurePolicy", _leaves("Fail"), _UNJUDGED),),
    _BINDING: (Danger("spec.validationActions", _leaves(["Deny"]), _UNJUDGED),),
}
"""By type. A provider may replace instead of update: then ``precious`` speaks, not this."""

GUARDS: Final[Mapping[str, str]] = {
    "aws:s3/bucketVersioning:BucketVersioning": _KEEP,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _GUARD,
}
"""Resources that are nothing but a guard of something else: to delete one is to take it away."""


def dangers(plan: Plan) -> Iterator[Finding]:
    """Every guard that the plan takes away from something that stays."""
    ending = {r.state.parent for r in plan.resources if r.gone and "bucket:Bucket" in r.type}
    fences = _Fences(plan)
    for resource in plan.resources:
        if resource.change is Change.UPDATE:
            yield from _updates(resource)
        elif resource.change is Change.DELETE and (why := fences.lost(resource)):
            yield Finding(resource, "deleted", why, GONE)
        elif (
            resource.change is Change.DELETE
            and resource.type in GUARDS
            and resource.state.parent not in ending
        ):
            yield Finding(resource, "deleted", GUARDS[resource.type], GONE)


class _Fences:
    """What keeps tenants apart, and in their bounds: it may go with their namespaces alone."""

    def __init__(self, plan: Plan) -> None:
        spaces = [r for r in plan.resources if r.type == _NAMESPACE]
        self._going = {get(r.before, "metadata.name") for r in spaces if r.gone}
        self._tenants = any(at(r.state.inputs, _MARK) == "true" for r in spaces if not r.gone)

    def lost(self, resource: Resource) -> str | None:
        """Why the end of this resource hurts, if it does."""
        if resource.type in (_ADMISSION, _BINDING):
            return _UNJUDGED if self._tenants else None
        if get(resource.before, "metadata.namespace") in self._going:
            return None
        if resource.type == _QUOTA:
            return _UNLIMITED
        return _UNFENCED if _denies_all(resource) else None


def _denies_all(resource: Resource) -> bool:
    """Whether it is a policy for every pod of its namespace that lets nothing through."""
    spec = get(resource.before, "spec")
    if resource.type != _POLICY or not isinstance(spec, dict):
        return False
    return not any(cast("dict[str, Any]", spec).get(k) for k in ("podSelector", *_WAYS))


def _updates(resource: Resource) -> Iterator[Finding]:
    for danger in DANGERS.get(resource.type, ()):
        before, after = (get(v, danger.path) for v in (resource.before, resource.after))
        if danger.test(before, after):
            told = difference(resource, danger.path)
            yield Finding(resource, "weakened", danger.why, forced=(told,))
    if resource.type == "aws:rds/parameterGroup:ParameterGroup":
        before, after = (_parameter(v, "rds.force_ssl") for v in (resource.before, resource.after))
        if before == "1" and after != "1":
            told = f"rds.force_ssl: 1 → {after or 'default'}"
            yield Finding(resource, "weakened", _PLAIN, forced=(told,))
    if resource.type in _EXPIRY:
        wipes = _EXPIRY[resource.type]
        if wipes(resource.after) and not wipes(resource.before):
            why = "objects in use, not only old versions, would be deleted by age"
            yield Finding(resource, "weakened", why, "a lifecycle rule expires current objects")


def _parameter(inputs: Mapping[str, Any], name: str) -> str | None:
    for parameter in _maps(inputs.get("parameters")):
        if parameter.get("name") == name:
            return str(parameter.get("value"))
    return None


def _s3_wipes(inputs: Mapping[str, Any]) -> bool:
    """A rule that ends current versions; an expired delete marker is no object."""
    rules = _maps(inputs.get("rules"))
    return any(get(rule, "expiration.days") or get(rule, "expiration.date") for rule in rules)


def _gcs_wipes(inputs: Mapping[str, Any]) -> bool:
    for rule in _maps(inputs.get("lifecycleRules")):
        condition = cast("dict[str, Any]", rule.get("condition") or {})
        old_only = condition.get("withState") == "ARCHIVED" or any(
            condition.get(key)
            for key in ("numNewerVersions", "daysSinceNoncurrentTime", "noncurrentTimeBefore")
        )
        if get(rule, "action.type") == "Delete" and not old_only:
            return True
    return False


_EXPIRY: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _s3_wipes,
    "gcp:storage/bucket:Bucket": _gcs_wipes,
}


def _maps(value: Any) -> list[dict[str, Any]]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]
