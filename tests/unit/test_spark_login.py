"""Spark's executors in a cloud: they carry the team's identity, and the guard lets them."""

import json
import re
import runpy
from types import SimpleNamespace
from typing import Any

import aws_builders
import builders
import builders_gcp
import pulumi
import pytest
import yaml
from hub_code import told as hub_told
from hub_stand_ins import spawner as hub_spawner
from recording import recorded

from components import Guard, GuardArgs
from components.guard import audiences

FOLDER = builders.ROOT / "images" / "notebook-spark"
SPARK = runpy.run_path(str(FOLDER / "spillway_spark.py"))
POD = {"SPILLWAY_SPARK_IMAGE": "localhost/x:1", "POD_NAME": "jane", "POD_IP": "10.1.2.3"}
ON_AWS = {
    "folder": "/var/run/secrets/spillway.dev/aws",
    "audience": "sts.amazonaws.com",
    "told": {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/identity-tenant-vision",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/spillway.dev/aws/token",
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "AWS_REGION": "eu-central-1",
    },
    "conf": {
        "spark.hadoop.fs.s3a.aws.credentials.provider": "WebIdentityTokenFileCredentialsProvider",
        "spark.hadoop.fs.s3a.endpoint.region": "eu-central-1",
    },
}
ON_GCP = {
    "folder": "/var/run/secrets/spillway.dev/google",
    "audience": "https://iam.googleapis.com/",
    "told": {
        "GOOGLE_APPLICATION_CREDENTIALS": ("/var/run/secrets/spillway.dev/google/credentials.json"),
        "GOOGLE_CLOUD_PROJECT": builders_gcp.PROJECT,
    },
    "conf": {"spark.hadoop.fs.gs.auth.type": "APPLICATION_DEFAULT"},
}
CLOUDS = {"aws": (aws_builders.identity, ON_AWS), "gcp": (builders_gcp.identity, ON_GCP)}


@pytest.fixture(params=CLOUDS)
def cloud(request):
    """What a team of this cloud is told, and what the guard of its stack says."""
    identity, expected = CLOUDS[request.param]

    def build() -> pulumi.Output[str]:
        storage = identity().storage("vision", "vision")
        Guard("guard", GuardArgs(audiences=audiences(storage.login)))
        return builders.jupyterhub(teams={"vision": builders.team(storage=storage)}).urn

    engine = recorded(build)
    document = engine.named("jupyterhub-told")["data"]["hub.json"]
    return hub_told.parse(document).tenants["vision"], engine, expected


def executor(team: Any) -> dict[str, Any]:
    template = (FOLDER / "executor.yaml").read_text()
    return yaml.safe_load(SPARK["executor_pod"](template, team.login))


def test_executors_carry_a_token_of_their_own_where_the_teams_clients_look_for_it(cloud):
    team, _, expected = cloud

    pod = executor(team)

    (container,) = pod["spec"]["containers"]
    scratch, login = pod["spec"]["volumes"]
    assert scratch == {"name": "tmp", "emptyDir": {}}
    token = login["projected"]["sources"][0]["serviceAccountToken"]
    assert token["audience"].startswith(expected["audience"])
    assert token["path"] == "token"
    assert container["volumeMounts"][1:] == [
        {"name": login["name"], "mountPath": expected["folder"], "readOnly": True}
    ]


def test_all_else_of_an_executor_is_as_without_a_cloud(cloud):
    team, _, _ = cloud
    pod, plain = executor(team), yaml.safe_load((FOLDER / "executor.yaml").read_text())

    pod["spec"]["volumes"].pop()
    pod["spec"]["containers"][0]["volumeMounts"].pop()

    assert pod == plain


def test_executors_are_told_who_they_become_and_run_as_the_account_that_may(cloud):
    team, _, expected = cloud

    conf = SPARK["spark_conf"]({**POD, **team.environment}, "vision", {})

    told = {k.removeprefix("spark.executorEnv."): v for k, v in conf.items() if "executorEnv" in k}
    for name, value in expected["told"].items():
        assert told[name] == value
    for name, value in expected["conf"].items():
        assert value in conf[name]
    assert conf["spark.kubernetes.authenticate.executor.serviceAccountName"] == "job"
    assert not any("secretKeyRef" in key for key in conf)


def test_the_guard_lets_such_an_executor_through_and_no_token_for_anybody_else(cloud):
    team, engine, _ = cloud
    spec = engine.named("guard-pods-policy")["spec"]
    (rule,) = [
        v["expression"] for v in spec["validations"] if v["message"].startswith("spec.volumes")
    ]
    allowed = json.loads(re.findall(r" in (\[.*?\])", rule)[0])
    assert len(allowed) == 1

    for volume in executor(team)["spec"]["volumes"]:
        sources = volume.get("projected", {}).get("sources", [])
        assert "emptyDir" in volume or sources
        for source in sources:
            token = source.get("serviceAccountToken")
            assert "configMap" in source or (token and token["audience"] in allowed)


def test_a_session_hands_spark_a_file_with_it(cloud, monkeypatch, tmp_path):
    team, _, _ = cloud
    hand = SPARK["_template"].__globals__
    monkeypatch.setitem(hand, "EXECUTOR_TEMPLATE", str(FOLDER / "executor.yaml"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    file = SPARK["_template"](team.login)

    assert file.startswith(f"{tmp_path}/executor-")
    with open(file) as made:  # noqa: PTH123
        assert yaml.safe_load(made) == executor(team)


def settled(team: Any, *, spark: bool) -> dict[str, Any]:
    """The environment of a server, as it is before KubeSpawner fills in names of its own."""
    spawner = hub_spawner.TeamSpawner()
    common = SimpleNamespace(volumes=[], volume_mounts=[], environment={})
    spawner.config = SimpleNamespace(KubeSpawner=common)
    spawner.user = SimpleNamespace(name="ada@example.com")
    spawner._settle(team, spark=spark)
    return spawner.environment


def test_a_server_with_spark_is_told_what_executors_carry_and_no_other(cloud):
    team, _, _ = cloud

    told = settled(team, spark=True)["SPILLWAY_SPARK_LOGIN"]

    # KubeSpawner formats each variable: single braces would be names that it does not know.
    assert told.format(username="ada") == team.login
    assert "SPILLWAY_SPARK_LOGIN" not in settled(team, spark=False)


def test_where_there_is_no_cloud_executors_carry_nothing():
    team = hub_told.Tenant(
        namespace="vision", members=(), admins=(), profiles=(), notebook="n:1", spark="s:1"
    )

    assert team.login is None
    assert "SPILLWAY_SPARK_LOGIN" not in settled(team, spark=True)
    conf = SPARK["spark_conf"](POD, "vision", {})
    assert conf["spark.kubernetes.executor.podTemplateFile"] == "/opt/spillway/executor.yaml"
    assert "spark.hadoop.fs.gs.auth.type" not in conf
