"""Statements of IAM and bucket policies. ARNs come from resources, so the partition is right."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

Statement = Mapping[str, Any]

OBJECT_ACTIONS = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
"""Nothing that reaches old versions: those are the way back from a mistake or a theft."""


def document(*statements: Statement) -> pulumi.Output[str]:
    """A policy as AWS takes it."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def tls_only(bucket: pulumi.Output[str]) -> Statement:
    """Refuse everybody who speaks to the bucket in the clear. ``bucket`` is its ARN."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, pulumi.Output.concat(bucket, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def below(bucket: pulumi.Output[str], prefix: str) -> list[Statement]:
    """Read and write what lies below a prefix that ends in a slash, and see nothing else."""
    return [
        {
            "Sid": "Objects",
            "Effect": "Allow",
            "Action": list(OBJECT_ACTIONS),
            "Resource": pulumi.Output.concat(bucket, "/", prefix, "*"),
        },
        {
            "Sid": "List",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": bucket,
            "Condition": {"StringLike": {"s3:prefix": f"{prefix}*"}},
        },
    ]


def read_secret(
    secret: pulumi.Output[str], key: pulumi.Output[str], service: str
) -> list[Statement]:
    """Read one secret, and use the key that encrypts it for nothing else.

    ``service`` is the name by which KMS knows Secrets Manager.
    """
    return [
        {
            "Sid": "Password",
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": secret,
        },
        {
            "Sid": "PasswordKey",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": key,
            "Condition": {
                "StringEquals": {
                    "kms:ViaService": service,
                    "kms:EncryptionContext:SecretARN": secret,
                }
            },
        },
    ]


def read_join(secret: pulumi.Output[str]) -> Statement:
    """Read one secret that AWS' own key encrypts, which needs no grant of its own."""
    return {
        "Sid": "Join",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": secret,
    }


def pull(repositories: Sequence[pulumi.Output[str]]) -> list[Statement]:
    """Fetch images of these repositories. What logs in to a registry knows no repositories."""
    return [
        {
            "Sid": "Login",
            "Effect": "Allow",
            "Action": "ecr:GetAuthorizationToken",
            "Resource": "*",
        },
        {
            "Sid": "Pull",
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            "Resource": list(repositories),
        },
    ]


def machines(services: str) -> Statement:
    """Let machines of EC2 become a role; ``services`` is what AWS' names end with."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": f"ec2.{services}"},
        "Action": "sts:AssumeRole",
    }


def scale(cluster: str) -> list[Statement]:
    """What Cluster Autoscaler does, to groups with the cluster's tags only.

    Describing knows no resources. The actions are those of
    https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md
    """
    return [
        {
            "Sid": "Look",
            "Effect": "Allow",
            "Action": [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling:DescribeLaunchConfigurations",
                "autoscaling:DescribeScalingActivities",
                "autoscaling:DescribeTags",
                "ec2:DescribeImages",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplateVersions",
                "ec2:GetInstanceTypesFromInstanceRequirements",
            ],
            "Resource": "*",
        },
        {
            "Sid": "Scale",
            "Effect": "Allow",
            "Action": [
                "autoscaling:SetDesiredCapacity",
                "autoscaling:TerminateInstanceInAutoScalingGroup",
            ],
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "aws:ResourceTag/k8s.io/cluster-autoscaler/enabled": "true",
                    f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}": "owned",
                }
            },
        },
    ]


def trust(
    provider: pulumi.Output[str], issuer: str, audience: str, subjects: Statement
) -> Statement:
    """Let service accounts of one cluster become a role.

    ``subjects`` is one condition on ``sub``: without it every account of the cluster would pass,
    without the audience every token that the cluster ever signed for somebody else.
    """
    return {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": _merged({"StringEquals": {f"{issuer}:aud": audience}}, subjects),
    }


def exactly(issuer: str, names: Sequence[str]) -> Statement:
    """These service accounts."""
    return {"StringEquals": {f"{issuer}:sub": list(names)}}


def _merged(one: Statement, other: Statement) -> Statement:
    return {key: {**one.get(key, {}), **other.get(key, {})} for key in {**one, **other}}
