"""What the serving images decide by themselves: which runtime a model gets, and how it arrives."""

import ast
import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import builders
import pytest
from serving_code import address, choice, fetching, target, words

# -- the model server: which runtime --------------------------------------------------------------


def folder_with(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("{}")
    return path


@pytest.mark.parametrize(
    ("names", "implementation", "model"),
    [
        (["MLmodel", "model.skops"], choice.MLFLOW, ""),
        (["MLmodel", "model.pkl", "artifacts/model-settings.json"], choice.MLFLOW, ""),
        (["model.joblib"], choice.SKLEARN, "model.joblib"),
        (["pipeline.pkl", "README.md"], choice.SKLEARN, "pipeline.pkl"),
        (["model.json"], choice.XGBOOST, "model.json"),
        (["model.ubj", "columns.json"], choice.XGBOOST, "model.ubj"),
        (["model.bst"], choice.LIGHTGBM, "model.bst"),
        (["booster.txt", ".spillway-model"], choice.LIGHTGBM, "booster.txt"),
    ],
)
def test_the_files_of_a_model_decide_what_serves_it(names, implementation, model, tmp_path):
    found = choice.choose(folder_with(tmp_path, *names), {})

    assert found.environment == {
        "MLSERVER_MODEL_IMPLEMENTATION": implementation,
        "MLSERVER_MODEL_URI": str(tmp_path / model),
    }
    assert found.folder == choice.EMPTY


def test_what_the_pod_says_comes_first(tmp_path):
    wanted = {"MLSERVER_MODEL_IMPLEMENTATION": "mine.Runtime", "MLSERVER_MODEL_URI": "/elsewhere"}

    found = choice.choose(folder_with(tmp_path, "MLmodel"), wanted)

    assert found.folder == str(tmp_path)
    assert found.environment == {"MLSERVER_MODEL_URI": "/elsewhere"}


def test_an_empty_variable_is_none(tmp_path):
    found = choice.choose(folder_with(tmp_path, "MLmodel"), {"MLSERVER_MODEL_IMPLEMENTATION": ""})

    assert found.environment["MLSERVER_MODEL_IMPLEMENTATION"] == choice.MLFLOW


@pytest.mark.parametrize("settings", [{}, {"name": "fraud"}])
def test_a_models_own_settings_are_left_to_mlserver(settings, tmp_path):
    text = json.dumps({"implementation": "mine.Runtime", **settings})
    (tmp_path / "model-settings.json").write_text(text)

    found = choice.choose(tmp_path, {"MLSERVER_MODEL_NAME": "fraud"})

    assert found == choice.Choice(folder=str(tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "names no implementation"),
        ("{}", "names no implementation"),
        ('{"implementation": "m.R", "name": "other"}', "'other', but it is served as 'fraud'"),
    ],
)
def test_settings_that_would_not_be_served_are_refused(text, said, tmp_path):
    (tmp_path / "model-settings.json").write_text(text)

    with pytest.raises(choice.NoModel, match=said):
        choice.choose(tmp_path, {"MLSERVER_MODEL_NAME": "fraud"})


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "no MLmodel, no model-settings.json and no file with .joblib.*there is nothing"),
        (["weights.pt"], "there is weights.pt"),
        (["model/MLmodel"], "there is nothing"),
        (["a.pkl", "b.pkl"], "several that may be the model: a.pkl, b.pkl"),
        (["model.pkl", "model.json"], "several that may be the model: model.json, model.pkl"),
    ],
)
def test_a_folder_without_one_model_is_refused_with_what_is_there(names, said, tmp_path):
    with pytest.raises(choice.NoModel, match=said):
        choice.choose(folder_with(tmp_path, *names), {})


def test_a_server_without_a_model_ends_with_one_line(tmp_path):
    program = builders.ROOT / "images" / "model-server" / "spillway_model.py"

    done = subprocess.run(
        [sys.executable, program, tmp_path / "absent"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("No model to serve: ")
    assert "absent is not there" in line


class Series:
    def to_numpy(self):
        return "array of the series"


class Number:
    pass


def encodable(prediction):
    """The image's, with stand-ins for the libraries that are only there."""
    file = builders.ROOT / "images" / "model-server" / "spillway_mlflow.py"
    tree = ast.parse(file.read_text())
    (function,) = (n for n in tree.body if getattr(n, "name", "") == "encodable")
    numpy = SimpleNamespace(generic=Number, asarray=lambda values: ("array", values))
    pandas = SimpleNamespace(Series=Series, DataFrame=lambda rows: ("table", rows))
    space = {"Any": Any, "np": numpy, "pd": pandas}
    exec(compile(ast.Module([function], []), str(file), "exec"), space)
    return space["encodable"](prediction)


@pytest.mark.parametrize(
    ("prediction", "encoded"),
    [
        (Series(), "array of the series"),
        (0.5, ("array", [0.5])),
        ([0.5, 1], ("array", [0.5, 1])),
        ([[1, 2], [3, 4]], ("array", [[1, 2], [3, 4]])),
        ([{"y": 1}, {"y": 2}], ("table", [{"y": 1}, {"y": 2}])),
        (["yes", "no"], ["yes", "no"]),
        ([], []),
        ({"y": "array"}, {"y": "array"}),
    ],
    ids=["a series", "a number", "numbers", "rows", "records", "words", "nothing", "arrays"],
)
def test_every_kind_of_prediction_becomes_one_that_mlserver_knows(prediction, encoded):
    assert encodable(prediction) == encoded


# -- the storage initializer: addresses -----------------------------------------------------------

RUN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "root", "folder"),
    [
        ("models:/fraud/7", "models:/fraud/7", ""),
        ("models:/fraud score@champion ", "models:/fraud score@champion", ""),
        (f"models:/m-{RUN}", f"models:/m-{RUN}", ""),
        (f"runs:/{RUN}/model", f"runs:/{RUN}", "model"),
        (f"runs:/{RUN}/some/model/", f"runs:/{RUN}", "some/model"),
        ("s3://tenant-vision/models/fraud/", "s3://tenant-vision/models/fraud", ""),
        ("gs://tenant_vision/fraud", "gs://tenant_vision/fraud", ""),
    ],
)
def test_every_form_of_an_address_is_understood(text, root, folder):
    found = address.parse(text)

    assert (found.root, found.folder) == (root, folder)
    assert found.tracked == text.startswith(("models", "runs"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fraud",
        "/mnt/models",
        "file:///etc",
        "http://example.com/model",
        "models:/fraud",
        "models:/fraud/latest",
        "models:/fraud/7/sub",
        "models://elsewhere/fraud/7",
        f"runs:/{RUN}",
        "s3://bucket",
        "s3://bucket/",
        "s3://bucket/a/../b",
        "gs://bucket/a//b",
    ],
)
def test_what_is_no_address_is_refused_with_the_forms_there_are(text):
    with pytest.raises(ValueError, match="is no address of a model"):
        address.parse(text)


@pytest.mark.parametrize(
    "text", ["s3://id:hidden@bucket/fraud", "s3://bucket/fraud?X-Amz-Signature=hidden"]
)
def test_a_key_in_an_address_is_not_repeated(text):
    with pytest.raises(ValueError, match="no address of a model") as error:
        address.parse(text)

    assert "hidden" not in str(error.value)


# -- the folder -----------------------------------------------------------------------------------

FILES = {"MLmodel": 9, "data/model.skops": 2000}


class Store:
    """Stands for what a model is fetched from."""

    def __init__(self, root, folder="", cut=None):
        self.version, self._folder, self._cut, self.fetched = root, folder, cut, 0

    def files(self):
        return FILES

    def fetch(self, folder):
        self.fetched += 1
        for name, size in FILES.items():
            file = folder / self._folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x" * (size if name != self._cut else size // 2))


def put(folder: Path, uri: str = "models:/fraud/7", **changes) -> Store:
    found = address.parse(uri)
    store = Store(found.root, found.folder, **changes)
    fetching.fetch(found, store, folder)
    return store


def names(folder: Path) -> set[str]:
    return {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("uri", ["models:/fraud/7", f"runs:/{RUN}/model", "s3://bucket/fraud"])
def test_a_model_arrives_whole_and_is_then_marked(uri, tmp_path, capsys):
    put(tmp_path / "models", uri)

    assert names(tmp_path / "models") == {*FILES, target.MARK}
    assert target.complete(tmp_path / "models", uri)
    assert not target.complete(tmp_path / "models", "models:/fraud/8")
    assert f"{uri}: 2 files, 2.0 kB" in capsys.readouterr().out


def test_the_folder_itself_is_never_renamed_for_it_is_a_volume(tmp_path):
    (tmp_path / "lost+found").mkdir()
    before = tmp_path.stat().st_ino

    put(tmp_path)

    assert tmp_path.stat().st_ino == before
    assert (tmp_path / "lost+found").is_dir()


def test_a_file_that_is_cut_short_is_no_model(tmp_path):
    with pytest.raises(OSError, match="1 of 2 files not whole: data/model"):
        put(tmp_path, cut="data/model.skops")

    assert not target.complete(tmp_path, "models:/fraud/7")
    put(tmp_path)
    assert target.complete(tmp_path, "models:/fraud/7")


def test_another_model_takes_the_place_of_the_one_before(tmp_path):
    put(tmp_path)
    (tmp_path / "left").write_text("of the old one")

    put(tmp_path, "models:/fraud/8")

    assert names(tmp_path) == {*FILES, target.MARK}
    assert target.complete(tmp_path, "models:/fraud/8")


@pytest.mark.parametrize("half", [[".incoming/MLmodel"], [".incoming/x", "MLmodel"]])
def test_what_an_interrupted_run_has_left_is_no_obstacle(half, tmp_path):
    folder_with(tmp_path, *half)

    put(tmp_path)

    assert names(tmp_path) == {*FILES, target.MARK}


def test_a_folder_with_something_else_in_it_is_not_touched(tmp_path):
    folder_with(tmp_path, "thesis.tex")

    with pytest.raises(target.Occupied, match=r"is not empty.*thesis\.tex"):
        put(tmp_path)

    assert names(tmp_path) == {"thesis.tex"}


# -- what is said ---------------------------------------------------------------------------------


def test_progress_is_files_and_bytes():
    wanted = {"a": 10_000_000, "b": 30_000_000}

    assert words.progress({}, wanted) == "0 of 2 files, 0 B of 40 MB"
    assert words.progress({"a": 10_000_000, "b.part": 2_500_000}, wanted) == (
        "1 of 2 files, 12 MB of 40 MB"
    )


def test_progress_is_told_while_it_runs(tmp_path, capsys):
    class Slow(Store):
        def fetch(self, folder):
            super().fetch(folder)
            while " of 2 files" not in capsys.readouterr().out:
                pass

    fetching.fetch(address.parse("models:/fraud/7"), Slow("models:/fraud/7"), tmp_path, every=0.01)


def test_the_version_behind_an_alias_is_told(tmp_path, capsys):
    found = address.parse("models:/fraud@champion")

    fetching.fetch(found, Store("models:/fraud/7"), tmp_path)

    assert "models:/fraud@champion (now models:/fraud/7): 2 files" in capsys.readouterr().out


class ClientError(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.response = {"ResponseMetadata": {"HTTPStatusCode": 403}}


class RestException(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the volume is full"),
        (RestException("#### a #### [Errno 28] No space left on device"), "the volume is full"),
        (OSError(errno.EROFS, "Read-only", "/mnt/x"), "/mnt/x cannot be written"),
        (ClientError("no"), r"access is refused \(HTTP 403\): no"),
        (RestException("RESOURCE_DOES_NOT_EXIST: gone"), "^RESOURCE_DOES_NOT_EXIST: gone$"),
        (ConnectionError("a\n b"), "^ConnectionError: a b$"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_failure_is_one_line(error, said):
    line = words.explain(error, {})

    assert re.search(said, line)
    assert "\n" not in line


@pytest.mark.parametrize(
    "text",
    [
        "the key is hidden-value",
        "Authorization: Bearer hidden-value",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6hidden-value.abc.def",
        "https://id:hidden-value@store/x",
        "GET https://store/x?X-Amz-Credential=a&X-Amz-Signature=hidden-value failed",
    ],
)
def test_nothing_secret_is_said(text):
    line = words.scrubbed(text, {"AWS_SECRET_ACCESS_KEY": "hidden-value" if "key" in text else ""})

    assert "hidden-value" not in line
    assert "…" in line


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "spillway_fetch", *arguments],
        cwd=builders.ROOT / "images" / "storage-initializer",
        env={},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "No model: wanted: the model's address and a folder"),
        (["fraud", "/nowhere"], "No model: 'fraud' is no address of a model"),
        (["models:/fraud/7", "/nowhere"], "set MLFLOW_TRACKING_URI"),
    ],
)
def test_what_will_never_work_is_one_line_and_exit_code_2(arguments, said):
    done = run(*arguments)

    assert (done.returncode, done.stderr) == (2, "")
    (line,) = done.stdout.splitlines()
    assert said in line


def test_a_model_that_is_there_is_not_fetched_again(tmp_path):
    (tmp_path / target.MARK).write_text("models:/fraud/7\n")

    done = run("models:/fraud/7", str(tmp_path))

    assert done.returncode == 0
    assert "is in" in done.stdout
    assert "already" in done.stdout


def test_the_last_words_are_also_the_pods(tmp_path, monkeypatch):
    log = tmp_path / "termination-log"
    monkeypatch.setattr(fetching, "TERMINATION_LOG", log)

    assert fetching.main(["", "fraud", str(tmp_path)]) == fetching.HOPELESS
    assert log.read_text().startswith("No model: 'fraud'")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {}),
        (
            {"AWS_ENDPOINT_URL_S3": "http://s:7070"},
            {
                "MLFLOW_S3_ENDPOINT_URL": "http://s:7070",
                "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path",
            },
        ),
    ],
)
def test_a_store_of_ones_own_is_asked_by_path(given, told):
    environ = dict(given)

    fetching.own_store(environ)

    assert environ == {**given, **told}


def test_models_are_made_of_the_same_versions_where_people_train():
    """A model that was pickled with one scikit-learn may be something else to another."""
    locked = {
        name: dict(
            line.removesuffix(" \\").split("==", 1)
            for line in (builders.ROOT / "images" / name / "requirements.txt")
            .read_text()
            .splitlines()
            if "==" in line
        )
        for name in ("notebook", "model-server", "storage-initializer", "mlflow")
    }
    shared = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "joblib")

    for name in (*shared, "cloudpickle", "mlflow-skinny", "python-dateutil"):
        assert locked["model-server"][name] == locked["notebook"][name], name
    versions = {packages["mlflow-skinny"] for packages in locked.values()}
    assert len(versions) == 1
