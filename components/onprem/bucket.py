"""A bucket of a store in the cluster, and the ordinary account that owns it and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import pulumi
import pulumi_kubernetes as k8s

from components import network, shapes
from components.jobs import run_once
from components.labels import labels, metadata
from components.pods import PullPolicy
from components.secrets import password

APP = "object-store"
UID = 1000
ROLE = "bucket"
"""The role, in their labels, of the pods that make buckets: the store lets them in."""
KEY_LENGTHS = {"access": 20, "secret": 40}
"""The lengths AWS uses; some clients refuse others."""
LONGEST = 34
"""Of a tenant's bucket. Not the 63 that S3 allows: a Job's name may be no longer than that, and has
the store's in front and Pulumi's characters behind."""
MARK = 8


@dataclass(frozen=True, kw_only=True)
class Root:
    """The store as whoever may do everything in it: makes accounts and buckets."""

    name: str
    """Of the component, and the instance in its labels."""
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    pull_policy: PullPolicy
    endpoint: pulumi.Output[str]
    keys: k8s.core.v1.Secret
    egress: Sequence[network.Egress]
    protect: bool
    """Keeps the keys of accounts."""


def key(name: str, kind: str, *, protect: bool, parent: pulumi.Resource) -> pulumi.Output[str]:
    """An access key or a secret key, which Pulumi makes and the store is told."""
    return password(f"{name}-{kind}-key", KEY_LENGTHS[kind], protect=protect, parent=parent)


def owned(
    prefix: str,
    bucket: str,
    root: Root,
    *,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> tuple[shapes.Environment, k8s.batch.v1.Job]:
    """The owner's keys as boto3 reads them, and the Job after which they open the bucket.

    The Job runs beside the store with the root's keys, which no client's pod ever sees.
    """
    access, private = (
        key(f"{prefix}-user", kind, protect=root.protect, parent=parent)
        for kind in ("access", "secret")
    )
    user = k8s.core.v1.Secret(
        f"{prefix}-user",
        metadata=metadata(root.namespace, labels(APP, root.name, "user")),
        string_data=pulumi.Output.secret({"USER_ACCESS_KEY": access, "USER_SECRET_KEY": private}),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    setup = run_once(
        f"{prefix}-bucket",
        namespace=root.namespace,
        marks=labels(APP, root.name, ROLE),
        uid=UID,
        container={
            "name": "bucket",
            "image": root.image,
            "image_pull_policy": root.pull_policy,
            "command": ["/usr/local/bin/make-bucket"],
            "env": [
                {"name": "S3_ENDPOINT", "value": root.endpoint},
                {"name": "BUCKET", "value": bucket},
            ],
            "env_from": [{"secret_ref": {"name": s.metadata.name}} for s in (root.keys, user)],
        },
        egress=root.egress,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=after),
    )
    return {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": private}, setup


def tenant_bucket(tenant: str) -> str:
    """A name that no other bucket has."""
    name = f"tenant-{tenant}"
    if len(name) <= LONGEST:
        return name
    # What is cut may be all that told two tenants apart.
    mark = sha256(tenant.encode()).hexdigest()[:MARK]
    return f"{name[: LONGEST - 1 - MARK].rstrip('-')}-{mark}"
