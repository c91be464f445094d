"""Cloud Storage: buckets, managed folders, and who may use them.

https://cloud.google.com/storage/docs/buckets#naming and …/lifecycle
"""

from collections.abc import Iterator
from typing import Final

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref
from rig.plugins.cloud.rules import among, at_most, between, text
from rig.plugins.cloud.world import World
from rig.plugins.gcp.iam import grantee_rules, known_pool
from rig.plugins.values import Values

BUCKET: Final = "gcp:storage/bucket:Bucket"
FOLDER: Final = "gcp:storage/managedFolder:ManagedFolder"
_NAME: Final = (
    r"(?!goog)(?!.*(google|g00gle))(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)"
    r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"
)
_LOCATION: Final = r"(?i)US|EU|ASIA|NAM4|EUR[4578]|ASIA1|[a-z]+-[a-z]+\d{1,2}"
_CLASSES: Final = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL")
_WEEK, _MOST_SOFT = 604800, 7776000
_ABORT: Final = "AbortIncompleteMultipartUpload"
_CONDITIONS_OF_ABORT: Final = {"age", "matchesPrefixes", "matchesSuffixes"}


def _lifecycle(given: Given) -> Iterator[Failure]:
    for where, rule in given.each("lifecycleRules[*]"):
        action, condition = rule.get("action") or {}, rule.get("condition") or {}
        found = {name for name, value in condition.items() if value is not None}
        if not found:
            yield Failure(f"{where}.condition", "needs at least one condition")
        if action.get("type") == _ABORT and found - _CONDITIONS_OF_ABORT:
            other = ", ".join(sorted(found - _CONDITIONS_OF_ABORT))
            yield Failure(f"{where}.condition", f"{_ABORT} does not take {other}")
        if action.get("type") == "SetStorageClass" and not action.get("storageClass"):
            yield Failure(f"{where}.action.storageClass", "is required with SetStorageClass")


def _soft(given: Given) -> Iterator[Failure]:
    seconds = given.get("softDeletePolicy.retentionDurationSeconds")
    if seconds and not _WEEK <= seconds <= _MOST_SOFT:
        said = f"{seconds} must be 0, or {_WEEK} to {_MOST_SOFT} seconds"
        yield Failure("softDeletePolicy.retentionDurationSeconds", said)


def _uniform(given: Given, world: World, urn: str) -> Iterator[Failure]:
    del urn
    bucket = world.find(BUCKET, given.get("bucket"))
    if bucket and bucket.inputs.get("uniformBucketLevelAccess") is not True:
        yield Failure("bucket", f"{bucket.id} needs uniformBucketLevelAccess for managed folders")


def _not_public(given: Given, world: World, urn: str) -> Iterator[Failure]:
    yield from known_pool(given, world, urn)
    bucket = world.find(BUCKET, given.get("bucket"))
    everybody = given.get("member") in ("allUsers", "allAuthenticatedUsers")
    if bucket and everybody and bucket.inputs.get("publicAccessPrevention") == "enforced":
        yield Failure("member", f"{given.get('member')}: {bucket.id} prevents public access")


def _bucket(made: Made) -> Values:
    return {
        "url": f"gs://{made.id}",
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{made.id}",
        "projectNumber": int(made.place["number"]),
        "timeCreated": made.created,
        "updated": made.created,
        "storageClass": "STANDARD",
        "publicAccessPrevention": "inherited",
    }


KINDS: Final = [
    Kind(
        type=BUCKET,
        called="bucket",
        identify=lambda values, _: values["name"],
        name="name",
        handles=("selfLink", "url"),
        replaces=frozenset({"name", "location", "project", "enableObjectRetention"})
        | {"hierarchicalNamespace", "customPlacementConfig"},
        kept=frozenset({"softDeletePolicy"}),
        rules=[
            text("name", _NAME, "3 to 63 small letters, digits, - _ or ., and not Google's own"),
            text("location", _LOCATION, "a region, or US, EU or ASIA"),
            among("storageClass", *_CLASSES),
            among("publicAccessPrevention", "enforced", "inherited"),
            among("lifecycleRules[*].action.type", "Delete", "SetStorageClass", _ABORT),
            among("lifecycleRules[*].condition.withState", "LIVE", "ARCHIVED", "ANY"),
            between("lifecycleRules[*].condition.age", 0, 36500, "days"),
            between("lifecycleRules[*].condition.daysSinceNoncurrentTime", 0, 36500, "days"),
            between("retentionPolicy.retentionPeriod", 1, 3155760000, "seconds"),
            _lifecycle,
            _soft,
        ],
        outputs=_bucket,
    ),
    Kind(
        type=FOLDER,
        called="managed folder",
        identify=lambda values, _: f"{values['bucket']}/{values['name']}",
        name="name",
        handles=("name", "selfLink"),
        replaces=frozenset({"bucket", "name"}),
        rules=[
            text("name", r"[^/\r\n][^\r\n]*/", "end with a slash, and not begin with one"),
            at_most("name", 1024),
        ],
        refs=[Ref("bucket", BUCKET)],
        placed=_uniform,
        outputs=lambda made: {
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{made.id}",
            "metageneration": "1",
            "createTime": made.created,
            "updateTime": made.created,
        },
    ),
    Kind(
        type="gcp:storage/managedFolderIamMember:ManagedFolderIamMember",
        called="grant on a folder",
        identify=lambda v, _: (
            f"b/{v['bucket']}/managedFolders/{v['managedFolder']}/{v['role']}/{v['member']}"
        ),
        handles=(),
        replaces=frozenset({"bucket", "managedFolder", "member", "role", "condition"}),
        rules=grantee_rules(),
        refs=[Ref("bucket", BUCKET, blocks=False), Ref("managedFolder", FOLDER, blocks=False)],
        placed=_not_public,
        overwrites=True,
        outputs=lambda made: {"etag": made.hex("etag", 12)},
    ),
    Kind(
        type="gcp:storage/bucketIAMMember:BucketIAMMember",
        called="grant on a bucket",
        identify=lambda v, _: f"b/{v['bucket']}/{v['role']}/{v['member']}",
        handles=(),
        replaces=frozenset({"bucket", "member", "role", "condition"}),
        rules=grantee_rules(),
        refs=[Ref("bucket", BUCKET, blocks=False)],
        placed=_not_public,
        overwrites=True,
        outputs=lambda made: {"etag": made.hex("etag", 12)},
    ),
]
