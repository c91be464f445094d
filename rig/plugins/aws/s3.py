"""S3: buckets, what belongs to them, and objects.

Names: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from rig.plugins.aws.kms import KEY
from rig.plugins.aws.names import KMS_ARN, named, partition
from rig.plugins.aws.policies import policy, texts
from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref
from rig.plugins.cloud.rules import among, at_most, between, count, exclusive, text, with_other
from rig.plugins.cloud.world import World
from rig.plugins.values import Values

BUCKET: Final = "aws:s3/bucket:Bucket"
OBJECT: Final = "aws:s3/bucketObjectv2:BucketObjectv2"
BLOCK: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_NAME: Final = (
    r"(?!\d+\.\d+\.\d+\.\d+$)(?!xn--)(?!sthree-)(?!amzn-s3-demo-)(?!.*(-s3alias|--ol-s3|\.mrap|--x-s3)$)"
    r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
)
_ACTIONS: Final = (
    "expiration",
    "transitions",
    "noncurrentVersionExpiration",
    "noncurrentVersionTransitions",
    "abortIncompleteMultipartUpload",
)
_OF_BUCKET: Final = Ref("bucket", BUCKET, blocks=False)


def _lifecycle(given: Given) -> Iterator[Failure]:
    ids = [value for _, value in given.each("rules[*].id")]
    for name in {one for one in ids if ids.count(one) > 1}:
        yield Failure("rules", f"two rules have the id {name!r}")
    for path, rule in given.each("rules[*]"):
        if not any(rule.get(name) for name in _ACTIONS):
            yield Failure(path, f"does nothing: it needs one of {', '.join(_ACTIONS)}")
        ends = rule.get("expiration") or {}
        found = [n for n in ("date", "days", "expiredObjectDeleteMarker") if ends.get(n)]
        if len(found) > 1:
            yield Failure(f"{path}.expiration", f"{found[0]} conflicts with {found[1]}")


def _encryption(given: Given) -> Iterator[Failure]:
    path = "rules[*].applyServerSideEncryptionByDefault"
    for where, found in given.each(path):
        if found.get("kmsMasterKeyId") and found.get("sseAlgorithm") == "AES256":
            yield Failure(f"{where}.kmsMasterKeyId", "needs sseAlgorithm aws:kms")


def _public(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """A policy that opens the bucket to everybody is refused where public access is blocked."""
    del urn
    block = world.find(BLOCK, given.get("bucket"))
    if block is None or not block.inputs.get("blockPublicPolicy"):
        return
    for statement in _statements(given.get("policy")):
        everybody = statement.get("Principal") in ("*", {"AWS": "*"})
        if statement.get("Effect") == "Allow" and everybody and not statement.get("Condition"):
            yield Failure(
                "policy", "allows everybody, which blockPublicPolicy of the bucket forbids"
            )


def _own_resources(given: Given) -> Iterator[Failure]:
    bucket = given.get("bucket")
    for statement in _statements(given.get("policy")):
        for resource in texts(statement.get("Resource")):
            name = resource.rsplit(":", 1)[-1].split("/", 1)[0]
            if bucket and resource != "*" and name != bucket:
                yield Failure("policy", f"{resource!r} is not in the bucket {bucket}")


def _statements(document: Any) -> list[dict[str, Any]]:
    try:
        found = json.loads(document)["Statement"]
    except (TypeError, ValueError, KeyError):
        return []
    found = [found] if isinstance(found, dict) else found
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _bucket(made: Made) -> Values:
    region = made.place["region"]
    return {
        "bucket": made.id,
        "arn": f"arn:{partition(made)}:s3:::{made.id}",
        "bucketDomainName": f"{made.id}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{made.id}.s3.{region}.amazonaws.com",
        "bucketRegion": region,
        "hostedZoneId": "Z21DNDUVLTQW6Q",
        "requestPayer": "BucketOwner",
    }


def _object(made: Made) -> Values:
    body = str(made.get("content") or "")
    etag = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    return {
        "arn": f"arn:{partition(made)}:s3:::{made.id}",
        "etag": etag,
        "versionId": made.hex(etag, 32),
        "storageClass": "STANDARD",
        "serverSideEncryption": "AES256",
    }


def _part(name: str, *rules: Any, **more: Any) -> Kind:
    """Something of which a bucket has one, and which goes with it."""
    token = f"aws:s3/{name[0].lower()}{name[1:]}:{name}"
    return Kind(
        type=token,
        called=f"{name} of bucket",
        identify=lambda values, _: values["bucket"],
        handles=(),
        replaces=frozenset({"bucket", "region"}),
        rules=rules,
        refs=[_OF_BUCKET],
        overwrites=True,
        **more,
    )


KINDS: Final = [
    Kind(
        type=BUCKET,
        called="bucket",
        identify=named("bucket", "bucketPrefix"),
        name="bucket",
        instead=("bucketPrefix",),
        handles=("arn",),
        replaces=frozenset({"bucket", "bucketPrefix", "objectLockEnabled", "region"}),
        rules=[
            text("bucket", _NAME, "3 to 63 small letters, digits, dots and hyphens, as S3 has it"),
            exclusive("bucket", "bucketPrefix"),
            at_most("bucketPrefix", 37),
        ],
        outputs=_bucket,
    ),
    _part(
        "BucketVersioning",
        among("versioningConfiguration.status", "Enabled", "Suspended", "Disabled"),
    ),
    _part(
        "BucketServerSideEncryptionConfiguration",
        among(
            "rules[*].applyServerSideEncryptionByDefault.sseAlgorithm",
            *("AES256", "aws:kms", "aws:kms:dsse"),
        ),
        text(
            "rules[*].applyServerSideEncryptionByDefault.kmsMasterKeyId",
            rf"{KMS_ARN}|[0-9a-f-]{{36}}|alias/.+",
            "a KMS key",
        ),
        _encryption,
    ),
    _part("BucketPublicAccessBlock"),
    _part(
        "BucketOwnershipControls",
        among(
            "rule.objectOwnership", "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
        ),
    ),
    _part(
        "BucketLifecycleConfiguration",
        count("rules", 1, 1000, "rules"),
        among("rules[*].status", "Enabled", "Disabled"),
        at_most("rules[*].id", 255),
        between("rules[*].expiration.days", 1, 2**31 - 1),
        between("rules[*].noncurrentVersionExpiration.noncurrentDays", 1, 2**31 - 1),
        between("rules[*].abortIncompleteMultipartUpload.daysAfterInitiation", 1, 2**31 - 1),
        _lifecycle,
    ),
    _part(
        "BucketPolicy",
        policy("policy", principals=True),
        _own_resources,
        documents=frozenset({"policy"}),
        placed=_public,
    ),
    Kind(
        type=OBJECT,
        called="object",
        overwrites=True,
        identify=lambda values, _: f"{values['bucket']}/{values['key']}",
        handles=("arn",),
        replaces=frozenset({"bucket", "key", "region"}),
        kept=frozenset({"etag", "storageClass", "serverSideEncryption"}),
        rules=[
            exclusive("content", "contentBase64", "source"),
            at_most("key", 1024),
            text(
                "contentType", r"[\w.+-]+/[\w.+-]+(;.*)?", "a media type such as application/json"
            ),
            with_other("objectLockRetainUntilDate", "objectLockMode"),
        ],
        refs=[Ref("bucket", BUCKET), Ref("kmsKeyId", KEY, pattern=r"^(arn:.*)")],
        outputs=_object,
    ),
]
