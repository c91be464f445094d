"""How things live in a played cloud: they need each other, are locked, drift, are found again."""

import json
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from cloudbed import PROJECT, Player, files, play
from pulumi.runtime.proto import provider_pb2 as wire

from rig.plugins.cloud.metadata import schema
from rig.plugins.cloud.seed import Context, seed
from rig.plugins.cloud.world import World
from rig.plugins.values import UNKNOWN, Secret, from_struct, is_unknown, plain, to_struct

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
INSTANCE = "aws:rds/instance:Instance"
BUCKET = "aws:s3/bucket:Bucket"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ROLE = "aws:iam/role:Role"
SQL = "gcp:sql/databaseInstance:DatabaseInstance"
POOL = "gcp:iam/workloadIdentityPool:WorkloadIdentityPool"
Change = wire.PropertyDiff

Clouds = Callable[..., Player]


@pytest.fixture
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clouds:
    return lambda cloud, **config: play(cloud, tmp_path, monkeypatch, **config)


@pytest.fixture
def aws(clouds: Clouds) -> Player:
    return clouds("aws")


@pytest.fixture
def gcp(clouds: Clouds) -> Player:
    return clouds("gcp")


def subnets(aws: Player) -> tuple[str, list[str]]:
    vpc = aws.create(VPC, cidrBlock="10.64.0.0/16")
    return vpc, [
        aws.create(SUBNET, zone, vpcId=vpc, cidrBlock=cidr, availabilityZone=f"eu-central-1{zone}")
        for zone, cidr in (("a", "10.64.0.0/20"), ("b", "10.64.16.0/20"))
    ]


def database(aws: Player, name: str = "db", **more: Any) -> dict[str, str]:
    """An instance and all that it stands on, by what it is."""
    vpc, lie_in = subnets(aws)
    found = {"vpc": vpc, "subnet": lie_in[0]}
    found["subnets"] = aws.create(
        "aws:rds/subnetGroup:SubnetGroup", f"{name}-subnets", subnetIds=lie_in
    )
    found["key"] = aws.create("aws:kms/key:Key", f"{name}-key")
    found["parameters"] = aws.create(
        "aws:rds/parameterGroup:ParameterGroup", f"{name}-settings", family="postgres17"
    )
    found["group"] = aws.create(GROUP, name, vpcId=vpc, description="clients")
    given = {
        "engine": "postgres",
        "engineVersion": "17",
        "instanceClass": "db.t4g.medium",
        "allocatedStorage": 50,
        "storageEncrypted": True,
        "kmsKeyId": aws.outputs(found["key"])["arn"],
        "dbName": "mlflow",
        "username": "mlflow",
        "manageMasterUserPassword": True,
        "dbSubnetGroupName": found["subnets"],
        "parameterGroupName": found["parameters"],
        "vpcSecurityGroupIds": [found["group"]],
        "finalSnapshotIdentifier": f"{name}-final",
    }
    found["instance"] = aws.create(INSTANCE, name, **given | more)
    return found


# -- what needs what ------------------------------------------------------------------------------


def test_what_is_in_use_does_not_go_and_goes_when_it_is_not(aws: Player):
    made = database(aws)
    order = ("instance", "subnets", "parameters", "group", "key")
    for used in ("subnets", "parameters", "group", "key"):
        with pytest.raises(ValueError, match="is in use by DB instance"):
            aws.delete(made[used])
    with pytest.raises(ValueError, match=r"VPC vpc-\w+ is in use by .*subnet subnet-\w+"):
        aws.delete(made["vpc"])
    with pytest.raises(ValueError, match="is in use by DB subnet group"):
        aws.delete(made["subnet"])
    for one in order:
        aws.delete(made[one])
    for identifier, (token, *_) in aws.states.items():
        if token == SUBNET:
            aws.delete(identifier)
    aws.delete(made["vpc"])


@pytest.mark.parametrize(
    ("token", "inputs", "said"),
    [
        (SUBNET, {"vpcId": "vpc-0", "cidrBlock": "10.0.0.0/24"}, "there is no VPC vpc-0"),
        (POLICY, {"bucket": "nobodys", "policy": "{}"}, "there is no bucket nobodys"),
        ("aws:rds/subnetGroup:SubnetGroup", {"subnetIds": ["subnet-1", "subnet-2"]}, "no subnet"),
    ],
)
@pytest.mark.parametrize("preview", [True, False])
def test_what_is_named_must_be_there_in_previews_as_well(
    aws: Player, token: str, inputs: dict[str, Any], said: str, preview: bool
):
    if token == POLICY:
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
        inputs = inputs | {
            "policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        }
    with pytest.raises(ValueError, match=said):
        aws.preview(token, inputs) if preview else aws.create(token, **inputs)


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize(
    ("cidr", "said"),
    [
        ("10.65.0.0/20", "is not inside 10.64.0.0/16"),
        ("10.64.0.0/24", r"overlaps 10\.64\.0\.0/20 of subnet"),
    ],
)
def test_a_subnet_lies_in_its_vpc_and_on_no_other(aws: Player, cidr: str, said: str, preview: bool):
    vpc, _ = subnets(aws)
    given = {"vpcId": vpc, "cidrBlock": cidr, "availabilityZone": "eu-central-1a"}
    with pytest.raises(ValueError, match=said):
        aws.preview(SUBNET, given, "c") if preview else aws.create(SUBNET, "c", **given)
    aws.create(SUBNET, "c", **given | {"cidrBlock": "10.64.32.0/20"})


def test_a_database_lies_in_two_zones(aws: Player):
    vpc, [first, _] = subnets(aws)
    there = aws.create(
        SUBNET, "a2", vpcId=vpc, cidrBlock="10.64.32.0/20", availabilityZone="eu-central-1a"
    )
    with pytest.raises(ValueError, match="RDS needs two zones"):
        aws.create("aws:rds/subnetGroup:SubnetGroup", subnetIds=[first, there])


def test_settings_are_of_the_version_that_runs(aws: Player):
    with pytest.raises(ValueError, match="family postgres17, the engine is postgres 16"):
        database(aws, engineVersion="16")


def test_a_name_is_given_once(aws: Player, gcp: Player):
    aws.create(BUCKET, bucket="artifacts")
    with pytest.raises(ValueError, match="bucket artifacts exists already"):
        aws.create(BUCKET, "other", bucket="artifacts")
    database(aws, identifier="mlflow")
    with pytest.raises(ValueError, match="DB instance mlflow exists already"):
        database(aws, "db2", identifier="mlflow")
    gcp.create(POOL, workloadIdentityPoolId="onprem")
    with pytest.raises(ValueError, match="exists already"):
        gcp.create(POOL, "other", workloadIdentityPoolId="onprem")


def test_google_keeps_the_id_of_what_was_deleted(gcp: Player):
    pool = gcp.create(POOL, workloadIdentityPoolId="onprem")
    gcp.delete(pool)
    with pytest.raises(ValueError, match="was deleted lately: Google keeps a pool's id"):
        gcp.create(POOL, workloadIdentityPoolId="onprem")


def test_a_role_trusts_only_an_issuer_that_is_there(aws: Player):
    issuer = "arn:aws:iam::123456789012:oidc-provider/oidc.example.com"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": issuer},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {"oidc.example.com:sub": "x"}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with pytest.raises(ValueError, match=f"there is no identity provider {issuer}"):
        aws.create(ROLE, assumeRolePolicy=trust)
    aws.create(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        url="https://oidc.example.com",
        clientIdLists=["sts.amazonaws.com"],
    )
    aws.create(ROLE, assumeRolePolicy=trust)


def test_a_bucket_that_blocks_the_public_takes_no_public_policy(aws: Player):
    bucket = aws.create(BUCKET, bucket="private")
    aws.create(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        bucket=bucket,
        blockPublicPolicy=True,
    )
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with pytest.raises(ValueError, match="which blockPublicPolicy of the bucket forbids"):
        aws.create(POLICY, bucket=bucket, policy=policy)


def network(gcp: Player) -> str:
    return gcp.create("gcp:compute/network:Network", "net", name="net", autoCreateSubnetworks=False)


def test_bgp_needs_two_numbers_and_one_network(gcp: Player):
    net = network(gcp)
    gcp.create("gcp:compute/router:Router", name="r", network=net, bgp={"asn": 64514})
    gcp.create("gcp:compute/routerInterface:RouterInterface", name="i", router="r",
               ipRange="169.254.64.1/30")  # fmt: skip
    peer = {"name": "p", "router": "r", "interface": "i", "peerAsn": 65010}
    for wrong, said in (
        ({"peerAsn": 64514}, "64514 is the router's own"),
        ({"peerIpAddress": "169.254.65.2"}, "is not in 169.254.64.0/30"),
        ({"peerIpAddress": "169.254.64.1"}, "is the router's own end"),
        ({"region": "europe-west4"}, "the router is in europe-west3"),
    ):
        given = peer | {"peerIpAddress": "169.254.64.2"} | wrong
        with pytest.raises(ValueError, match=said):
            gcp.create("gcp:compute/routerPeer:RouterPeer", **given)
    gcp.create("gcp:compute/routerPeer:RouterPeer", **peer, peerIpAddress="169.254.64.2")


def test_a_subnet_keeps_off_the_range_of_managed_services(gcp: Player):
    net = network(gcp)
    gcp.create(
        "gcp:compute/globalAddress:GlobalAddress",
        network=net,
        purpose="VPC_PEERING",
        addressType="INTERNAL",
        address="10.97.0.0",
        prefixLength=20,
    )
    given = {"network": net, "ipCidrRange": "10.97.8.0/24"}
    with pytest.raises(ValueError, match=r"overlaps 10\.97\.0\.0/20, reserved by"):
        gcp.create("gcp:compute/subnetwork:Subnetwork", **given)


def sql(gcp: Player, **more: Any) -> tuple[str, str]:
    net = network(gcp)
    settings = {
        "tier": "db-custom-2-8192",
        "edition": "ENTERPRISE",
        "ipConfiguration": {"ipv4Enabled": False, "privateNetwork": net},
    }
    given = {"databaseVersion": "POSTGRES_17", "settings": settings} | more
    with pytest.raises(ValueError, match="there is no private services connection"):
        gcp.create(SQL, "early", **given)
    gcp.create(
        "gcp:compute/globalAddress:GlobalAddress",
        name="psa",
        network=net,
        purpose="VPC_PEERING",
        addressType="INTERNAL",
        address="10.97.0.0",
        prefixLength=20,
    )
    connection = gcp.create(
        "gcp:servicenetworking/connection:Connection",
        network=net,
        service="servicenetworking.googleapis.com",
        reservedPeeringRanges=["psa"],
    )
    return gcp.create(SQL, "db", **given), connection


def test_an_instance_of_cloud_sql_lives_in_a_peering_and_keeps_it(gcp: Player):
    instance, connection = sql(gcp, deletionProtection=False)
    found = gcp.outputs(instance)
    assert IPv4Address(found["privateIpAddress"]) in IPv4Network("10.97.0.0/20")
    assert found["connectionName"] == f"{PROJECT}:europe-west3:{instance}"
    with pytest.raises(ValueError, match="is in use by SQL instance"):
        gcp.delete(connection)
    gcp.delete(instance)
    gcp.delete(connection)
    with pytest.raises(ValueError, match="keeps an instance's name for about a week"):
        gcp.create(SQL, "again", **{**gcp.states[instance][2], "settings": {"tier": "db-f1-micro",
                   "edition": "ENTERPRISE"}})  # fmt: skip


# -- locks ----------------------------------------------------------------------------------------


def test_a_protected_database_does_not_go(aws: Player):
    instance = database(aws, deletionProtection=True)["instance"]
    with pytest.raises(ValueError, match="deletionProtection is on"):
        aws.delete(instance)
    aws.update(instance, deletionProtection=False)
    aws.delete(instance)


def test_a_last_snapshot_needs_a_name_of_its_own(aws: Player):
    first = database(aws, "one", finalSnapshotIdentifier="final", identifier="first")
    aws.delete(first["instance"])
    second = database(aws, "two", finalSnapshotIdentifier="final", identifier="second")
    with pytest.raises(ValueError, match="a final snapshot final exists already"):
        aws.delete(second["instance"])
    aws.update(second["instance"], finalSnapshotIdentifier="final-2")
    aws.delete(second["instance"])


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ({}, "deletionProtection is on"),
        ({"deletionProtection": True}, "deletionProtection is on"),
        ({"deletionProtection": False}, "settings.deletionProtectionEnabled is on"),
    ],
)
def test_both_locks_of_cloud_sql_hold(gcp: Player, lock: dict[str, Any], said: str):
    settings = {
        "tier": "db-f1-micro",
        "edition": "ENTERPRISE",
        "deletionProtectionEnabled": True,
    }
    instance = gcp.create(SQL, databaseVersion="POSTGRES_17", settings=settings, **lock)
    with pytest.raises(ValueError, match=said):
        gcp.delete(instance)


def test_policies_of_deletion_are_followed(gcp: Player, tmp_path: Path):
    kept = gcp.create("gcp:compute/network:Network", "kept", name="kept", deletionPolicy="PREVENT")
    with pytest.raises(ValueError, match="its deletionPolicy is PREVENT"):
        gcp.delete(kept)
    left = gcp.create("gcp:compute/network:Network", "left", name="left", deletionPolicy="ABANDON")
    gcp.delete(left)
    assert gcp.read(left).id == left


# -- changes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "kinds", "replaces"),
    [
        ({}, {}, []),
        ({"tags": {"b": "2"}}, {"tags.a": "DELETE", "tags.b": "ADD"}, []),
        ({"enableDnsSupport": True}, {}, []),
        ({"enableDnsHostnames": True}, {"enableDnsHostnames": "UPDATE"}, []),
        ({"cidrBlock": "10.65.0.0/16"}, {"cidrBlock": "UPDATE_REPLACE"}, ["cidrBlock"]),
        ({"cidrBlock": UNKNOWN}, {"cidrBlock": "UPDATE_REPLACE"}, ["cidrBlock"]),
        ({"tags": None}, {"tags": "DELETE"}, []),
    ],
)
def test_a_change_is_told_by_path_and_what_it_means(
    aws: Player, changed: dict[str, Any], kinds: dict[str, str], replaces: list[str]
):
    vpc = aws.create(VPC, cidrBlock="10.64.0.0/16", tags={"a": "1"})
    answer = aws.diff(vpc, **changed)
    found = {path: Change.Kind.Name(one.kind) for path, one in answer.detailedDiff.items()}
    assert found == kinds
    assert list(answer.replaces) == replaces
    assert (answer.changes == wire.DiffResponse.DIFF_SOME) == bool(kinds)
    assert not answer.deleteBeforeReplace


@pytest.mark.parametrize(
    ("changed", "replaces"),
    [
        ({"dbName": "other"}, ["dbName"]),
        ({"engine": "mysql"}, ["engine"]),
        ({"kmsKeyId": UNKNOWN}, ["kmsKeyId"]),
        ({"storageEncrypted": False}, ["storageEncrypted"]),
        ({"username": "other"}, ["username"]),
        ({"instanceClass": "db.m6g.large"}, []),
        ({"engineVersion": "18"}, []),
        ({"backupRetentionPeriod": 7}, []),
        ({"vpcSecurityGroupIds": [UNKNOWN]}, []),
        ({"identifier": "renamed"}, []),
    ],
)
def test_what_replaces_a_database(aws: Player, changed: dict[str, Any], replaces: list[str]):
    made = database(aws)
    answer = aws.diff(made["instance"], **changed)
    assert list(answer.replaces) == replaces
    assert answer.changes == wire.DiffResponse.DIFF_SOME


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"engineVersion": "16"}, "cannot go back from 17 to 16"),
        ({"engineVersion": "18"}, "needs allowMajorVersionUpgrade"),
        ({"allocatedStorage": 40}, "cannot shrink from 50 to 40 GiB"),
        ({"dbSubnetGroupName": "elsewhere"}, "RDS moves between VPCs only"),
    ],
)
def test_a_cloud_refuses_what_it_cannot_change(aws: Player, changed: dict[str, Any], said: str):
    made = database(aws)
    with pytest.raises(ValueError, match=said):
        aws.update(made["instance"], **changed)


def test_cloud_sql_replaces_a_disk_that_shrinks_and_never_goes_back(gcp: Player):
    settings = {"tier": "db-f1-micro", "edition": "ENTERPRISE", "diskSize": 50}
    instance = gcp.create(SQL, databaseVersion="POSTGRES_17", settings=settings)
    smaller = gcp.diff(instance, settings=settings | {"diskSize": 40})
    assert smaller.detailedDiff["settings.diskSize"].kind == Change.UPDATE_REPLACE
    larger = gcp.diff(instance, settings=settings | {"diskSize": 60})
    assert larger.detailedDiff["settings.diskSize"].kind == Change.UPDATE
    with pytest.raises(ValueError, match="cannot go back from POSTGRES_17 to 16"):
        gcp.update(instance, databaseVersion="POSTGRES_16")


def test_a_subnet_of_google_grows_in_place(gcp: Player):
    made = gcp.create("gcp:compute/subnetwork:Subnetwork", network=network(gcp),
                      ipCidrRange="10.96.16.0/20")  # fmt: skip
    grown, other = ("10.96.0.0/18", "10.98.0.0/20")
    assert not gcp.diff(made, ipCidrRange=grown).replaces
    assert list(gcp.diff(made, ipCidrRange=other).replaces) == ["ipCidrRange"]


def test_the_order_of_what_has_none_is_no_change(aws: Player):
    made = database(aws)
    group = made["subnets"]
    before = aws.states[group][2]["subnetIds"]
    assert aws.diff(group, subnetIds=before[::-1]).changes == wire.DiffResponse.DIFF_NONE


def test_spaces_in_a_policy_are_no_change(aws: Player):
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
                 "Action": "sts:AssumeRole"}  # fmt: skip
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    role = aws.create(ROLE, assumeRolePolicy=json.dumps(policy))
    spaced = aws.diff(role, assumeRolePolicy=json.dumps(policy, indent=2))
    assert spaced.changes == wire.DiffResponse.DIFF_NONE
    policy["Statement"] = [statement | {"Effect": "Deny"}]
    assert aws.diff(role, assumeRolePolicy=json.dumps(policy)).changes


def test_another_region_replaces_what_follows_the_provider(clouds: Clouds):
    aws = clouds("aws")
    vpc = aws.create(VPC, cidrBlock="10.64.0.0/16")
    moved = clouds("aws", region="eu-west-1")
    moved.states = aws.states
    answer = moved.diff(vpc)
    assert list(answer.replaces) == ["region"]


# -- names ----------------------------------------------------------------------------------------


def test_a_name_made_up_by_the_provider_stays(aws: Player):
    first = aws.check(BUCKET, {}, "Artifacts")
    made = from_struct(first.inputs)
    assert re.fullmatch(r"artifacts-[0-9a-f]{7}", made["bucket"])
    again = from_struct(aws.check(BUCKET, {"forceDestroy": True}, "Artifacts", made).inputs)
    assert again["bucket"] == made["bucket"]
    told = from_struct(aws.check(BUCKET, {"bucket": "told"}, "Artifacts", made).inputs)
    assert told["bucket"] == "told"


def test_an_explicit_name_goes_before_it_comes_again(aws: Player):
    told = aws.create("aws:ecr/repository:Repository", "told", name="mlflow")
    encrypted = [{"encryptionType": "KMS"}]
    assert aws.diff(told, encryptionConfigurations=encrypted).deleteBeforeReplace
    made_up = aws.create("aws:ecr/repository:Repository", "made-up")
    assert aws.diff(made_up, encryptionConfigurations=encrypted).replaces
    assert not aws.diff(made_up, encryptionConfigurations=encrypted).deleteBeforeReplace


# -- what is computed -----------------------------------------------------------------------------


def test_what_aws_computes_looks_like_it(aws: Player):
    made = database(aws, identifier="mlflow", masterUserSecretKmsKeyId=None)
    found = aws.outputs(made["instance"])
    assert re.fullmatch(r"mlflow\.\w{12}\.eu-central-1\.rds\.amazonaws\.com", found["address"])
    assert found["endpoint"] == f"{found['address']}:5432"
    assert found["arn"] == "arn:aws:rds:eu-central-1:123456789012:db:mlflow"
    [secret] = found["masterUserSecrets"]
    assert secret["secretArn"].startswith("arn:aws:secretsmanager:eu-central-1:123456789012:secret")
    assert re.fullmatch(r"17\.\d+", found["engineVersionActual"])
    assert found["engineVersion"] == "17"
    gateway = aws.create("aws:ec2/vpnGateway:VpnGateway", vpcId=made["vpc"])
    company = aws.create("aws:ec2/customerGateway:CustomerGateway", type="ipsec.1",
                         ipAddress="203.0.113.10", bgpAsn="65010")  # fmt: skip
    tunnels = aws.create("aws:ec2/vpnConnection:VpnConnection", type="ipsec.1",
                         vpnGatewayId=gateway, customerGatewayId=company,
                         presharedKeyStorage="SecretsManager")  # fmt: skip
    found = aws.outputs(tunnels)
    assert found["tunnel1Address"] != found["tunnel2Address"]
    assert ":secret:s2svpn!" in found["presharedKeyArn"]
    assert isinstance(aws.marked(tunnels)["customerGatewayConfiguration"], Secret)


def test_a_preview_knows_inputs_and_nothing_else(aws: Player, tmp_path: Path):
    found = aws.preview(VPC, {"cidrBlock": "10.64.0.0/16"})
    assert found["cidrBlock"] == "10.64.0.0/16"
    assert is_unknown(found["arn"])
    assert found["region"] == "eu-central-1"
    assert "ec2.Vpc" not in files(tmp_path)


def test_a_preview_finds_what_it_will_make_by_its_name(aws: Player):
    aws.preview("aws:rds/parameterGroup:ParameterGroup", {"name": "new", "family": "postgres16"})
    given = {
        "engine": "postgres",
        "engineVersion": "17",
        "instanceClass": "db.t4g.medium",
        "manageMasterUserPassword": True,
        "skipFinalSnapshot": True,
        "parameterGroupName": "new",
    }
    with pytest.raises(ValueError, match="family postgres16, the engine is postgres 17"):
        aws.preview(INSTANCE, given)
    with pytest.raises(ValueError, match="there is no DB parameter group old"):
        aws.preview(INSTANCE, given | {"parameterGroupName": "old"})


def test_tags_of_the_provider_are_on_everything(clouds: Clouds):
    aws = clouds("aws", defaultTags='{"tags": {"stack": "prod", "team": "ml"}}')
    vpc = aws.create(VPC, cidrBlock="10.64.0.0/16", tags={"team": "mine"})
    assert aws.outputs(vpc)["tagsAll"] == {"stack": "prod", "team": "mine"}
    later = clouds("aws", defaultTags='{"tags": {"stack": "dev"}}')
    later.states = aws.states
    assert later.diff(vpc, tags={"team": "mine"}).detailedDiff["tags.stack"].kind == Change.UPDATE


def test_labels_of_the_provider_are_on_everything(clouds: Clouds):
    given = {"location": "EU", "labels": {"team": "mine"}}
    gcp = clouds("gcp", defaultLabels='{"stack": "prod", "team": "ml"}')
    bucket = gcp.create("gcp:storage/bucket:Bucket", **given)
    found = gcp.outputs(bucket)
    assert found["labels"] == {"team": "mine"}
    assert found["pulumiLabels"] == {"stack": "prod", "team": "mine"}
    assert found["effectiveLabels"] == found["pulumiLabels"] | {"goog-pulumi-provisioned": "true"}
    assert isinstance(gcp.marked(bucket)["pulumiLabels"], Secret)
    assert gcp.diff(bucket).changes == wire.DiffResponse.DIFF_NONE
    later = clouds("gcp", defaultLabels='{"stack": "dev"}')
    later.states = gcp.states
    assert "pulumiLabels" in later.diff(bucket).detailedDiff


@pytest.mark.parametrize(
    ("allowed", "said"),
    [('["210987654321"]', r"account 123456789012 is not in allowed_account_ids")],
)
def test_a_cloud_has_one_account_for_life(clouds: Clouds, allowed: str, said: str):
    clouds("aws", allowedAccountIds='["123456789012"]')
    with pytest.raises(ValueError, match=said):
        clouds("aws", allowedAccountIds=allowed)


def test_the_first_who_is_allowed_in_owns_a_new_cloud(clouds: Clouds):
    aws = clouds("aws", allowedAccountIds='["210987654321"]')
    vpc = aws.create(VPC, cidrBlock="10.64.0.0/16")
    assert aws.outputs(vpc)["ownerId"] == "210987654321"


# -- drift and adoption ---------------------------------------------------------------------------


def test_a_refresh_finds_no_change_where_there_is_none(aws: Player, gcp: Player):
    instance, _ = sql(gcp)
    for player, one in ((aws, database(aws)["instance"]), (gcp, instance)):
        answer = player.read(one)
        assert plain(from_struct(answer.properties)) == player.outputs(one)
        assert plain(from_struct(answer.inputs)) == plain(player.states[one][2])


def test_drift_is_found_and_told(aws: Player, tmp_path: Path):
    vpc = aws.create(VPC, cidrBlock="10.64.0.0/16", tags={"a": "1"})
    [file] = tmp_path.glob("aws/ec2.Vpc=*.json")
    there = json.loads(file.read_text())
    there["inputs"]["tags"] = {"a": "2"}
    file.write_text(json.dumps(there))
    answer = aws.read(vpc)
    assert from_struct(answer.properties)["tags"] == {"a": "2"}
    token, name, *_ = aws.states[vpc]
    aws.states[vpc] = (token, name, from_struct(answer.inputs), from_struct(answer.properties))
    diff = aws.diff(vpc, tags={"a": "1"})
    assert diff.detailedDiff["tags.a"].kind == Change.UPDATE
    file.unlink()
    assert aws.read(vpc).id == ""
    with pytest.raises(ValueError, match="not found: somebody else deleted it"):
        aws.update(vpc, tags={"a": "1"})
    aws.delete(vpc)


def test_what_was_there_before_is_imported_by_the_name_people_know(aws: Player, tmp_path: Path):
    seed(tmp_path, "aws", {"region": "eu-central-1"}, BUCKET, {"bucket": "old"})
    name = seed(
        tmp_path,
        "aws",
        {"region": "eu-central-1"},
        INSTANCE,
        {
            "identifier": "old-db",
            "engine": "postgres",
            "engineVersion": "16",
            "instanceClass": "db.m6g.large",
            "allocatedStorage": 40,
            "username": "mlflow",
            "password": Secret("hush-hush-hush"),
            "skipFinalSnapshot": True,
        },
    )
    assert name == "old-db"
    bucket = aws.imported(BUCKET, "old")
    assert bucket.id == "old"
    assert from_struct(bucket.inputs)["bucket"] == "old"
    instance = aws.imported(INSTANCE, "old-db")
    assert instance.id.startswith("db-")
    assert from_struct(instance.inputs)["allocatedStorage"] == 40
    assert "password" not in from_struct(instance.inputs)
    assert aws.imported(BUCKET, "nobodys").id == ""
    assert "hush" not in files(tmp_path)


# -- secrets and mistakes -------------------------------------------------------------------------


def test_no_secret_reaches_a_file_or_a_message(aws: Player, gcp: Player, tmp_path: Path):
    hush = "hush-hush-hush"
    secret = gcp.create("gcp:secretmanager/secret:Secret", secretId="key",
                        replication={"auto": {}}, labels={"a": Secret("hush-label")})  # fmt: skip
    version = gcp.create("gcp:secretmanager/secretVersion:SecretVersion", secret=secret,
                         secretDataWo=Secret(hush), secretDataWoVersion="1")  # fmt: skip
    assert "secretDataWo" not in gcp.outputs(version), "write-only is in no state"
    plainly = gcp.create("gcp:secretmanager/secretVersion:SecretVersion", "v2", secret=secret,
                         secretData=hush)  # fmt: skip
    assert isinstance(gcp.marked(plainly)["secretData"], Secret)
    aws.create(GROUP, vpcId=aws.create(VPC, cidrBlock="10.0.0.0/16"), description=Secret(hush))
    with pytest.raises(ValueError, match=r"there is no VPC \[secret\]"):
        aws.create(SUBNET, vpcId=Secret(hush), cidrBlock="10.0.0.0/24")
    [said] = aws.said(VPC, {"cidrBlock": Secret(hush)})
    assert "[secret]" in said
    assert hush not in said
    assert "hush" not in files(tmp_path)


def test_a_refresh_keeps_what_only_the_state_knows(gcp: Player):
    secret = gcp.create("gcp:secretmanager/secret:Secret", secretId="key",
                        replication={"auto": {}})  # fmt: skip
    version = gcp.create("gcp:secretmanager/secretVersion:SecretVersion", secret=secret,
                         secretData=Secret("hush"))  # fmt: skip
    answer = gcp.read(version)
    assert from_struct(answer.properties)["secretData"] == Secret("hush")
    assert from_struct(answer.inputs)["secretData"] == Secret("hush")


def test_a_changed_secret_is_a_change_and_a_write_only_one_is_not(gcp: Player):
    secret = gcp.create("gcp:secretmanager/secret:Secret", secretId="key",
                        replication={"auto": {}})  # fmt: skip
    given = {"secret": secret, "secretDataWo": Secret("one"), "secretDataWoVersion": "1"}
    version = gcp.create("gcp:secretmanager/secretVersion:SecretVersion", **given)
    assert gcp.diff(version, secretDataWo=Secret("two")).changes == wire.DiffResponse.DIFF_NONE
    assert list(gcp.diff(version, secretDataWoVersion="2").replaces) == ["secretDataWoVersion"]


def test_a_mistake_of_the_stand_in_shows_no_value(aws: Player, monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise KeyError("hush")

    monkeypatch.setattr(World, "put", fails)
    with pytest.raises(
        ValueError, match=r"mistake in the stand-in: KeyError at \w+\.py:\d+"
    ) as told:
        aws.create(VPC, cidrBlock="10.0.0.0/16")
    assert "hush" not in str(told.value)


def test_look_ups_are_refused(aws: Player):
    with pytest.raises(ValueError, match="look-ups need a cloud, and a rehearsal has none"):
        aws.cloud.Invoke(wire.InvokeRequest(tok="aws:ec2/getVpc:getVpc"), Context())


# -- the SDK --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_every_declared_property_is_one_of_the_sdk(clouds: Clouds, cloud: str):
    """A rule for a property that was misspelt would never find anything."""
    for kind in clouds(cloud).cloud._kinds.values():
        known = schema(cloud, kind.type)
        named = {*kind.replaces, *kind.replaces_if, *kind.unordered, *kind.kept, *kind.documents}
        named |= {ref.path for ref in kind.refs}
        named |= {kind.name} if kind.name else set()
        top = {re.split(r"[.\[]", name)[0] for name in named}
        assert top <= set(known.inputs), (kind.type, top - set(known.inputs))
        assert set(kind.unique) <= set(known.outputs)


def test_a_schema_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = schema("aws", VPC)
    monkeypatch.setattr("rig.plugins.cloud.metadata._read", None)
    assert schema("aws", VPC) == first
    assert first.required == []
    assert {"arn", "cidrBlock", "tagsAll"} <= set(first.outputs)


def test_a_call_with_unknown_values_is_answered(aws: Player):
    made = database(aws)["instance"]
    token, name, before, state = aws.states[made]
    request = wire.UpdateRequest(
        id=made,
        urn=f"urn:pulumi:test::spillway::{token}::{name}",
        type=token,
        olds=to_struct(state),
        news=to_struct(before | {"vpcSecurityGroupIds": [UNKNOWN]}),
        preview=True,
    )
    found = from_struct(aws.cloud.Update(request, Context()).properties)
    assert found["address"] == plain(state)["address"]
