"""A working day over HTTP: log in, pick Spark, compute, log, read and write, stop, come back."""

import pytest
import requests
from person import Person, told
from testbed import TENANT, Testbed

NUMPY = "import numpy as np; print(int(np.arange(10).sum()))"
TRACK = """
import mlflow, os, tempfile
mlflow.set_experiment("journey")
with mlflow.start_run() as run:
    mlflow.log_metric("loss", 0.25)
    mlflow.log_text("kept", "note.txt")
print(run.info.run_id)
"""
COUNT = """
import json, os
# As the hub tells it in a cloud; there, the kubelet makes a token for the cloud's audience.
fields = [{"path": "who", "fieldRef": {"fieldPath": "metadata.labels['spillway.dev/role']"}}]
os.environ["SPILLWAY_SPARK_LOGIN"] = json.dumps({
    "volumes": [{"name": "login", "projected": {"sources": [{"downwardAPI": {"items": fields}}]}}],
    "mounts": [{"name": "login", "mountPath": "/var/run/login", "readOnly": True}],
})
base = os.environ["SPILLWAY_STORAGE"].replace("s3://", "s3a://") + "/journey"
spark = spillway_spark(executors=2, memory="512m")
lines = spark.createDataFrame([("to be or not to be",), ("to do",)], ["line"])
lines.write.mode("overwrite").text(base + "/in")
words = spark.read.text(base + "/in").rdd.flatMap(lambda row: row.value.split())
words.map(lambda w: (w, 1)).reduceByKey(lambda a, b: a + b).toDF(["word", "n"]) \\
    .write.mode("overwrite").parquet(base + "/out")
found = {row.word: row.n for row in spark.read.parquet(base + "/out").collect()}
hosts = spark.sparkContext.parallelize(range(8), 8).map(
    lambda _: __import__("socket").gethostname()).distinct().collect()
carried = spark.sparkContext.parallelize(range(8), 8).map(
    lambda _: open("/var/run/login/who").read()).distinct().collect()
print(sorted(found.items()), carried, all("exec" in host for host in hosts), len(hosts) > 0)
spark.stop()
"""
PANDAS = """
import os, pandas as pd
frame = pd.read_parquet(os.environ["SPILLWAY_STORAGE"] + "/journey/out")
print(int(frame.n.sum()))
"""


@pytest.fixture(scope="module")
def ada(bed: Testbed) -> Person:
    person = bed.person("ada")
    person.end()
    return person


def test_a_day_with_spark(bed: Testbed, ada: Person):
    assert ada.pick("spark").status_code == 200
    said = [event["message"] for event in ada.progress()]
    assert "A machine was found for your server" in said
    assert said[-1].startswith("Server ready")
    state = ada.ready()
    assert state["user_options"] == {"profile": "spark", "tenant": TENANT}

    assert ada.run(NUMPY).strip() == "45"
    run = ada.run(TRACK).split()[-1]
    assert logged(bed, run) == {"loss": 0.25}
    counted = (
        "[('be', 2), ('do', 1), ('not', 1), ('or', 1), ('to', 3)] ['spark-executor'] True True"
    )
    assert counted in ada.run(COUNT, seconds=240)
    assert ada.run(PANDAS).strip().endswith("8")
    executors = bed.get("pods", "-n", TENANT, "-l", "spillway.dev/role=spark-executor")
    assert [pod for pod in executors if pod["status"]["phase"] == "Running"] == []

    ada.run("open('notes.txt', 'w').write('still here')")
    assert ada.stop().status_code in (202, 204)
    ada.gone()
    assert ada.start(profile="small").status_code in (201, 202)
    ada.ready()
    assert ada.run("print(open('notes.txt').read())").strip() == "still here"
    ada.stop()
    ada.gone()


def logged(bed: Testbed, run: str) -> dict[str, float]:
    """The metrics of a run, asked in the name of the tenant."""
    answer = requests.get(
        f"{bed.url}/api/2.0/mlflow/runs/get",
        params={"run_id": run},
        headers={"Authorization": f"Bearer {bed.token()}", "X-MLFLOW-WORKSPACE": TENANT},
        timeout=30,
    )
    assert answer.status_code == 200, told(answer)
    return {m["key"]: m["value"] for m in answer.json()["run"]["data"]["metrics"]}
