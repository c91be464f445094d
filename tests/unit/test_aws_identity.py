"""Who of the cluster may do what in AWS: policies decided as AWS would decide them."""

import pulumi_kubernetes as k8s
import pytest
from aws_builders import AUTOSCALER, MIGRATION, SERVER, identity
from computed_aws import ACCOUNT
from iam import allows, statements
from recording import recorded

from components.shapes import Subject

HOST = "identity-oidc-example.s3.eu-central-1.amazonaws.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
BUCKET = "arn:aws:s3:::identity-store-bucket-1a2b3c4"
SECRET = (
    f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:rds!db-identity-database-instance-AbCdEf"
)
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/identity-database-key"
TENANT, OTHER = "identity-tenant-vision", "identity-tenant-vision2"
ROLES = [TENANT, OTHER, "identity-tracking", "identity-autoscaler"]
ROOT = "system:serviceaccount"


@pytest.fixture(scope="module")
def made():
    return recorded(built)


def built():
    return identity().urn


def may_become(
    made,
    role: str,
    sub: str,
    *,
    audience: str = "sts.amazonaws.com",
    provider: str = PROVIDER,
) -> bool:
    return allows(
        made.named(role)["assumeRolePolicy"],
        "sts:AssumeRoleWithWebIdentity",
        principal=provider,
        context={f"{HOST}:sub": sub, f"{HOST}:aud": audience},
    )


def may(made, role: str, action: str, resource: str, **context: str) -> bool:
    policy = made.named(f"{role}-access")["policy"]
    return allows(
        policy, action, resource, context={k.replace("__", ":"): v for k, v in context.items()}
    )


@pytest.mark.parametrize("account", ["notebook", "job", "model"])
def test_what_works_for_a_tenant_and_nobody_else_becomes_the_tenant(made, account):
    assert may_become(made, TENANT, f"{ROOT}:vision:{account}")
    for sub in (
        f"{ROOT}:vision2:{account}",
        f"{ROOT}:visio:{account}",
        f"{ROOT}:language:{account}",
        f"{ROOT}:spillway:{account}",
        f"{ROOT}:vision:default",
        f"{ROOT}:vision:{account}2",
        f"{ROOT}:x:vision:{account}",
        f"system:node:vision:{account}",
        "",
    ):
        assert not may_become(made, TENANT, sub), sub


def test_the_platforms_roles_are_for_single_accounts(made):
    for subject in (SERVER, MIGRATION):
        assert may_become(made, "identity-tracking", subject.name)
        assert not may_become(made, "identity-autoscaler", subject.name)
    assert may_become(made, "identity-autoscaler", AUTOSCALER.name)
    assert not may_become(made, "identity-tracking", AUTOSCALER.name)
    for role in ("identity-tracking", "identity-autoscaler"):
        assert "StringLike" not in made.named(role)["assumeRolePolicy"], "a name is no pattern"
        for sub in (
            f"{ROOT}:spillway:default",
            f"{ROOT}:spillway:*",
            f"{ROOT}:vision:{SERVER.account}",
            f"{ROOT}:vision:{AUTOSCALER.account}",
            f"{SERVER.name}x",
        ):
            assert not may_become(made, role, sub), sub


@pytest.mark.parametrize("role", ROLES)
def test_a_token_for_somebody_else_or_of_another_cluster_opens_nothing(made, role):
    (statement,) = statements(made.named(role)["assumeRolePolicy"])
    subject = {TENANT: f"{ROOT}:vision:job", OTHER: f"{ROOT}:vision2:job"}.get(role)
    subject = subject or {"identity-tracking": SERVER, "identity-autoscaler": AUTOSCALER}[role].name

    assert may_become(made, role, subject)
    assert not may_become(made, role, subject, audience="https://kubernetes.default.svc")
    other = f"arn:aws:iam::{ACCOUNT}:oidc-provider/other.example.com"
    assert not may_become(made, role, subject, provider=other)
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert not allows(made.named(role)["assumeRolePolicy"], statement["Action"], principal=PROVIDER)
    assert statement["Principal"] == {"Federated": PROVIDER}


def test_a_tenant_works_below_its_own_prefix(made):
    mine = f"{BUCKET}/tenants/vision/models/1/weights.bin"
    for action in ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"):
        assert may(made, TENANT, f"s3:{action}", mine), action
    for prefix in ("tenants/vision/", "tenants/vision/models/"):
        assert may(made, TENANT, "s3:ListBucket", BUCKET, s3__prefix=prefix)


@pytest.mark.parametrize(
    "path",
    ["tenants/vision2/x", "tenants/visionary", "tenants/vision", "tenants/", "mlflow/1/x", "x"],
)
def test_a_tenant_reaches_nothing_outside_its_prefix(made, path):
    for action in ("GetObject", "PutObject", "DeleteObject", "GetObjectVersion", "PutObjectAcl"):
        assert not may(made, TENANT, f"s3:{action}", f"{BUCKET}/{path}"), action
    assert not may(made, TENANT, "s3:ListBucket", BUCKET, s3__prefix=path)


def test_a_tenant_sees_no_list_of_the_others_and_no_other_bucket(made):
    for prefix in ("", "tenants/", "tenants/vision", "tenants/v", "mlflow/"):
        assert not may(made, TENANT, "s3:ListBucket", BUCKET, s3__prefix=prefix), prefix
    assert not may(made, TENANT, "s3:ListBucket", BUCKET), "a list of everything names no prefix"
    other = "arn:aws:s3:::another"
    assert not may(made, TENANT, "s3:GetObject", f"{other}/tenants/vision/x")
    assert not may(made, TENANT, "s3:ListBucket", other, s3__prefix="tenants/vision/")


@pytest.mark.parametrize("role", [TENANT, "identity-tracking"])
def test_nobody_reaches_old_versions_or_the_buckets_own_settings(made, role):
    own = "tenants/vision" if role == TENANT else "mlflow"
    for action in ("DeleteObjectVersion", "GetObjectVersion", "PutObjectAcl", "PutObjectTagging"):
        assert not may(made, role, f"s3:{action}", f"{BUCKET}/{own}/x"), action
    for action in ("DeleteBucket", "PutBucketPolicy", "PutBucketVersioning", "GetBucketPolicy"):
        assert not may(made, role, f"s3:{action}", BUCKET), action


def test_the_tracking_server_reaches_its_artifacts_and_no_tenants(made):
    assert may(made, "identity-tracking", "s3:PutObject", f"{BUCKET}/mlflow/1/model.pkl")
    assert may(made, "identity-tracking", "s3:ListBucket", BUCKET, s3__prefix="mlflow/1/")
    assert not may(made, "identity-tracking", "s3:GetObject", f"{BUCKET}/tenants/vision/x")
    assert not may(made, "identity-tracking", "s3:ListBucket", BUCKET, s3__prefix="tenants/")


def test_the_tracking_server_alone_reads_the_password(made):
    via = {
        "kms__ViaService": "secretsmanager.eu-central-1.amazonaws.com",
        "kms__EncryptionContext__SecretARN": SECRET,
    }
    assert may(made, "identity-tracking", "secretsmanager:GetSecretValue", SECRET)
    assert may(made, "identity-tracking", "kms:Decrypt", KEY, **via)
    for role in (TENANT, OTHER, "identity-autoscaler"):
        assert not may(made, role, "secretsmanager:GetSecretValue", SECRET)
        assert not may(made, role, "kms:Decrypt", KEY, **via)
    other = SECRET.replace("identity-database", "other")
    assert not may(made, "identity-tracking", "secretsmanager:GetSecretValue", other)
    assert not may(made, "identity-tracking", "secretsmanager:PutSecretValue", SECRET)


def test_the_database_s_key_opens_the_password_and_nothing_else(made):
    manager = "secretsmanager.eu-central-1.amazonaws.com"

    def decrypts(**context: str) -> bool:
        return may(made, "identity-tracking", "kms:Decrypt", KEY, **context)

    assert not decrypts()
    assert not decrypts(kms__EncryptionContext__SecretARN=SECRET)
    assert not decrypts(kms__ViaService=manager)
    assert not decrypts(kms__ViaService=manager, kms__EncryptionContext__SecretARN="arn:other")


def test_the_autoscaler_scales_groups_of_its_cluster_only(made):
    group = f"arn:aws:autoscaling:eu-central-1:{ACCOUNT}:autoScalingGroup:1:autoScalingGroupName/g"
    tag = "aws__ResourceTag/k8s.io/cluster-autoscaler"
    own = {f"{tag}/enabled": "true", f"{tag}/prod": "owned"}
    for action in ("SetDesiredCapacity", "TerminateInstanceInAutoScalingGroup"):
        scale = f"autoscaling:{action}"
        assert may(made, "identity-autoscaler", scale, group, **own)
        assert not may(made, "identity-autoscaler", scale, group)
        assert not may(made, "identity-autoscaler", scale, group, **{f"{tag}/enabled": "true"})
        staging = {f"{tag}/enabled": "true", f"{tag}/staging": "owned"}
        assert not may(made, "identity-autoscaler", scale, group, **staging)
    assert may(made, "identity-autoscaler", "autoscaling:DescribeAutoScalingGroups", "*")
    for action in ("autoscaling:UpdateAutoScalingGroup", "ec2:RunInstances", "s3:GetObject"):
        assert not may(made, "identity-autoscaler", action, group, **own), action


def test_no_role_may_act_on_everything_but_describe(made):
    for role in ROLES:
        for statement in statements(made.named(f"{role}-access")["policy"]):
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                assert "*" not in action
                if statement["Resource"] == "*" and "Condition" not in statement:
                    assert action.partition(":")[2].startswith(("Describe", "Get")), action


def test_there_are_no_keys_and_no_users(made):
    kinds = {r.typ.rpartition(":")[2] for r in made.resources}

    assert not kinds & {"AccessKey", "User", "RolePolicyAttachment", "RandomPassword"}


def test_names_of_roles_fit_whatever_the_tenant_is_called(engine, resolve):
    tenants = ["a" * 63, f"{'a' * 62}b"]
    roles = resolve(lambda: identity(tenants=tenants).roles)

    assert set(roles) == set(tenants)
    assert len(set(roles.values())) == 2
    for name, role in engine.of("Role").items():
        # https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/iam_role
        assert len(role.get("namePrefix", "")) <= 38
        assert "name" not in role
        # The engine adds eight letters to what has no prefix.
        assert ("namePrefix" in role) == (len(name) + 8 > 64), name


def test_outputs_name_the_roles(resolve, engine):
    issuer, roles, autoscaler, tracking = resolve(
        lambda: [(i := identity()).issuer, i.roles, i.autoscaler, i.tracking]
    )

    assert issuer == f"https://{HOST}"
    assert roles == {
        "vision": f"arn:aws:iam::{ACCOUNT}:role/{TENANT}",
        "vision2": f"arn:aws:iam::{ACCOUNT}:role/{OTHER}",
    }
    assert autoscaler == f"arn:aws:iam::{ACCOUNT}:role/identity-autoscaler"
    assert tracking == f"arn:aws:iam::{ACCOUNT}:role/identity-tracking"


def test_a_stack_without_tenants_has_no_roles_for_them(resolve, engine):
    assert resolve(lambda: identity(tenants=[]).roles) == {}


@pytest.mark.parametrize(
    ("subject", "role"),
    [
        (SERVER, "identity-tracking"),
        (MIGRATION, "identity-tracking"),
        (AUTOSCALER, "identity-autoscaler"),
        (Subject(namespace="vision", account="notebook"), TENANT),
        (Subject(namespace="vision2", account="notebook"), OTHER),
    ],
)
def test_a_pod_signs_in_by_a_token_of_its_own(subject, role, resolve):
    login = resolve(lambda: vars(identity().login(subject)))

    assert login["environment"] == {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/{role}",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/spillway.dev/aws/token",
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
    }
    (volume,), (mount,), (rule,) = login["volumes"], login["mounts"], login["egress"]
    assert volume["projected"]["sources"] == [
        {
            "service_account_token": {
                "audience": "sts.amazonaws.com",
                "expiration_seconds": 3600,
                "path": "token",
            }
        }
    ]
    assert mount == {
        "name": volume["name"],
        "mount_path": "/var/run/secrets/spillway.dev/aws",
        "read_only": True,
    }
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]


def test_the_token_is_made_for_the_audience_that_the_roles_ask_for(made, resolve, engine):
    volume = resolve(lambda: identity().login(SERVER).volumes[0])

    audience = volume["projected"]["sources"][0]["service_account_token"]["audience"]
    assert may_become(made, "identity-tracking", SERVER.name, audience=audience)
    assert made.named("identity-issuer")["clientIdLists"] == [audience]


@pytest.mark.parametrize(
    "subject",
    [
        Subject(namespace="spillway", account="default"),
        Subject(namespace="vision", account="default"),
        Subject(namespace="kube-system", account="cluster-autoscaler"),
    ],
)
def test_a_stranger_cannot_sign_in_and_learns_who_can(subject, engine, resolve):
    with pytest.raises(ValueError, match="has no role in AWS") as error:
        resolve(lambda: identity().login(subject).environment)

    for known in (subject.name, SERVER.name, AUTOSCALER.name, f"{ROOT}:vision2:model"):
        assert known in str(error.value)


MAKER = Subject(namespace="spillway", account="database-hub-owner")


def with_a_keeper():
    made = identity()
    return [made.urn, made.keeper(MAKER).environment["AWS_ROLE_ARN"]]


def test_what_makes_another_database_reads_the_password_and_nothing_else():
    made = recorded(with_a_keeper)
    role = "identity-database-hub-owner"
    via = {
        "kms__ViaService": "secretsmanager.eu-central-1.amazonaws.com",
        "kms__EncryptionContext__SecretARN": SECRET,
    }

    assert may_become(made, role, MAKER.name)
    for other in (SERVER.name, f"{ROOT}:vision:notebook", f"{ROOT}:spillway:default"):
        assert not may_become(made, role, other), other
    assert may(made, role, "secretsmanager:GetSecretValue", SECRET)
    assert may(made, role, "kms:Decrypt", KEY, **via)
    assert not may(made, role, "s3:GetObject", f"{BUCKET}/mlflow/1/x")
    assert not may(made, role, "s3:ListBucket", BUCKET, s3__prefix="mlflow/")
    assert not may_become(made, "identity-tracking", MAKER.name)


def test_nobody_becomes_a_role_before_it_may_do_something(engine, resolve):
    def client():
        made = identity("another")
        made.keeper(MAKER)
        return k8s.core.v1.ConfigMap("client", data=made.keeper(MAKER).environment).urn

    resolve(client)
    waits = {urn.rpartition("::")[2] for urn in engine.requests["client"].dependencies}
    assert {"another-database-hub-owner", "another-database-hub-owner-access"} <= waits


def test_a_tenants_storage_is_what_its_role_opens(made, resolve, engine):
    storage = resolve(lambda: vars(identity().storage("vision", "vision")))

    bucket, _, path = storage["uri"].removeprefix("s3://").partition("/")
    assert f"arn:aws:s3:::{bucket}" == BUCKET
    assert may(made, TENANT, "s3:PutObject", f"{BUCKET}/{path}/data.parquet")
    assert may(made, TENANT, "s3:ListBucket", BUCKET, s3__prefix=f"{path}/")
    assert storage["environment"] == {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    assert storage["credentials"] == {}
    role = resolve(lambda: identity("two").storage("vision", "vision").login.environment)
    assert role["AWS_ROLE_ARN"] == f"arn:aws:iam::{ACCOUNT}:role/two-tenant-vision"


def test_no_storage_for_a_tenant_that_has_no_role(engine, resolve):
    with pytest.raises(ValueError, match="has no role in AWS"):
        resolve(lambda: identity().storage("language", "language").uri)


@pytest.mark.parametrize(
    ("tenants", "message"),
    [
        (["*"], "not the name of a namespace"),
        (["vision:*"], "not the name of a namespace"),
        (["Vision"], "not the name of a namespace"),
        (["a" * 64], "not the name of a namespace"),
        (["vision", "spillway"], "spillway is the platform's own namespace"),
    ],
)
def test_a_tenant_cannot_be_named_so_that_it_becomes_others(tenants, message, engine, resolve):
    with pytest.raises(ValueError, match=message):
        resolve(lambda: identity(tenants=tenants).urn)
