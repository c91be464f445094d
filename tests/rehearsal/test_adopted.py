"""A bucket and a database that were there before become part of the stack, locked at once."""

import json

import pytest
from staging import both, config_of, new_stage
from test_destructive_edits import verdict_on

from rig.plugins.cloud.seed import seed
from rig.rehearsal.play import UP
from rig.stack import PLAN

THEIRS = {
    "prod": (
        "aws",
        {"region": "eu-central-1", "allowedAccountIds": ["123456789012"]},
        ("aws:s3/bucket:Bucket", {"bucket": "their-artifacts"}),
        (
            "aws:rds/instance:Instance",
            {
                "identifier": "their-database",
                "engine": "postgres",
                "engineVersion": "17",
                "instanceClass": "db.t4g.medium",
                "allocatedStorage": 50,
                "storageType": "gp3",
                "storageEncrypted": True,
                "username": "theirs",
                "dbName": "mlflow",
                "manageMasterUserPassword": True,
                "backupRetentionPeriod": 7,
                "skipFinalSnapshot": True,
            },
        ),
    ),
    "prod-gcp": (
        "gcp",
        {"project": "example-ds", "region": "europe-west3"},
        (
            "gcp:storage/bucket:Bucket",
            {"name": "their-artifacts", "location": "EUROPE-WEST3"},
        ),
        None,
    ),
}


@pytest.mark.parametrize("name", both(THEIRS))
def test_what_was_there_is_imported_and_locked_from_the_first_moment(name, tmp_path):
    cloud, provider, bucket, database = THEIRS[name]
    stage = new_stage(tmp_path, name)
    adopt = {"bucket": "their-artifacts"}
    seed(stage.world, cloud, provider, *bucket)
    if database:
        seed(stage.world, cloud, provider, *database)
        adopt["database"] = "their-database"
    # Not even a stack without locks lets go of what it did not make.
    config = {**config_of(name), "spillway:adopt": adopt, "spillway:protect": False}
    with stage.open():
        plan = json.loads(stage.run(PLAN, config).printed)
        imported = {s["urn"].rpartition("::")[2] for s in plan["steps"] if s["op"] == "import"}
        assert imported == {"object-store-bucket"} | ({"database-instance"} if database else set())
        assert not verdict_on(stage, config).refused
        played = stage.run(UP, config)
        assert played.code == 0, played.words
        locked = {r["urn"].rpartition("::")[2] for r in stage.state() if r.get("protect")}
        assert imported <= locked
        assert stage.outputs()["bucket"] == "their-artifacts"
        assert stage.run(["preview", "--expect-no-changes"], config).code == 0
        assert stage.run(["destroy", "--yes", "--skip-preview"], config).code != 0
