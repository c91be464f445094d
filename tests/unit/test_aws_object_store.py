"""The bucket in S3, and the registry beside it."""

import pytest
from aws_builders import object_store, registry
from iam import allows, statements

BUCKET = "arn:aws:s3:::object-store-bucket-1a2b3c4"


def test_the_bucket_is_shut_versioned_and_encrypted(engine, resolve):
    resolve(lambda: object_store().urn)

    assert engine.named("object-store-bucket") == {"forceDestroy": False}
    assert engine.named("object-store-public-access") == {
        "bucket": "object-store-bucket-id",
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    assert engine.named("object-store-owner")["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    versions = engine.named("object-store-versions")
    assert versions["versioningConfiguration"] == {"status": "Enabled"}
    (rule,) = engine.named("object-store-encryption")["rules"]
    assert rule == {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}


def test_nobody_may_speak_to_it_in_the_clear_and_the_policy_lets_nobody_in(engine, resolve):
    resolve(lambda: object_store().urn)

    policy = engine.named("object-store-policy")["policy"]
    (only,) = statements(policy)
    assert only == {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [BUCKET, f"{BUCKET}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    for tls in ("true", "false"):
        assert not allows(
            policy,
            "s3:GetObject",
            f"{BUCKET}/mlflow/x",
            principal="*",
            context={"aws:SecureTransport": tls},
        )


def test_what_is_deleted_can_be_had_back_for_a_while_and_rubbish_goes(engine, resolve):
    resolve(lambda: object_store(keep_days=90).urn)

    rules = {r["id"]: r for r in engine.named("object-store-cleaning")["rules"]}
    assert rules["old-versions"]["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
    assert rules["old-versions"]["expiration"] == {"expiredObjectDeleteMarker": True}
    abandoned = rules["abandoned-uploads"]["abortIncompleteMultipartUpload"]
    assert abandoned == {"daysAfterInitiation": 7}
    assert all(r["status"] == "Enabled" for r in rules.values())
    assert not any("days" in r.get("expiration", {}) for r in rules.values()), "nothing current"
    waits = engine.requests["object-store-cleaning"].dependencies
    assert any(urn.endswith("::object-store-versions") for urn in waits)


def test_clients_need_no_key_and_no_endpoint(engine, resolve):
    bucket, uri, environment, credentials = resolve(
        lambda: [(s := object_store()).bucket, s.uri, s.environment, s.credentials]
    )

    assert bucket == "object-store-bucket-1a2b3c4"
    assert uri == "s3://object-store-bucket-1a2b3c4/mlflow"
    assert environment == {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1"}
    assert credentials == {}


def test_clients_reach_the_outside_world_by_tls_and_not_the_company(engine, resolve):
    (rule,) = resolve(lambda: object_store().egress)

    (block,) = rule["to"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    assert block["ip_block"]["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(block["ip_block"]["except_"])


def test_clients_wait_until_the_bucket_is_safe(engine, resolve):
    ready = resolve(lambda: [r.urn for r in object_store().ready])

    made = {r.name for r in engine.resources if r.custom}
    assert {urn.rpartition("::")[2] for urn in ready} == made


def test_an_adopted_bucket_is_imported_protected_and_made_safe(engine, resolve):
    uri = resolve(lambda: object_store(adopt="old-artifacts", protect=False).uri)

    request = engine.requests["object-store-bucket"]
    assert request.importId == "old-artifacts"
    assert request.protect is True
    assert engine.named("object-store-bucket")["bucket"] == "old-artifacts"
    assert engine.named("object-store-policy")["bucket"] == "old-artifacts"
    assert uri == "s3://old-artifacts/mlflow"


def test_old_versions_are_kept_a_day_at_least():
    with pytest.raises(ValueError, match="a day or more, not 0"):
        object_store(keep_days=0)


def test_images_are_pushed_below_one_address_of_the_stack(engine, resolve):
    url = resolve(lambda: registry().url)

    assert url == "123456789012.dkr.ecr.eu-central-1.amazonaws.com/spillway/dev/registry"
    for image in ("mlflow", "postgres"):
        assert engine.named(f"registry-{image}") == {
            "name": f"spillway/dev/registry/{image}",
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "forceDelete": False,
        }


def test_a_registry_needs_an_image():
    with pytest.raises(ValueError, match="without images"):
        registry(images=[])
