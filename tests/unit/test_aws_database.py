"""PostgreSQL by RDS."""

import pytest
from aws_builders import database
from computed_aws import FOUND_KEY

INSTANCE = "database-instance"
REPLACES = {"identifier", "dbName", "username", "kmsKeyId", "storageEncrypted", "engine"}
"""Arguments of this project that make another instance:
https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/db_instance"""


@pytest.fixture
def instance(engine, resolve):
    resolve(lambda: database().urn)
    return engine.named(INSTANCE)


def test_it_is_private_encrypted_and_in_two_zones(engine, instance):
    assert instance["publiclyAccessible"] is False
    assert instance["storageEncrypted"] is True
    assert instance["kmsKeyId"] == "arn:aws:kms:eu-central-1:123456789012:key/database-key"
    assert engine.named("database-key")["enableKeyRotation"] is True
    assert instance["multiAz"] is True
    group = engine.of("SubnetGroup")["database-subnets"]
    assert len(group["subnetIds"]) == 3
    assert instance["dbSubnetGroupName"] == "database-subnets"


def test_the_server_answers_nobody_in_the_clear(engine, instance):
    group = engine.named("database-parameters")

    assert group["family"] == "postgres17"
    assert group["parameters"] == [{"name": "rds.force_ssl", "value": "1"}]
    assert instance["parameterGroupName"] == "database-parameters"


def test_only_clients_reach_it_and_it_reaches_nobody(engine, resolve):
    resolve(lambda: database(clients=["10.10.0.0/16", "10.64.0.0/16", "10.10.0.0/16"]).urn)

    rules = [r.inputs for r in engine.resources if r.typ.endswith(":SecurityGroupIngressRule")]
    assert sorted(rule["cidrIpv4"] for rule in rules) == ["10.10.0.0/16", "10.64.0.0/16"]
    for rule in rules:
        assert rule["securityGroupId"] == "database-clients-id"
        assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 5432, 5432)
    assert engine.named(INSTANCE)["vpcSecurityGroupIds"] == ["database-clients-id"]
    assert engine.of("SecurityGroupEgressRule") == {}
    assert not {"ingress", "egress"} & set(engine.named("database-clients"))


def test_every_second_of_the_past_days_can_be_restored(instance):
    assert instance["backupRetentionPeriod"] == 14
    assert instance["deleteAutomatedBackups"] is False
    assert instance["deletionProtection"] is True
    assert instance["skipFinalSnapshot"] is False
    assert instance["finalSnapshotIdentifier"] == "database-final-0badcafe"


def test_whatever_makes_another_instance_makes_another_name_for_its_last_snapshot(engine, resolve):
    resolve(lambda: [database("one").urn, database("two", adopt="old").urn])

    for name in ("one", "two"):
        kept = engine.named(f"{name}-life")["keepers"].values()
        given = {k: v for k, v in engine.named(f"{name}-instance").items() if k in REPLACES}
        assert given["storageEncrypted"] is True, "a constant needs no keeper"
        assert {v for v in given.values() if v is not True} <= set(kept)


def test_a_last_snapshot_outlives_every_other_change(engine, resolve):
    resolve(lambda: [database("one").urn, database("two", machine="db.m7g.large", version=18).urn])

    keepers = [engine.named(f"{n}-life")["keepers"] for n in ("one", "two")]
    assert keepers[0] | {"key": ""} == keepers[1] | {"key": ""}


def test_rds_keeps_the_password_and_the_program_never_sees_it(engine, resolve):
    url, secret, is_secret = resolve(
        lambda: [(d := database()).url, d.environment, d.url.is_secret()]
    )

    assert url == (
        "postgresql://mlflow@database-instance-1a2b3c4.c1a2b3c4d5e6.eu-central-1.rds.amazonaws.com"
        ":5432/mlflow?sslmode=require"
    )
    assert is_secret is True
    assert secret == {
        "SPILLWAY_DATABASE_SECRET": (
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-database-instance-AbCdEf"
        ),
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    instance = engine.named(INSTANCE)
    assert instance["manageMasterUserPassword"] is True
    assert instance["masterUserSecretKmsKeyId"] == instance["kmsKeyId"]
    assert not {"password", "passwordWo"} & set(instance)
    assert engine.of("RandomPassword") == {}


def test_clients_need_a_way_to_every_address_of_the_vpc(engine, resolve):
    (rule,) = resolve(lambda: database().egress)

    assert rule == {
        "to": [{"ip_block": {"cidr": "10.64.0.0/16"}}],
        "ports": [{"protocol": "TCP", "port": 5432}],
    }


def test_clients_wait_until_they_are_let_in(engine, resolve):
    ready = resolve(lambda: [r.urn for r in database().ready])

    assert [urn.rpartition("::")[2] for urn in ready] == [
        INSTANCE,
        "database-from-10.10.0.0-16",
        "database-from-10.64.0.0-16",
    ]


def test_a_change_is_made_when_the_plan_is_carried_out(instance):
    assert instance["applyImmediately"] is True
    assert instance["allowMajorVersionUpgrade"] is True
    assert instance["engineVersion"] == "17"
    assert instance["allocatedStorage"] == 50
    assert instance["maxAllocatedStorage"] == 100


def test_an_adopted_instance_is_imported_protected_and_not_replaced(engine, resolve):
    user, secret_key = resolve(
        lambda: [(d := database(adopt="old-mlflow", protect=False)).user, d.secret_key]
    )

    request, given = engine.requests[INSTANCE], engine.named(INSTANCE)
    assert request.importId == "old-mlflow"
    assert request.protect is True
    assert given["deletionProtection"] is True
    assert given["identifier"] == "old-mlflow"
    once = {"dbName", "username", "kmsKeyId", "dbSubnetGroupName", "masterUserSecretKmsKeyId"}
    assert not once & set(given), "the instance has them already"
    assert engine.of("Key") == engine.of("SubnetGroup") == {}
    assert (user, secret_key) == ("found", FOUND_KEY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clients": []}, "without clients"),
        ({"size_gib": 19}, "20 GiB or more, not 19"),
        ({"backup_days": 0}, "1 to 35 days, not 0"),
        ({"backup_days": 36}, "1 to 35 days, not 36"),
    ],
)
def test_what_rds_would_not_take_is_refused(changes, message, engine, resolve):
    with pytest.raises(ValueError, match=message):
        resolve(lambda: database(**changes).urn)
