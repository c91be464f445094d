"""A bucket in S3: private, versioned, encrypted, by TLS only.

Who may open which part of it is the business of ``identity``. No replica in another region.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import network
from components.aws.api import egress, region_variables
from components.aws.bucket import guard

TRACKING = "mlflow/"
"""Where the tracking server keeps artifacts."""
ABANDONED_DAYS = 7
"""Parts of an upload that nobody finished are paid for, and in no listing."""


def tenant_prefix(tenant: str) -> str:
    """A tenant's own part of the bucket; ends in a slash, so that no tenant's contains another."""
    return f"tenants/{tenant}/"


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    """Where it lies, and how long it remembers."""

    region: str
    keep_days: int = 30
    """How long something overwritten or deleted can be had back."""
    adopt: str | None = None
    """Name of an existing bucket to take over. What is in it stays; its policy, lifecycle rules
    and public access become those given here."""
    protect: bool = True
    """Keeps the bucket from being deleted or replaced."""

    def __post_init__(self) -> None:
        if self.keep_days < 1:
            raise ValueError(f"old versions are kept a day or more, not {self.keep_days}")


class ObjectStore(pulumi.ComponentResource):
    """A bucket that AWS runs; fulfils ``shapes.ObjectStore``."""

    bucket: pulumi.Output[str]
    uri: pulumi.Output[str]

    def __init__(
        self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:aws:ObjectStore", name, None, opts)
        self._name, self._args = name, args
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=args.adopt,
            force_destroy=False,
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.protect or args.adopt is not None, import_=args.adopt
            ),
        )
        guards = guard(name, bucket, [], public_policy=False, parent=self)
        self._ready = (bucket, *guards, *self._remember(bucket))
        self._arn = bucket.arn

        self.bucket = bucket.bucket
        self.uri = pulumi.Output.concat("s3://", self.bucket, "/", TRACKING.rstrip("/"))
        self.register_outputs({"bucket": self.bucket, "uri": self.uri})

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """The bucket is there, and as safe as it will be."""
        return self._ready

    @property
    def egress(self) -> Sequence[network.Egress]:
        """The rules a client's NetworkPolicy needs to reach it."""
        return [egress()]

    @property
    def environment(self) -> Mapping[str, pulumi.Input[str]]:
        """S3's own names tell the endpoint."""
        return region_variables(self._args.region)

    @property
    def credentials(self) -> Mapping[str, pulumi.Input[str]]:
        """None: the identity of a pod opens it."""
        return {}

    @property
    def arn(self) -> pulumi.Output[str]:
        """For policies."""
        return self._arn

    def _remember(self, bucket: aws.s3.Bucket) -> Sequence[pulumi.Resource]:
        versions = aws.s3.BucketVersioning(
            f"{self._name}-versions",
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=pulumi.ResourceOptions(parent=self),
        )
        cleaning = aws.s3.BucketLifecycleConfiguration(
            f"{self._name}-cleaning",
            bucket=bucket.id,
            rules=[
                {
                    "id": "abandoned-uploads",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": ABANDONED_DAYS},
                },
                {
                    "id": "old-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": self._args.keep_days},
                    # What is left of something deleted when its last version has gone.
                    "expiration": {"expired_object_delete_marker": True},
                },
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versions]),
        )
        return [versions, cleaning]
