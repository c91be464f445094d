"""A small program and the real engine, against the stand-in for AWS: the whole life of a stack."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import NewStack, clean

from rig import plugin_home
from rig.plugins.cloud.seed import seed
from rig.stack import Stack, StackError, destroy, environment, outputs, up

PROGRAM = """\
import pulumi
import pulumi_aws as aws

config = pulumi.Config()
here = pulumi.ResourceOptions(provider=aws.Provider(
    "aws", region="eu-central-1", default_tags={"tags": {"stack": "tiny"}}))
vpc = aws.ec2.Vpc("vpc", cidr_block=config.require("cidr"), opts=here)
cut = config.require("cidr").rsplit(".", 2)[0]
subnets = [
    aws.ec2.Subnet(f"subnet-{zone}", vpc_id=vpc.id, cidr_block=f"{cut}.{16 * part}.0/20",
                   availability_zone=f"eu-central-1{zone}", opts=here)
    for part, zone in enumerate("ab")
]
group = aws.rds.SubnetGroup("db", subnet_ids=[s.id for s in subnets], opts=here)
database = aws.rds.Instance(
    "db", engine="postgres", engine_version="17", instance_class="db.t4g.medium",
    allocated_storage=config.require_int("size"), db_subnet_group_name=group.name,
    db_name=config.get("database") or "mlflow", username="mlflow",
    password=pulumi.Output.secret("hush-" * 4),
    deletion_protection=config.require_bool("lock"), skip_final_snapshot=True, opts=here)
bucket = aws.s3.Bucket("artifacts", bucket=config.get("adopt"), opts=pulumi.ResourceOptions.merge(
    here, pulumi.ResourceOptions(import_=config.get("adopt"))))
pulumi.export("address", database.address)
pulumi.export("bucket", bucket.bucket)
"""
HUSH = b"hush-hush"
SETTINGS = {"cidr": "10.64.0.0/16", "size": 50, "lock": True}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return tmp_path / "world"


@pytest.fixture
def stack(new_stack: NewStack, world: Path) -> Stack:
    made = new_stack(PROGRAM, config())
    tools = [plugin_home.stand_in(name).parent for name in ("random", "aws")]
    base = clean(os.environ) | {"SPILLWAY_CLOUD": str(world)}
    return replace(made, env=environment(made.state, tools=tools, base=base))


def config(**changed: object) -> str:
    return json.dumps({"config": {f"tiny:{n}": v for n, v in (SETTINGS | changed).items()}})


def apply(stack: Stack, **changed: object) -> None:
    stack.config.write_text(config(**changed))
    up(stack, extra=["--skip-preview"])


def left(world: Path) -> set[str]:
    return {file.name.split("=")[0] for file in world.glob("aws/*.json")} - {"spillway.Account"}


def test_a_stack_lives_and_dies_in_a_played_cloud(
    stack: Stack, world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    up(stack, preview_only=True)
    assert "+ 8 to create" in (shown := capfd.readouterr().out)
    assert left(world) == set(), "a preview made something"

    apply(stack)
    assert "+ 8 created" in (shown := shown + capfd.readouterr().out)
    address = outputs(stack)["address"]
    assert address.endswith(".eu-central-1.rds.amazonaws.com")
    up(stack, preview_only=True, extra=["--expect-no-changes"])

    with pytest.raises(StackError):
        destroy(stack)
    assert "deletionProtection is on" in (shown := shown + capfd.readouterr().out)
    assert {"ec2.Vpc", "ec2.Subnet", "rds.SubnetGroup", "rds.Instance"} <= left(world)

    apply(stack, lock=False)
    apply(stack, lock=False, database="tracking")
    assert "+-1 replaced" in (shown := shown + capfd.readouterr().out)
    assert outputs(stack)["address"] != address

    files = [f for f in tmp_path.rglob("*") if f.is_file() and stack.project not in f.parents]
    assert len(files) > 10
    assert not [file for file in files if HUSH in file.read_bytes()]
    destroy(stack)
    assert left(world) == set()
    assert HUSH.decode() not in shown + capfd.readouterr().out


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cidr": "10.64.1.0/16"}, "has host bits set: 10.64.0.0/16 is the network"),
        ({"size": 10}, "10 GiB of gp2 must be 20 to 65536"),
        ({"database": "my-flow"}, "must be a letter, then letters, digits, underscores"),
    ],
)
def test_a_mistake_stops_a_preview(
    stack: Stack, capfd: pytest.CaptureFixture[str], changed: dict[str, object], said: str
):
    stack.config.write_text(config(**changed))
    with pytest.raises(StackError):
        up(stack, preview_only=True)
    shown = capfd.readouterr()
    assert said in shown.out + shown.err


def test_what_was_there_before_is_adopted(
    stack: Stack, world: Path, capfd: pytest.CaptureFixture[str]
):
    seed(world, "aws", {"region": "eu-central-1"}, "aws:s3/bucket:Bucket", {"bucket": "old"})
    apply(stack, adopt="old", lock=False)
    assert "= 1 imported" in capfd.readouterr().out
    assert outputs(stack)["bucket"] == "old"
    up(stack, preview_only=True, extra=["--expect-no-changes"])
    destroy(stack)
    assert left(world) == set()
