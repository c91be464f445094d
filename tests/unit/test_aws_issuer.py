"""The cluster's public keys, where AWS looks for them."""

import json

import pytest
from aws_builders import JWKS, identity, object_store
from iam import allows, statements

from components.aws.issuer import checked_issuer, discovery, issuer_bucket, public_keys

BUCKET = "identity-oidc-example"
ISSUER = f"https://{BUCKET}.s3.eu-central-1.amazonaws.com"
ARN = f"arn:aws:s3:::{BUCKET}"


@pytest.mark.parametrize(
    ("issuer", "region", "bucket"),
    [
        (ISSUER, "eu-central-1", BUCKET),
        ("https://keys.s3.cn-north-1.amazonaws.com.cn", "cn-north-1", "keys"),
        # Somebody else's business:
        ("https://oidc.example.com", "eu-central-1", None),
        (ISSUER, "eu-west-1", None),
        (f"{ISSUER}/cluster", "eu-central-1", None),
        (f"{ISSUER}.evil.example", "eu-central-1", None),
        ("https://s3.eu-central-1.amazonaws.com/keys", "eu-central-1", None),
        ("https://keys.s3xeu-central-1.amazonaws.com", "eu-central-1", None),
        # Names that S3's certificate does not cover, or that no bucket has:
        ("https://two.parts.s3.eu-central-1.amazonaws.com", "eu-central-1", None),
        ("https://Keys.s3.eu-central-1.amazonaws.com", "eu-central-1", None),
        ("https://ab.s3.eu-central-1.amazonaws.com", "eu-central-1", None),
        (f"https://{'a' * 64}.s3.eu-central-1.amazonaws.com", "eu-central-1", None),
        (f"https://{'a' * 63}.s3.eu-central-1.amazonaws.com", "eu-central-1", "a" * 63),
    ],
)
def test_the_bucket_is_read_off_the_issuer(issuer, region, bucket):
    assert issuer_bucket(issuer, region) == bucket


def test_only_the_two_files_are_public(engine, resolve):
    resolve(lambda: identity().urn)

    policy = engine.named("identity-issuer-policy")["policy"]
    files = [f"{ARN}/.well-known/openid-configuration", f"{ARN}/openid/v1/jwks"]

    def anyone_may(action: str, resource: str, tls: str = "true") -> bool:
        context = {"aws:SecureTransport": tls}
        return allows(policy, action, resource, principal="*", context=context)

    assert all(anyone_may("s3:GetObject", file) for file in files)
    assert not any(anyone_may("s3:GetObject", file, tls="false") for file in files)
    assert not anyone_may("s3:GetObject", f"{ARN}/other")
    assert not anyone_may("s3:PutObject", files[0])
    assert not anyone_may("s3:ListBucket", ARN)
    assert [s["Resource"] for s in statements(policy) if s["Effect"] == "Allow"] == [files]
    keys = {o["key"] for o in engine.of("BucketObjectv2").values()}
    assert {f"{ARN}/{key}" for key in keys} == set(files)


def test_nothing_else_in_the_cloud_is_public(engine, resolve):
    resolve(lambda: identity().urn)

    open_to_all = [
        name
        for name, policy in engine.of("BucketPolicy").items()
        if any(s["Effect"] == "Allow" for s in statements(policy["policy"]))
    ]
    assert open_to_all == ["identity-issuer-policy"]
    blocks = engine.of("BucketPublicAccessBlock")
    assert blocks["identity-issuer-public-access"] == {
        "bucket": "identity-issuer-bucket-id",
        "blockPublicAcls": True,
        "ignorePublicAcls": True,
        "blockPublicPolicy": False,
        "restrictPublicBuckets": False,
    }
    assert blocks["identity-store-public-access"]["blockPublicPolicy"] is True
    assert all(i["publiclyAccessible"] is False for i in engine.of("Instance").values())


def test_the_files_say_what_the_cluster_says(engine, resolve):
    resolve(lambda: identity().urn)

    said = json.loads(engine.named("identity-issuer-discovery")["content"])
    assert said["issuer"] == ISSUER
    assert said["jwks_uri"] == f"{ISSUER}/openid/v1/jwks"
    assert said["id_token_signing_alg_values_supported"] == ["RS256"]
    assert engine.named("identity-issuer-keys")["content"] == JWKS
    assert engine.named("identity-issuer-bucket")["bucket"] == BUCKET


def test_aws_is_told_of_the_issuer_when_it_can_ask(engine, resolve):
    resolve(lambda: identity().urn)

    assert engine.named("identity-issuer") == {
        "url": ISSUER,
        "clientIdLists": ["sts.amazonaws.com"],
    }
    waits = {u.rpartition("::")[2] for u in engine.requests["identity-issuer"].dependencies}
    assert waits >= {
        "identity-issuer-policy",
        "identity-issuer-keys",
        "identity-issuer-discovery",
    }


def test_keys_that_somebody_else_publishes_make_no_bucket(engine, resolve):
    resolve(lambda: identity(issuer="https://oidc.example.com").urn)

    assert set(engine.of("Bucket")) == {"identity-store-bucket"}
    assert engine.of("BucketObjectv2") == {}
    assert engine.named("identity-issuer")["url"] == "https://oidc.example.com"


def test_every_way_of_signing_is_announced():
    keys = [{"kty": "EC", "alg": "ES256"}, {"kty": "RSA"}, {"kty": "RSA", "alg": "RS256"}]

    said = json.loads(discovery("https://oidc.example.com", keys))
    assert said["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]


@pytest.mark.parametrize("part", ["d", "p", "q", "dp", "dq", "qi", "k"])
def test_a_private_key_is_never_published_and_never_shown(part):
    keys = json.dumps({"keys": [{"kty": "RSA", "n": "AQ"}, {"kty": "RSA", part: "hunter2"}]})

    with pytest.raises(ValueError, match="holds a private key") as error:
        public_keys(keys)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("jwks", ["", "{", "[]", "{}", '{"keys": []}', '{"keys": [{"n": "AQ"}]}'])
def test_what_is_no_list_of_keys_is_refused(jwks):
    with pytest.raises(ValueError, match="get --raw /openid/v1/jwks"):
        public_keys(jwks)


@pytest.mark.parametrize(
    "issuer",
    [
        "http://oidc.example.com",
        "oidc.example.com",
        "https://",
        "https://oidc.example.com?cluster=1",
        "https://oidc.example.com/",
        "https://oidc.example.com:6443",
    ],
)
def test_an_issuer_that_aws_would_refuse_is_refused(issuer, engine, resolve):
    with pytest.raises(ValueError, match="issuer"):
        checked_issuer(issuer)
    with pytest.raises(ValueError, match="issuer"):
        resolve(lambda: identity(issuer=issuer, store=object_store()).urn)
