"""A table in a tenant's bucket, scored by a Job: killed in the middle, and still every row once.

No front door and no operator of models. What the model itself says is asked in a notebook.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import served
import yaml
from person import Person
from served import MODEL
from testbed import TENANT, Testbed, until

FILES, ROWS, PART = 12, 300_000, 100_000
"""Files, rows of each, and rows that are scored at a time."""
TOTAL = FILES * ROWS
BATCH = "nightly"
FOLDER = f"s3://tenant-{TENANT}/batch"
LABEL = f"app.kubernetes.io/name=batch,app.kubernetes.io/instance={BATCH}"
LINE = re.compile(rf"^{BATCH}: file \d+ of {FILES}, ([\d,]+) rows, [\d,]+ rows/s$", re.MULTILINE)
STORE = f"""
import io, json, mlflow, numpy as np, os, pandas as pd, pyarrow as pa, s3fs
from pyarrow import csv, parquet
store = s3fs.S3FileSystem()
folder = "{FOLDER}".removeprefix("s3://")

def put(number, rows):
    # The store of s3:// addresses; half of the files are of either kind.
    kind = "csv" if number % 2 else "parquet"
    values = np.random.default_rng(number).uniform(0, 8, (rows, 4))
    table = pa.table(dict(zip("abcd", values.T)))
    with store.open(f"{{folder}}/in/{{number:02}}.{{kind}}", "wb") as file:
        (csv.write_csv if kind == "csv" else parquet.write_table)(table, file)

def read(path):
    with store.open(path, "rb") as file:
        content = io.BytesIO(file.read())
    return (csv.read_csv if path.endswith(".csv") else parquet.read_table)(content)
"""
PUT = f"""{STORE}
store.invalidate_cache()
if store.exists(folder):
    store.rm(folder, recursive=True)
for number in range({FILES}):
    put(number, {ROWS})
print(len(store.ls(folder + "/in")))
"""
ADD = f"""{STORE}
put({FILES}, 10)
"""
COMPARE = f"""{STORE}
store.invalidate_cache()
model = mlflow.pyfunc.load_model("models:/{MODEL}/1")
parts = sorted(p for p in store.ls(folder + "/scored") if not p.endswith("/_spillway.json"))
wrong, rows, files = [], 0, sorted(store.ls(folder + "/in"))
for path in files:
    stem = path.rpartition("/")[2].partition(".")[0]
    mine = [p for p in parts if p.rpartition("/")[2].startswith(stem + ".part-")]
    parts = [p for p in parts if p not in mine]
    given, scored = read(path), pa.concat_tables(map(read, mine))
    said = scored["prediction"].to_numpy()
    same = scored.drop_columns(["prediction"]).equals(given)
    if not same or (said != model.predict(given.to_pandas())).any():
        wrong.append(path)
    rows += scored.num_rows
print(json.dumps({{"wrong": wrong, "left": parts, "rows": rows, "files": len(files)}}))
"""


@pytest.fixture(scope="module")
def ada(bed: Testbed) -> Iterator[Person]:
    """A data scientist who has trained a model."""
    served.train(bed)
    person = bed.person("ada")
    person.end()
    person.start(profile="small")
    person.ready()
    yield person
    person.stop()
    person.gone()


@pytest.fixture(scope="module")
def bed(bed: Testbed) -> Iterator[Testbed]:
    """The platform, and in the end again without what was declared here."""
    with bed.changed():
        yield bed
    gone = lambda: bed.get("jobs,cronjobs", "-n", TENANT) == [] or None  # noqa: E731
    until(gone, 60, "the end of what was declared")


def declare(bed: Testbed, version: int = 1, **more: Any) -> None:
    """The table as the stack file says it, applied: with the images that it takes."""
    file = bed.platform.config
    document = yaml.safe_load(file.read_text())
    batch = {
        "tenant": TENANT,
        "model": f"models:/{MODEL}/{version}",
        "input": f"{FOLDER}/in/",
        "output": f"{FOLDER}/scored/",
        **more,
    }
    document["config"]["spillway:batch"] = {BATCH: batch}
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    bed.up()


def pods(bed: Testbed) -> list[dict[str, Any]]:
    """In the order in which they were made."""
    found = bed.get("pods", "-n", TENANT, "-l", LABEL)
    return sorted(found, key=lambda pod: pod["metadata"]["creationTimestamp"])


def the_job(bed: Testbed) -> str:
    """The one that is declared now."""
    found = bed.get("jobs", "-n", TENANT, "-l", LABEL)
    (job,) = (job for job in found if "deletionTimestamp" not in job["metadata"])
    return name(job)


def only_pod(bed: Testbed, job: str) -> str:
    (pod,) = (pod for pod in pods(bed) if pod["metadata"]["labels"].get("job-name") == job)
    return name(pod)


def name(thing: dict[str, Any]) -> str:
    return thing["metadata"]["name"]


def log(bed: Testbed, pod: str) -> str:
    return bed.kubectl("logs", pod, "-n", TENANT, "-c", "score")


def counted(text: str) -> int:
    """Rows that a pod has told of."""
    said = LINE.findall(text)
    return int(said[-1].replace(",", "")) if said else 0


def ended(bed: Testbed, job: str) -> dict[str, Any]:
    """The condition with which a Job has ended."""

    def condition() -> dict[str, Any] | None:
        found = json.loads(bed.kubectl("get", "job", job, "-n", TENANT, "-o", "json"))
        conditions = found.get("status", {}).get("conditions", ())
        true = (c for c in conditions if c["status"] == "True")
        return next((c for c in true if c["type"] in {"Complete", "Failed"}), None)

    return until(condition, 300, f"the end of {job}")


def compared(ada: Person) -> dict[str, Any]:
    # Among what libraries warn of.
    (line,) = [line for line in ada.run(COMPARE, seconds=300).splitlines() if line[:1] == "{"]
    return json.loads(line)


@pytest.mark.timeout(1200)  # where it is the first file, with the start of the rig
def test_a_job_that_is_killed_in_the_middle_goes_on_and_every_row_is_scored_once(bed, ada):
    assert int(ada.run(PUT, seconds=300).splitlines()[-1]) == FILES
    declare(bed)

    def some() -> str | None:
        return next((name(pod) for pod in pods(bed) if counted(log(bed, name(pod)))), None)

    first = until(some, 300, "the first rows")
    bed.kill_for_good(first, TENANT)

    assert ended(bed, the_job(bed))["type"] == "Complete"
    killed, last = pods(bed)
    assert (name(killed), killed["status"]["phase"]) == (first, "Failed")
    before, after = counted(log(bed, first)), log(bed, name(last))
    assert 0 < before < TOTAL
    # One part may have been written of which the first pod could not tell any more.
    assert counted(after) in {TOTAL - before, TOTAL - before - PART}
    assert f"{BATCH}: all {FILES} files are in {FOLDER}/scored" in after
    assert compared(ada) == {"wrong": [], "left": [], "rows": TOTAL, "files": FILES}


def test_a_second_up_changes_nothing_when_the_job_is_done(bed):
    bed.pulumi("preview", "--expect-no-changes", timeout=300)


def test_the_output_of_another_model_is_refused_and_not_tried_again(bed, ada):
    declare(bed, version=2)

    job = the_job(bed)
    assert ended(bed, job)["reason"] == "PodFailurePolicy"
    told = log(bed, only_pod(bed, job))
    assert f"was scored with models:/{MODEL}/1, not with models:/{MODEL}/2" in told
    assert compared(ada) == {"wrong": [], "left": [], "rows": TOTAL, "files": FILES}


def test_a_schedule_scores_what_is_new(bed, ada):
    declare(bed, schedule="0 3 1 1 *")
    ada.run(ADD)

    bed.kubectl("create", "job", "tonight", f"--from=cronjob/{BATCH}", "-n", TENANT)
    try:
        assert ended(bed, "tonight")["type"] == "Complete"
        said = log(bed, only_pod(bed, "tonight"))
    finally:
        bed.kubectl("delete", "job", "tonight", "-n", TENANT)

    assert f"{BATCH}: {FILES} of {FILES + 1} files were scored before" in said
    assert f"{FOLDER}/scored, 10 rows just now" in said
    assert compared(ada) == {"wrong": [], "left": [], "rows": TOTAL + 10, "files": FILES + 1}
