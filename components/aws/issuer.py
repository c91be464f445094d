"""The cluster's public keys where AWS looks for them: the one thing here that anybody may read.

AWS asks the issuer over the internet, which cannot reach a cluster on-prem; so two small files
about its keys stand in for it. When the keys change, both old and new ones belong in them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_aws as aws

from components.aws.api import domain
from components.aws.bucket import guard

DISCOVERY = ".well-known/openid-configuration"
KEYS = "openid/v1/jwks"
"""Where an API server offers them, too."""
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
"""Parts of a key that sign: https://www.rfc-editor.org/rfc/rfc7518#section-6"""
Key = Mapping[str, Any]


def issuer_bucket(issuer: str, region: str) -> str | None:
    """The bucket of this region whose own address the issuer is, if it is one.

    A name with a dot is none: S3's certificate does not cover it.
    """
    host = re.escape(f".s3.{region}.{domain(region)}")
    found = re.fullmatch(rf"https://([a-z0-9][a-z0-9-]{{1,61}}[a-z0-9]){host}", issuer)
    return found[1] if found else None


def host_of(issuer: str) -> str:
    """The issuer's name in conditions of policies."""
    return issuer.removeprefix("https://")


def checked_issuer(issuer: str) -> None:
    """Refuse what AWS would not take."""
    parts = urlsplit(issuer)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"an issuer is an https:// address without a query, not {issuer}")
    if issuer.endswith("/") or parts.port is not None:
        raise ValueError(f"AWS takes no issuer with a port or a slash at its end: {issuer}")


def public_keys(jwks: str) -> Sequence[Key]:
    """The keys, or an error that does not show them: they are about to be published."""
    found: Sequence[Key] = []
    with suppress(ValueError, KeyError, TypeError):
        found = [key for key in json.loads(jwks)["keys"] if key["kty"]]
    if not found:
        raise ValueError("jwks is not what `kubectl get --raw /openid/v1/jwks` prints")
    if any(PRIVATE & set(key) for key in found):
        raise ValueError("jwks holds a private key: everything in it is about to be public")
    return found


def discovery(issuer: str, keys: Sequence[Key]) -> str:
    """What an API server says about itself."""
    return json.dumps(
        {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/{KEYS}",
            "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted(
                {key.get("alg", "RS256") for key in keys}
            ),
            "claims_supported": ["sub", "iss"],
        }
    )


def publish(  # noqa: PLR0913 - what, where, and whose it is
    name: str, bucket_name: str, issuer: str, jwks: str, *, protect: bool, parent: pulumi.Resource
) -> Sequence[pulumi.Resource]:
    """Put both files where the issuer's address leads to.

    An account that blocks public access to all its buckets refuses: then they belong elsewhere.
    """
    bucket = aws.s3.Bucket(
        f"{name}-issuer-bucket",
        bucket=bucket_name,
        force_destroy=False,
        # Whoever takes a name that was given up signs in as anyone of the cluster.
        opts=pulumi.ResourceOptions(parent=parent, protect=protect, delete_before_replace=True),
    )
    readable: dict[str, Any] = {
        "Sid": "Keys",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": [pulumi.Output.concat(bucket.arn, "/", key) for key in (DISCOVERY, KEYS)],
    }
    guards = guard(f"{name}-issuer", bucket, [readable], public_policy=True, parent=parent)
    content = {DISCOVERY: discovery(issuer, public_keys(jwks)), KEYS: jwks}
    files = [
        aws.s3.BucketObjectv2(
            f"{name}-issuer-{'keys' if key == KEYS else 'discovery'}",
            bucket=bucket.id,
            key=key,
            content=text,
            content_type="application/json",
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for key, text in content.items()
    ]
    return [*guards, *files]
