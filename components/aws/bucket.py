"""What every bucket gets, whoever reads it: encryption, one owner, a policy, no public ACLs."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.aws.policies import Statement, document, tls_only


def guard(
    name: str,
    bucket: aws.s3.Bucket,
    statements: Sequence[Statement],
    *,
    public_policy: bool,
    parent: pulumi.Resource,
) -> Sequence[pulumi.Resource]:
    """Shut a bucket, but for what the statements allow.

    ``public_policy`` lets them allow something to everybody; else AWS refuses such a policy.
    """
    child = pulumi.ResourceOptions(parent=parent)
    encryption = aws.s3.BucketServerSideEncryptionConfiguration(
        f"{name}-encryption",
        bucket=bucket.id,
        # Keys of S3's own: no other key could be lost, and each role needs one permission less.
        rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
        opts=child,
    )
    owner = aws.s3.BucketOwnershipControls(
        f"{name}-owner",
        bucket=bucket.id,
        rule={"object_ownership": "BucketOwnerEnforced"},
        opts=child,
    )
    block = aws.s3.BucketPublicAccessBlock(
        f"{name}-public-access",
        bucket=bucket.id,
        block_public_acls=True,
        ignore_public_acls=True,
        block_public_policy=not public_policy,
        restrict_public_buckets=not public_policy,
        opts=child,
    )
    policy = aws.s3.BucketPolicy(
        f"{name}-policy",
        bucket=bucket.id,
        policy=document(tls_only(bucket.arn), *statements),
        # AWS takes one change of who may do what at a time.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[owner, block]),
    )
    return [encryption, owner, block, policy]
