"""Edits that destroy, or take a guard away: each refused with its reason, unless it is allowed."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from gate_plans import AWS, CONFIG, GCP, KUBERNETES, TENANTS, Made, Planned

from infra.gate import judge
from infra.gate.dangers import DANGERS, Danger


@dataclass(frozen=True)
class Edit:
    """What somebody changed, and what the gate has to say about it."""

    what: str
    edit: Callable[[Planned], str]
    """Applies it; gives back the URN of what is refused."""
    says: str
    forced: str = ""
    """What the report names as the input that forces it."""


def on(*made: Made) -> Callable[[], Planned]:
    return lambda: Planned(*made, *KUBERNETES)


def rename_a_component(plan: Planned) -> str:
    urn = plan.delete("database", "Instance")
    plan.delete("database-key")
    instance = next(m for m in AWS if m.type == "aws:rds/instance:Instance")
    plan.create(Made("aws:Database metadata", instance.type, "metadata", instance.inputs))
    return urn


def drop_a_tenant_gcp(plan: Planned) -> str:
    plan.delete("identity-vision-objects")
    return plan.delete("identity-vision")


ON_AWS = (
    Edit("a component is renamed", rename_a_component, "rds:Instance database` is deleted"),
    Edit(
        "the database's name changes",
        lambda p: p.replace("database", "Instance", dbName="tracking"),
        "rds:Instance database` is replaced: the database goes",
        "dbName: mlflow → tracking",
    ),
    Edit(
        "PostgreSQL goes back a version",
        lambda p: p.update("database", "Instance", engineVersion="16"),
        "rds:Instance database` is weakened: data files cannot go back",
        "engineVersion: 17 → 16",
    ),
    Edit(
        "the VPC's addresses change",
        lambda p: p.replace("network", "Vpc", cidrBlock="10.65.0.0/16"),
        "ec2:Vpc network` is replaced",
        "cidrBlock: 10.64.0.0/16 → 10.65.0.0/16",
    ),
    Edit(
        "a subnet moves to another zone",
        lambda p: p.replace("network-a", availabilityZone="eu-central-1c"),
        "ec2:Subnet network-a` is replaced",
        "availabilityZone: eu-central-1a → eu-central-1c",
    ),
    Edit(
        "the VPN is made anew",
        lambda p: p.replace("network-vpn", type="ipsec.2"),
        "ec2:VpnConnection network-vpn` is replaced: the link",
    ),
    Edit(
        "a tenant is dropped",
        lambda p: p.delete("identity-vision"),
        "iam:Role identity-vision` is deleted: whoever logs in",
    ),
    Edit(
        "the issuer changes",
        lambda p: p.replace("identity", "Provider", url="https://other.example.com"),
        "iam:OpenIdConnectProvider identity` is replaced: no pod can log in",
        "url: https://oidc.example.com → https://other.example.com",
    ),
    Edit(
        "the key is deleted",
        lambda p: p.delete("database-key"),
        "kms:Key database-key` is deleted: what it encrypted",
    ),
    Edit(
        "the bucket is deleted",
        lambda p: p.delete("object-store", "Bucket"),
        "s3:Bucket object-store` is deleted: artifacts",
    ),
    Edit(
        "the registry is made anew",
        lambda p: p.replace("registry-mlflow", name="other/mlflow"),
        "ecr:Repository registry-mlflow` is replaced",
    ),
    Edit(
        "the disk is no longer encrypted",
        lambda p: p.replace("database", "Instance", storageEncrypted=False),
        "rds:Instance database` is replaced",
        "storageEncrypted: true → false",
    ),
    Edit(
        "deletion protection is switched off",
        lambda p: p.update("database", "Instance", deletionProtection=False),
        "weakened: from then on the cloud lets it be deleted",
        "deletionProtection: true → false",
    ),
    Edit(
        "backups are switched off",
        lambda p: p.update("database", "Instance", backupRetentionPeriod=0),
        "weakened: it can no longer be restored",
        "backupRetentionPeriod: 14 → 0",
    ),
    Edit(
        "no last snapshot",
        lambda p: p.update("database", "Instance", skipFinalSnapshot=True),
        "weakened: a delete would leave no last snapshot",
    ),
    Edit(
        "the disk shrinks",
        lambda p: p.update("database", "Instance", allocatedStorage=20),
        "weakened: a disk cannot shrink",
        "allocatedStorage: 50 → 20",
    ),
    Edit(
        "the database gets a public address",
        lambda p: p.update("database", "Instance", publiclyAccessible=True),
        "opens to the internet: `the database has a public address`",
    ),
    Edit(
        "TLS is no longer forced",
        lambda p: p.update(
            "database-parameters", parameters=[{"name": "rds.force_ssl", "value": "0"}]
        ),
        "weakened: connections without TLS",
        "rds.force_ssl: 1 → 0",
    ),
    Edit(
        "versioning is suspended",
        lambda p: p.update("object-store-versions", versioningConfiguration__status="Suspended"),
        "weakened: what is overwritten or deleted from then on is lost",
        "versioningConfiguration.status: Enabled → Suspended",
    ),
    Edit(
        "versioning is no longer in the program",
        lambda p: p.delete("object-store-versions"),
        "BucketVersioning object-store-versions` is deleted",
    ),
    Edit(
        "objects expire by age",
        lambda p: p.update(
            "object-store-lifecycle", rules=[{"id": "all", "expiration": {"days": 30}}]
        ),
        "weakened: objects in use",
    ),
    Edit(
        "the bucket may be deleted with all in it",
        lambda p: p.update("object-store", "Bucket", forceDestroy=True),
        "weakened: from then on a delete takes everything in it along",
    ),
    Edit(
        "the public access block is lifted",
        lambda p: p.update("object-store-public-access", blockPublicPolicy=False),
        "weakened: from then on a policy can make it public",
    ),
    Edit(
        "tags become mutable",
        lambda p: p.update("registry-mlflow", imageTagMutability="MUTABLE"),
        "weakened: an image could change under its tag",
    ),
    Edit(
        "the platform's namespace is renamed",
        lambda p: p.replace("platform", metadata__name="other"),
        "kubernetes:core/v1:Namespace platform` is replaced: everything in it",
        "metadata.name: spillway → other",
    ),
    Edit(
        "a volume moves to another class",
        lambda p: p.replace("database-data", spec__storageClassName="slow"),
        "PersistentVolumeClaim database-data` is replaced: the volume goes",
        "spec.storageClassName: fast → slow",
    ),
)

ON_GCP = (
    Edit(
        "the database's password is made anew",
        lambda p: p.replace("database-password", length=40),
        "random:index:RandomPassword database-password` is replaced: what it opens",
        "length: 32 → 40",
    ),
    Edit(
        "the database is renamed",
        lambda p: p.replace("database-mlflow", name="tracking"),
        "sql:Database database-mlflow` is replaced",
        "name: mlflow → tracking",
    ),
    Edit(
        "PostgreSQL goes back a version",
        lambda p: p.update("database", "Instance", databaseVersion="POSTGRES_16"),
        "weakened: data files cannot go back",
        "databaseVersion: POSTGRES_17 → POSTGRES_16",
    ),
    Edit(
        "the API's lock is taken off",
        lambda p: p.update("database", "Instance", settings__deletionProtectionEnabled=False),
        "weakened: from then on the cloud lets it be deleted",
    ),
    Edit(
        "point-in-time recovery is switched off",
        lambda p: p.update(
            "database", "Instance", settings__backupConfiguration__pointInTimeRecoveryEnabled=False
        ),
        "weakened: it can no longer be restored",
    ),
    Edit(
        "plain connections are let in",
        lambda p: p.update(
            "database", "Instance", settings__ipConfiguration__sslMode="ALLOW_UNENCRYPTED"
        ),
        "weakened: connections without TLS",
    ),
    Edit(
        "the database gets a public address",
        lambda p: p.update("database", "Instance", settings__ipConfiguration__ipv4Enabled=True),
        "opens to the internet: `the database has a public address`",
    ),
    Edit(
        "versioning is suspended",
        lambda p: p.update("object-store", versioning__enabled=False),
        "weakened: what is overwritten",
    ),
    Edit(
        "public access is no longer prevented",
        lambda p: p.update("object-store", publicAccessPrevention="inherited"),
        "weakened: from then on a policy can make it public",
    ),
    Edit(
        "current objects expire by age",
        lambda p: p.update(
            "object-store",
            lifecycleRules=[{"action": {"type": "Delete"}, "condition": {"age": 30}}],
        ),
        "weakened: objects in use",
    ),
    Edit("a tenant is dropped", drop_a_tenant_gcp, "ManagedFolder identity-vision` is deleted"),
    Edit(
        "the identity pool is renamed",
        lambda p: p.replace("identity", workloadIdentityPoolId="other"),
        "WorkloadIdentityPool identity` is replaced: no pod can log in",
    ),
    Edit(
        "the subnet's addresses change",
        lambda p: p.replace("network-subnet", ipCidrRange="10.98.0.0/20"),
        "compute:Subnetwork network-subnet` is replaced",
    ),
)

ON_TENANTS = (
    Edit(
        "the guard is no longer in the program",
        lambda p: p.delete("guard-pods-policy"),
        "ValidatingAdmissionPolicy guard-pods-policy` is deleted: from then on a tenant's account",
    ),
    Edit(
        "the guard is bound to nothing",
        lambda p: p.delete("guard-pods-binding"),
        "ValidatingAdmissionPolicyBinding guard-pods-binding` is deleted: from then on a tenant's",
    ),
    Edit(
        "a guard that fails lets everything through",
        lambda p: p.update("guard-pods-policy", spec__failurePolicy="Ignore"),
        "guard-pods-policy` is weakened: from then on a tenant's account",
        "spec.failurePolicy: Fail → Ignore",
    ),
    Edit(
        "the guard only warns",
        lambda p: p.update("guard-pods-binding", spec__validationActions=["Warn"]),
        "guard-pods-binding` is weakened: from then on a tenant's account",
    ),
    Edit(
        "a namespace without its fence",
        lambda p: p.delete("tenant-vision-default-deny"),
        "NetworkPolicy tenant-vision-default-deny` is deleted: from then on all pods",
    ),
    Edit(
        "a team without a quota",
        lambda p: p.delete("tenant-vision-quota"),
        "ResourceQuota tenant-vision-quota` is deleted: from then on its namespace",
    ),
)

CASES = [
    *(pytest.param(on(*AWS), e, CONFIG, id=f"aws: {e.what}") for e in ON_AWS),
    *(pytest.param(on(*GCP), e, {**CONFIG, "cloud": "gcp"}, id=f"gcp: {e.what}") for e in ON_GCP),
    *(pytest.param(on(*TENANTS), e, CONFIG, id=f"tenants: {e.what}") for e in ON_TENANTS),
]


@pytest.mark.parametrize(("start", "edit", "config"), CASES)
def test_a_destructive_edit_is_refused_with_its_reason_unless_allowed(
    start: Callable[[], Planned], edit: Edit, config: dict[str, object]
):
    plan = start()
    unedited = judge(plan.json(), config)
    assert unedited.reasons == ()
    assert unedited.exit_code == 0

    urn = edit.edit(plan)
    verdict = judge(plan.json(), config)
    assert verdict.refused
    assert verdict.exit_code == 1
    assert any(edit.says in reason for reason in verdict.reasons), verdict.reasons
    assert f"- {urn}\n" in verdict.markdown, "the report does not say what allow must name"
    if edit.forced:
        assert f"`{edit.forced}`" in verdict.markdown

    named = refused_urns(verdict.markdown)
    allowed = judge(plan.json(), {**config, "allow": named})
    assert allowed.reasons == ()
    assert "Fine" in allowed.markdown.splitlines()[1]
    assert f"`spillway:allow` names `{urn}`" in allowed.markdown
    if others := [name for name in named if name != urn]:
        assert judge(plan.json(), {**config, "allow": others}).refused


def refused_urns(markdown: str) -> list[str]:
    listed = markdown.partition("spillway:allow:\n")[2].partition("```")[0]
    return [line.removeprefix("  - ") for line in listed.splitlines() if line.strip()]


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: p.update("database", "Instance", engineVersion="18"),
        lambda p: p.update("database", "Instance", allocatedStorage=100),
        lambda p: p.update("database", "Instance", backupRetentionPeriod=7),
        lambda p: p.update("database", "Instance", instanceClass="db.m7g.large"),
        lambda p: p.update("mlflow", spec__replicas=3),
        lambda p: p.replace("mlflow", spec__selector="other"),
        lambda p: p.delete("object-store-lifecycle"),
        lambda p: p.update("object-store-lifecycle", rules=[]),
        lambda p: p.create(Made("aws:Identity identity", "aws:iam/role:Role", "identity-audio")),
    ],
)
def test_a_harmless_edit_passes(edit: Callable[[Planned], str]):
    plan = Planned(*AWS, *KUBERNETES)
    edit(plan)
    assert judge(plan.json(), {**CONFIG, "budget": {}}).reasons == ()


def leaves(plan: Planned, name: str) -> None:
    """A tenant that is taken out of the stack file."""
    for made in list(plan.made.values()):
        if made.name.startswith(f"tenant-{name}-"):
            plan.delete(made.name)


def without(edit: Callable[[Planned], object]) -> tuple[str, ...]:
    """Why an edit of the tenants is refused."""
    plan = Planned(*TENANTS, *KUBERNETES)
    edit(plan)
    return judge(plan.json(), {**CONFIG, "budget": {}}).reasons


def test_fences_go_with_their_namespace_and_only_the_namespace_is_told():
    (reason,) = without(lambda plan: leaves(plan, "vision"))

    assert "Namespace tenant-vision-namespace` is deleted" in reason


def test_the_guard_may_go_when_there_is_no_tenant_left():
    def everybody(plan: Planned) -> None:
        for name in ("vision", "language"):
            leaves(plan, name)
        for name in ("guard-pods-policy", "guard-pods-binding"):
            plan.delete(name)

    reasons = without(everybody)

    assert ["namespace`" in reason for reason in reasons] == [True, True]


def test_the_guard_may_not_go_with_one_tenant_of_two():
    def one(plan: Planned) -> None:
        leaves(plan, "vision")
        plan.delete("guard-pods-policy")

    assert [r for r in without(one) if "guard-pods-policy` is deleted" in r]


def test_a_policy_that_only_lets_something_through_may_go():
    assert without(lambda plan: plan.delete("tenant-vision-tracking")) == ()


PAIRS = [
    (True, False),
    (False, True),
    (14, 7),
    (14, 0),
    *((w, "other") for w in ("Enabled", "enforced", "IMMUTABLE", "ENCRYPTED_ONLY", "Fail")),
    (["Deny"], ["Warn"]),
]


@pytest.mark.parametrize(
    "danger", [pytest.param(d, id=f"{t} {d.path}") for t, found in DANGERS.items() for d in found]
)
def test_every_danger_lies_in_one_direction(danger: Danger):
    bad = [(old, new) for old, new in PAIRS if danger.test(old, new)]
    assert bad
    assert not any(danger.test(new, old) for old, new in bad)
    assert not any(danger.test(value, value) for pair in PAIRS for value in pair)


def test_whatever_is_locked_in_the_state_is_precious():
    locked = Made("index:Mlflow mlflow", "kubernetes:core/v1:Secret", "mlflow-key", {})
    free = Made("index:Mlflow mlflow", "kubernetes:core/v1:Secret", "other", {}, protect=False)
    plan = Planned(locked, free)
    plan.delete("mlflow-key")
    plan.delete("other")
    (reason,) = judge(plan.json()).reasons
    assert "mlflow-key` is deleted: it is locked in the state (protect)" in reason


def test_a_lock_that_is_taken_off_is_told_and_a_later_delete_still_refused():
    plan = Planned(*AWS)
    urn = plan.urn("object-store", "Bucket")
    plan.steps[urn]["newState"]["protect"] = False
    verdict = judge(plan.json(), {**CONFIG, "allow": [urn]})
    assert verdict.exit_code == 0
    assert f"Locks that are taken off (protect): `{urn}`" in verdict.markdown
    assert "take it out" not in verdict.markdown


def test_an_allowed_urn_that_the_plan_does_not_touch_is_told():
    urn = "urn:pulumi:prod::spillway::aws:s3/bucket:Bucket::long-gone"
    verdict = judge(Planned(*AWS).json(), {**CONFIG, "allow": [urn]})
    assert verdict.exit_code == 0
    assert f"take it out: `{urn}`" in verdict.markdown


def test_a_replacement_that_keeps_the_old_one_is_refused_too():
    plan = Planned(*AWS)
    urn = plan.replace("object-store", "Bucket", bucket="other")
    plan.steps[urn]["oldState"]["retainOnDelete"] = True
    (reason,) = judge(plan.json(), CONFIG).reasons
    assert "stays in place, outside the stack" in reason


def test_a_replacement_without_a_reason_names_what_it_follows():
    plan = Planned(*AWS)
    urn = plan.replace("database", "Instance")
    plan.steps[urn]["detailedDiff"] = None
    plan.steps[urn]["replaceReasons"] = []
    assert "something it depends on is replaced" in judge(plan.json(), CONFIG).markdown


# -- another cloud ---------------------------------------------------------------------------------


def switched(before: tuple[Made, ...], after: tuple[Made, ...]) -> Planned:
    plan = Planned(*before, *KUBERNETES)
    for resource in before:
        plan.delete(resource.name, resource.type)
    for resource in after:
        plan.create(resource)
    return plan


def test_switching_the_cloud_is_refused_and_what_to_migrate_is_told_in_order():
    verdict = judge(switched(AWS, GCP).json(), {**CONFIG, "cloud": "gcp"})
    assert verdict.exit_code == 1
    precious = {m.name for m in AWS if m.protect} | {"identity-vision"}
    for name in precious:
        assert any(f" {name}` is deleted" in reason for reason in verdict.reasons), name
    assert not any("create" in reason for reason in verdict.reasons)
    text = verdict.markdown.partition("### To migrate by hand: AWS → Google Cloud")[2]
    steps = [
        "pulumi up --stack prod --target 'urn:pulumi:prod::spillway::spillway:gcp:**'",
        "gcloud secrets versions access latest --secret=TUNNEL_SECRET",
        "skopeo sync --all --src docker --dest docker OLD_REGISTRY/spillway/mlflow NEW_REGISTRY",
        "scale deployment",
        "pg_dump --host=OLD_HOST",
        "pg_restore --host=NEW_HOST",
        "gcloud storage rsync --recursive s3://object-store-5c0ffee gs://NEW_BUCKET",
        "pulumi up --stack prod --exclude 'urn:pulumi:prod::spillway::spillway:aws:**'",
        "pulumi up --stack prod --target 'urn:pulumi:prod::spillway::spillway:aws:**'",
        "make up STACK=prod",
    ]
    places = [text.find(step) for step in steps]
    assert -1 not in places, steps[places.index(-1)]
    assert places == sorted(places)


def test_a_bucket_that_holds_no_data_is_not_copied():
    kept = {"bucket": "public-keys"}
    issuer = Made("aws:Identity identity", "aws:s3/bucket:Bucket", "issuer", {}, kept)
    text = judge(switched((*AWS, issuer), GCP).json(), {**CONFIG, "cloud": "gcp"}).markdown
    assert "s3://object-store-5c0ffee" in text
    assert "s3://public-keys" not in text


def test_the_way_back_has_the_commands_of_the_other_cloud():
    verdict = judge(switched(GCP, AWS).json(), CONFIG)
    text = verdict.markdown.partition("### To migrate by hand: Google Cloud → AWS")[2]
    assert "rclone sync --checksum gcs:object-store-5c0ffee s3:NEW_BUCKET" in text
    assert "spillway:aws:**" in text
    assert "aws ecr get-login-password" in text


def test_giving_up_the_cloud_brings_the_data_home():
    plan = Planned(*AWS, *KUBERNETES)
    for resource in AWS:
        plan.delete(resource.name, resource.type)
    text = judge(plan.json(), {**CONFIG, "cloud": "none"}).markdown
    assert "To migrate by hand: AWS → no cloud" in text
    assert "rclone sync --checksum s3:object-store-5c0ffee onprem:NEW_BUCKET" in text


def test_nothing_is_to_be_migrated_when_the_cloud_stays():
    plan = Planned(*AWS, *KUBERNETES)
    plan.delete("object-store", "Bucket")
    assert "To migrate" not in judge(plan.json(), CONFIG).markdown


def test_no_password_is_an_argument_of_a_command():
    text = judge(switched(AWS, GCP).json(), {**CONFIG, "cloud": "gcp"}).markdown
    for line in text.splitlines():
        if "pg_dump" in line or "pg_restore" in line:
            assert "read -r PGPASSWORD" in line
            assert "postgresql://" not in line
