"""A small model with four versions, and what tests do with it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml
from behind import MODELS, ToTheNode, url
from testbed import TENANT, Testbed

MODEL = "iris"
PATH = f"/seldon/{TENANT}/{MODEL}/v2/models/{MODEL}"
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5]]
BODY = {
    # An array, not a table with named columns.
    "parameters": {"content_type": "np"},
    "inputs": [
        {
            "name": "rows",
            "shape": [len(ROWS), 4],
            "datatype": "FP64",
            "data": [value for row in ROWS for value in row],
        }
    ],
}
TRAIN = f"""
import json, mlflow, numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
data, kinds = load_iris(return_X_y=True)
rows, said = np.array({ROWS}), []
mlflow.set_experiment("{MODEL}")
# The second calls every flower by another name, so that its answers are known from the first's.
for shift in (0, 10):
    model = LogisticRegression(max_iter=500).fit(data, kinds + shift)
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, name="model", registered_model_name="{MODEL}")
    said.append(model.predict(rows).tolist())
# The third is a model of which only the description is there.
client = mlflow.MlflowClient()
with mlflow.start_run() as run:
    mlflow.log_text("flavors: {{python_function: {{loader_module: nowhere}}}}", "broken/MLmodel")
client.create_model_version("{MODEL}", f"runs:/{{run.info.run_id}}/broken", run.info.run_id)
# The fourth loads, and then fails at every request.
class Failing(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        raise RuntimeError("no answer")
with mlflow.start_run():
    failing = Failing()
    mlflow.pyfunc.log_model(name="model", python_model=failing, registered_model_name="{MODEL}")
print(json.dumps(said))
"""
answers: list[list[int]] = []
"""What the first two versions themselves say to ``ROWS``, where they were trained."""


def train(bed: Testbed) -> None:
    """By a data scientist, in a notebook."""
    if answers:
        return
    person = bed.person("ada")
    person.end()
    person.start(profile="small")
    person.ready()
    try:
        answers.extend(json.loads(person.run(TRAIN, seconds=240).splitlines()[-1]))
    finally:
        person.stop()
        person.gone()


# -- the stack file -------------------------------------------------------------------------------


def rolling(version: int) -> dict[str, Any]:
    return {"versions": [{"uri": f"models:/{MODEL}/{version}"}]}


def declare(file: Path, model: dict[str, Any], **more: Any) -> None:
    """The model as the stack file says it."""
    document = yaml.safe_load(file.read_text())
    # Two versions that fail and two that work must find room at once on the one node.
    said = {"tenant": TENANT, "startSeconds": 120, "resources": {"cpu": 0.1}, **model, **more}
    document["config"]["spillway:models"] = {MODEL: said}
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def shared(strategy: str, shares: dict[int, int | None]) -> dict[str, Any]:
    """Versions by their numbers, each with its share of the requests."""
    versions = [
        {"uri": f"models:/{MODEL}/{number}"} | ({} if share is None else {"traffic": share})
        for number, share in shares.items()
    ]
    return {"strategy": strategy, "versions": versions}


# -- callers --------------------------------------------------------------------------------------


@contextmanager
def session(bed: Testbed, authority: Path) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.verify = str(authority)
        made.trust_env = False
        for scheme in ("http://", "https://"):
            made.mount(scheme, ToTheNode(bed.layout.address))
        yield made


def key(bed: Testbed, tenant: str, audience: str, account: str = "job") -> dict[str, str]:
    words = ("create", "token", account, "-n", tenant, "--audience", audience)
    return {"Authorization": f"Bearer {bed.kubectl(*words).strip()}"}


def ask(browser: requests.Session, headers: dict[str, str], path: str = "/infer") -> Any:
    return browser.post(url(MODELS, PATH + path), json=BODY, headers=headers, timeout=20)


def said(answer: requests.Response) -> list[int]:
    return answer.json()["outputs"][0]["data"]
