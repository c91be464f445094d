"""What the Spark image brings of ours: the session's configuration and the start of executors."""

import runpy
from pathlib import Path

import pytest
import yaml

from rig import images

FOLDER = images.find("notebook-spark").folder
SPARK = runpy.run_path(str(FOLDER / "spillway_spark.py"))
START = runpy.run_path(str(FOLDER / "start"))
POD = {"SPILLWAY_SPARK_IMAGE": "localhost/x:1", "POD_NAME": "jane", "POD_IP": "10.1.2.3"}
STORE = {
    "AWS_ENDPOINT_URL_S3": "http://store.example:9000",
    "AWS_ACCESS_KEY_ID": "the-id",
    "AWS_SECRET_ACCESS_KEY": "the-key",
    "SPILLWAY_STORAGE_SECRET": "artifacts",
}


def conf(environ, wanted=None):
    return SPARK["spark_conf"](environ, "team-a", wanted or {})


def test_executors_find_the_driver_at_the_pods_address_and_fixed_ports():
    found = conf(POD)

    assert found["spark.driver.host"] == found["spark.driver.bindAddress"] == "10.1.2.3"
    assert (found["spark.driver.port"], found["spark.blockManager.port"]) == ("7078", "7079")


def test_executors_belong_to_the_notebooks_pod_and_namespace():
    found = conf(POD)

    assert found["spark.kubernetes.driver.pod.name"] == "jane"
    assert found["spark.kubernetes.namespace"] == "team-a"
    assert found["spark.kubernetes.container.image"] == "localhost/x:1"


@pytest.mark.parametrize(
    ("named", "account"), [({}, "job"), ({"SPILLWAY_SPARK_ACCOUNT": "x"}, "x")]
)
def test_executors_run_as_the_account_of_jobs_unless_another_is_named(named, account):
    key = "spark.kubernetes.authenticate.executor.serviceAccountName"

    assert conf({**POD, **named})[key] == account


def test_keys_of_the_store_reach_executors_from_the_secret_and_never_as_text():
    found = conf({**POD, **STORE})

    assert found["spark.kubernetes.executor.secretKeyRef.AWS_ACCESS_KEY_ID"] == (
        "artifacts:AWS_ACCESS_KEY_ID"
    )
    assert "the-id" not in str(found)
    assert "the-key" not in str(found)
    assert "EnvironmentVariable" in found["spark.hadoop.fs.s3a.aws.credentials.provider"]


def test_keys_without_the_secrets_name_are_an_error():
    environ = {**POD, **STORE, "SPILLWAY_STORAGE_SECRET": ""}

    with pytest.raises(RuntimeError, match="SPILLWAY_STORAGE_SECRET does not name"):
        conf(environ)


def test_a_store_with_an_address_of_its_own_is_asked_by_path():
    found = conf({**POD, **STORE})

    assert found["spark.hadoop.fs.s3a.endpoint"] == "http://store.example:9000"
    assert found["spark.hadoop.fs.s3a.path.style.access"] == "true"
    assert found["spark.hadoop.fs.s3a.endpoint.region"] == "us-east-1"


def test_a_clouds_store_is_asked_by_the_pods_identity():
    found = conf({**POD, "AWS_REGION": "eu-west-1"})

    assert "spark.hadoop.fs.s3a.endpoint" not in found
    assert found["spark.hadoop.fs.s3a.endpoint.region"] == "eu-west-1"
    assert "WebIdentity" in found["spark.hadoop.fs.s3a.aws.credentials.provider"]
    assert not any("secretKeyRef" in key for key in found)


def test_google_storage_is_read_by_googles_connector():
    found = conf(POD)

    assert found["spark.hadoop.fs.gs.impl"].startswith("com.google.cloud.hadoop.fs.gcs.")
    assert found["spark.hadoop.fs.gs.block.size"] == str(64 * 1024 * 1024)


def test_what_the_person_wants_has_the_last_word():
    wanted = {"spark_ui_enabled": True, "spark.executor.cores": 2}

    found = conf(POD, wanted)

    assert found["spark.ui.enabled"] == "true"
    assert found["spark.executor.cores"] == "2"


@pytest.mark.parametrize("name", POD)
def test_a_server_without_a_spark_profile_says_so_in_one_line(name):
    with pytest.raises(
        RuntimeError, match=rf"pod has no {name}\. Start a server with a Spark"
    ) as e:
        conf({**POD, name: ""})

    assert "\n" not in str(e.value)


def test_a_pod_without_a_service_account_says_so():
    with pytest.raises(RuntimeError, match="pod has no service account"):
        SPARK["spark_conf"](POD, None, {})


def test_an_executor_may_do_nothing_that_the_restricted_standard_forbids():
    pod = yaml.safe_load((FOLDER / "executor.yaml").read_text())
    (container,) = pod["spec"]["containers"]

    assert pod["metadata"]["labels"] == {"spillway.dev/role": "spark-executor"}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_an_executor_is_what_spark_says_it_should_be():
    said = {name: f"<{name}>" for name in START["ARGUMENTS"].values()}
    options = {f"SPARK_JAVA_OPT_{n}": f"-Dn={n}" for n in (10, 2, 0)}
    environ = {**said, **options, "SPARK_HOME": "/spark", "SPARK_EXECUTOR_MEMORY": "512m"}

    command = START["executor_command"]({**environ, "SPARK_EXTRA_CLASSPATH": "/more"})

    assert command[:4] == ["java", "-Dn=0", "-Dn=2", "-Dn=10"]
    assert command[4:7] == ["-Xmx512m", "-cp", "/spark/jars/*:/more"]
    assert command[command.index("--podName") + 1] == "<SPARK_EXECUTOR_POD_NAME>"


def test_an_executor_that_spark_did_not_start_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home")
    monkeypatch.setattr("os.chdir", lambda _: None)
    monkeypatch.delenv("SPARK_HOME", raising=False)

    with pytest.raises(SystemExit, match="SPARK_HOME is not set: only Spark starts executors"):
        START["main"](["executor"])


def test_the_connectors_hadoop_is_that_of_the_image():
    assert "<artifactId>hadoop-aws</artifactId><version>3.5.0<" in (FOLDER / "pom.xml").read_text()
    assert Path(FOLDER / "requirements.in").read_text().splitlines()[-1] == "pyspark==4.3.0"


@pytest.mark.parametrize(
    ("limit", "heap"),
    [({}, "512m"), ({"MEM_LIMIT": str(2**30)}, "512m"), ({"MEM_LIMIT": str(8 * 2**30)}, "2048m")],
)
def test_java_leaves_most_of_the_servers_memory_to_python(limit, heap):
    assert conf({**POD, **limit})["spark.driver.memory"] == heap
