"""A bucket of Cloud Storage.

Encrypted at rest by Google, always. On the way too with every client of the JSON API, which knows
nothing but TLS; for the XML API only an organisation's policy can forbid plain HTTP
(``constraints/storage.secureHttpTransport``), a bucket cannot. Nothing here is open to anonymous
callers on either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import storage

from components import network
from components.gcp import api
from components.gcp.names import fitting
from components.shapes import Environment

UPLOAD_DAYS = 7
DAY = 24 * 60 * 60
SOFT_DELETE = 7 * DAY
"""How long Google can bring back what was deleted for good, the bucket itself included."""
TRACKING = "mlflow"
"""Folder of the tracking server."""


def tenant_folder(tenant: str) -> str:
    """A tenant's own part of the bucket; ends in a slash, so that no tenant's contains another."""
    return f"tenants/{tenant}/"


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    """Where it lies, and for how long it remembers."""

    project: str
    region: str
    keep_days: int = 30
    """How long an object that was overwritten or deleted can be had back."""
    adopt: str | None = None
    """Name of an existing bucket to take over. Keep it: without, Pulumi would choose another."""
    protect: bool = True
    """Keeps the bucket from being deleted or replaced."""


class ObjectStore(pulumi.ComponentResource):
    """A private bucket with versions; fulfils ``shapes.ObjectStore``."""

    bucket: pulumi.Output[str]
    uri: pulumi.Output[str]

    def __init__(
        self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:gcp:ObjectStore", fitting(name), None, opts)
        self._project = args.project
        bucket = storage.Bucket(
            f"{name}-bucket",
            project=args.project,
            # Names are the whole world's: only an adopted one is known beforehand.
            name=args.adopt,
            # As Google writes it; the same in small letters would differ on an import.
            location=args.region.upper(),
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning={"enabled": True},
            soft_delete_policy={"retention_duration_seconds": SOFT_DELETE},
            lifecycle_rules=[
                {
                    "action": {"type": "Delete"},
                    "condition": {
                        "days_since_noncurrent_time": args.keep_days,
                        "with_state": "ARCHIVED",
                    },
                },
                {
                    "action": {"type": "AbortIncompleteMultipartUpload"},
                    "condition": {"age": UPLOAD_DAYS},
                },
            ],
            force_destroy=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect or args.adopt is not None,
                import_=args.adopt,
            ),
        )
        self._ready = (bucket,)
        self.bucket = bucket.name
        self.uri = pulumi.Output.concat("gs://", self.bucket, "/", TRACKING)
        self.register_outputs({"bucket": self.bucket, "uri": self.uri})

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """The bucket exists."""
        return self._ready

    @property
    def egress(self) -> Sequence[network.Egress]:
        """To Google's API."""
        return [api.egress()]

    @property
    def environment(self) -> Environment:
        """Google's client asks for a project, though a bucket needs none."""
        return {"GOOGLE_CLOUD_PROJECT": self._project}

    @property
    def credentials(self) -> Environment:
        """None: the identity of a pod opens the bucket."""
        return {}
