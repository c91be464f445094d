"""What scores a table: every row once, however often it is stopped, and nobody's files but its own.

The file system is one in memory, whose files, like objects in a bucket, are whole or not there.
The model is one of MLflow's, with a signature.
"""

import datetime
import importlib
import json
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import builders
import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import serving_code  # noqa: F401 - puts the images' folders into the path
from mlflow.models import Model
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, Schema
from pyarrow import csv, fs
from pyarrow import parquet as pq

places = importlib.import_module("spillway_batch.places")
predictions = importlib.import_module("spillway_batch.predictions")
program = importlib.import_module("spillway_batch.__main__")
record = importlib.import_module("spillway_batch.record")
scoring = importlib.import_module("spillway_batch.scoring")
tables = importlib.import_module("spillway_batch.tables")

URI = "models:/double/7"
THEN = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
SOURCE = """
import os

class Double:
    def predict(self, rows, params=None):
        if (rows["x"] < 0).any():
            raise ValueError("less than\\nnothing")
        return rows["x"] * 2

def _load_pyfunc(path):
    return Double()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logged(tmp_path_factory.mktemp("models") / "double")


def logged(folder: Path, **meta: Any) -> Path:
    """A model as it is after it was fetched."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "double_everything.py").write_text(SOURCE)
    described = Model(signature=ModelSignature(Schema([ColSpec("double", "x")])), metadata=meta)
    mlflow.pyfunc.add_to_model(described, loader_module="double_everything", code="code")
    described.save(str(folder / "MLmodel"))
    return folder


@pytest.fixture
def store() -> fs.FileSystem:
    """Two folders of a bucket."""
    made = fs._MockFileSystem(THEN)
    made.create_dir("bucket/in/2026")
    made.create_dir("bucket/scored/2026")
    return made


class Bed:
    """A job, and what it is done to."""

    def __init__(self, store: fs.FileSystem, model: Path) -> None:
        self.store, self.model, self.uri = store, model, URI
        self.parts: list[str] = []
        """Written, in their order."""

    def place(self, folder: str) -> Any:
        bed = self

        class Watched(places.Place):
            def write(self, name: str, content: bytes) -> None:
                super().write(name, content)
                if name != record.NAME:
                    bed.parts.append(name)

        return Watched(uri=f"s3://bucket/{folder}", files=self.store, path=f"bucket/{folder}")

    def job(self, rows: int = 4) -> Any:
        return scoring.Job(
            name="nightly",
            uri=self.uri,
            model=self.model,
            source=self.place("in"),
            target=self.place("scored"),
            rows=rows,
        )

    def run(self, stop_after: int | None = None, rows: int = 4) -> bool:
        """Asked to stop after so many parts."""
        return scoring.score(
            self.job(rows), lambda: stop_after is not None and len(self.parts) >= stop_after
        )

    def put(self, name: str, *xs: float, first: int = 0) -> None:
        """A file of rows."""
        rows = pa.table({"id": range(first, first + len(xs)), "x": list(map(float, xs))})
        self.place("in").write(name, tables.encoded(name, rows))
        self.parts.clear()

    def rows(self) -> list[tuple[int, float, float]]:
        """All of the output: the rows' numbers, and what the model has said to them."""
        place = self.place("scored")
        found = []
        for name in place.listed():
            if name.endswith(tables.READ):
                read = pq.read_table if name.endswith(".parquet") else csv.read_csv
                table = read(place.open(name))
                assert table.column_names == ["id", "x", "prediction"]
                found += zip(*(column.to_pylist() for column in table.columns), strict=True)
        return sorted(found)

    def recorded(self) -> dict[str, Any]:
        return json.loads(self.place("scored").read(record.NAME))


@pytest.fixture
def bed(store: fs.FileSystem, model: Path) -> Bed:
    return Bed(store, model)


def expected(count: int) -> list[tuple[int, float, float]]:
    return [(at, float(at), 2.0 * at) for at in range(count)]


def three_files(bed: Bed) -> None:
    """Thirty rows."""
    bed.put("2026/b.csv", *range(10, 20), first=10)
    bed.put("c.parquet", *range(20, 30), first=20)
    bed.put("a.parquet", *range(10))


# -- every row, once ------------------------------------------------------------------------------


def test_every_row_is_scored_and_files_keep_their_names(bed):
    three_files(bed)

    assert bed.run()

    assert bed.rows() == expected(30)
    assert bed.parts == [
        *(f"2026/b.part-0000{at}.csv" for at in range(3)),
        *(f"a.part-0000{at}.parquet" for at in range(3)),
        *(f"c.part-0000{at}.parquet" for at in range(3)),
    ]


def test_a_second_run_does_nothing(bed, capsys):
    three_files(bed)
    bed.run()
    bed.parts.clear()

    assert bed.run()

    assert bed.parts == []
    assert capsys.readouterr().out.endswith("nightly: 3 of 3 files were scored before\n")


@pytest.mark.parametrize("after", range(9))
def test_a_run_that_was_stopped_goes_on_where_it_was(after, bed):
    three_files(bed)

    assert not bed.run(stop_after=after)
    assert len(bed.parts) == after
    assert bed.run()

    assert len(bed.parts) == len(set(bed.parts)) == 9
    assert bed.rows() == expected(30)


class Killed(BaseException):
    """SIGKILL: nothing of the program runs any more."""


@pytest.mark.parametrize("write", range(14))
def test_a_run_that_was_killed_at_any_write_goes_on(write, bed, monkeypatch):
    three_files(bed)
    written = 0
    whole = places.Place.write

    def until_killed(self, name, content):
        nonlocal written
        if written == write:
            raise Killed
        written += 1
        whole(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(places.Place, "write", until_killed)
        killed = False
        try:
            bed.run()
        except Killed:
            killed = True

    # Nine parts; the record once before them and once after each file.
    assert killed == (write < 13)
    assert bed.run()
    assert len(bed.parts) == len(set(bed.parts)) == 9
    assert bed.rows() == expected(30)


def test_what_came_since_is_scored_and_nothing_else(bed):
    three_files(bed)
    bed.run()
    bed.put("d.csv", 30, 31, first=30)

    assert bed.run()

    assert bed.parts == ["d.part-00000.csv"]
    assert bed.rows() == expected(32)


def test_a_part_that_somebody_has_deleted_is_made_again(bed, store):
    three_files(bed)
    bed.run()
    bed.parts.clear()
    store.delete_file("bucket/scored/a.part-00001.parquet")

    assert bed.run()

    assert bed.parts == ["a.part-00001.parquet"]
    assert bed.rows() == expected(30)


def test_an_output_goes_on_with_parts_of_the_size_it_began_with(bed):
    three_files(bed)
    bed.run(stop_after=2)

    assert bed.run(rows=7)

    assert bed.rows() == expected(30)
    assert len(bed.parts) == 9


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_a_file_without_rows_is_done(name, bed):
    bed.put(name)
    bed.put("a.parquet", *range(3))

    assert bed.run()

    assert bed.rows() == expected(3)
    assert bed.recorded()["files"][name]["rows"] == 0


def test_an_empty_object_is_a_file_without_rows(bed):
    bed.place("in").write("none.csv", b"")

    assert bed.run()

    assert bed.rows() == []


@pytest.mark.parametrize("rows", [1, 3, 1000])
@pytest.mark.parametrize("groups", [1, 4, 100])
def test_parts_do_not_depend_on_how_a_file_is_stored(rows, groups):
    table = pa.table({"id": range(10)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=groups)
    file = pa.PythonFile(pa.BufferReader(sink.getvalue()), mode="r")

    parts = list(tables.parts("t.parquet", file, rows, {}))

    assert all(part.num_rows == rows for part in parts[:-1])
    assert pa.concat_tables(parts) == table


def test_a_large_csv_is_read_in_blocks(monkeypatch):
    monkeypatch.setattr(tables, "BLOCK", 64)
    rows = pa.table({"id": range(100), "x": [at / 2 for at in range(100)]})
    file = pa.BufferReader(tables.encoded("t.csv", rows))

    parts = list(tables.parts("t.csv", file, 30, {}))

    assert [part.num_rows for part in parts] == [30, 30, 30, 10]
    assert pa.concat_tables(parts) == rows


def test_progress_is_a_line_for_each_part(bed, capsys):
    bed.put("a.parquet", *range(6))
    bed.put("b.parquet", 6, first=6)

    bed.run()

    first, second, third, last = capsys.readouterr().out.splitlines()
    assert first.startswith("nightly: file 1 of 2, 4 rows, ")
    assert first.endswith(" rows/s")
    assert second.startswith("nightly: file 1 of 2, 6 rows, ")
    assert third.startswith("nightly: file 2 of 2, 7 rows, ")
    assert last == "nightly: all 2 files are in s3://bucket/scored, 7 rows just now"


# -- what is refused ------------------------------------------------------------------------------


def content(bed: Bed) -> dict[str, Any]:
    place = bed.place("scored")
    return {name: place.read(name) for name in place.listed()}


def refused(bed: Bed) -> str:
    """Why, after it was seen that nothing has changed."""
    before = content(bed)
    with pytest.raises(record.Hopeless) as error:
        bed.run()
    assert content(bed) == before
    return str(error.value)


def test_the_output_of_another_model_is_not_touched(bed, tmp_path):
    three_files(bed)
    bed.run(stop_after=2)
    bed.uri, bed.model = "models:/double/8", logged(tmp_path / "8", version=8)

    assert refused(bed).startswith(
        "s3://bucket/scored was scored with models:/double/7, not with models:/double/8: "
    )


def test_an_alias_that_has_moved_is_another_model(bed, tmp_path):
    three_files(bed)
    bed.uri = "models:/double@champion"
    bed.run()
    bed.model = logged(tmp_path / "8", version=8)

    assert "with an earlier models:/double@champion, not" in refused(bed)


def test_the_same_model_by_another_address_is_the_same(bed):
    three_files(bed)
    bed.run(stop_after=2)
    bed.uri = "models:/double@champion"

    assert bed.run()
    assert bed.rows() == expected(30)


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "begun"])
def test_an_input_that_was_changed_since_is_refused(finished, bed):
    three_files(bed)
    bed.run(stop_after=None if finished else 4)
    bed.put("a.parquet", 5, 6, 7)

    assert refused(bed).startswith("a.parquet was changed since its rows in s3://bucket/scored")


def test_an_input_of_the_same_size_and_another_time_was_changed(store, model):
    info = store.get_file_info("bucket/in/2026")
    before = record.File(size=10, changed=1)

    assert not before.same(record.File(size=10, changed=2))
    assert before.same(record.File(size=10, changed=1, rows=5))
    assert record.File.of(info).changed == info.mtime_ns


def test_an_input_that_changes_under_way_does_not_count_as_scored(bed, monkeypatch):
    bed.put("a.parquet", *range(10))
    monkeypatch.setattr(places.Place, "info", lambda self, name: bed.store.get_file_info("bucket"))
    monkeypatch.setattr(places.Place, "read", lambda self, name: None)

    with pytest.raises(record.Hopeless, match=r"a\.parquet was changed while it was scored"):
        bed.run()

    monkeypatch.undo()
    assert bed.recorded()["files"]["a.parquet"]["rows"] is None


def test_a_folder_of_somebody_else_is_no_output(bed):
    three_files(bed)
    bed.place("scored").write("thesis.tex", b"")

    assert "has files that no batch has written, such as thesis.tex" in refused(bed)


def test_a_record_that_nobody_can_read_is_not_written_over(bed):
    three_files(bed)
    bed.place("scored").write(record.NAME, b'{"uri": 1}')

    assert "_spillway.json cannot be read" in refused(bed)


def test_what_is_no_table_is_not_scored_and_nothing_to_score_is_a_mistake(bed):
    for name in ("README.md", "_SUCCESS", "_temporary.csv", ".hidden.parquet"):
        bed.place("in").write(name, b"x")

    assert refused(bed) == "no file in s3://bucket/in ends in .parquet or .csv"


def test_a_folder_without_a_model_of_mlflows_is_refused(bed, tmp_path):
    three_files(bed)
    bed.model = tmp_path

    assert "tables are scored with models of MLflow" in refused(bed)


def test_rows_that_the_signature_refuses_are_told_with_their_file(bed):
    bed.place("in").write("a.parquet", tables.encoded("a.parquet", pa.table({"y": [1.0]})))

    with pytest.raises(scoring.Refused, match=r"a\.parquet cannot be scored: .*x"):
        bed.run()


def test_a_csv_that_changes_its_kind_is_told_with_its_name(bed):
    bed.place("in").write("a.csv", b"id,x\n1,2\n2,many\n")

    with pytest.raises(scoring.Refused, match=r"a\.csv cannot be read: .*many"):
        bed.run()


def test_a_csvs_whole_numbers_are_what_the_signature_says(bed):
    bed.place("in").write("a.csv", b"id,x\n0,0\n1,1\n")

    assert bed.run()
    assert bed.rows() == expected(2)


# -- predictions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (np.array([1, 2]), ["prediction"]),
        (np.array([[1], [2]]), ["prediction"]),
        (np.array([[1, 2], [3, 4]]), ["prediction_0", "prediction_1"]),
        (np.zeros((2, 2, 2)), ["prediction"]),
        (pd.Series([1, 2], index=[7, 8]), ["prediction"]),
        (pd.DataFrame({"low": [1, 2], 3: [4, 5]}), ["low", "3"]),
        ({"low": np.array([1, 2])}, ["low"]),
        (["yes", "no"], ["prediction"]),
    ],
    ids=["array", "column", "rows", "cubes", "series", "table", "arrays", "words"],
)
def test_every_kind_of_prediction_is_columns(said, names):
    found = predictions.columns(said)

    assert list(found.columns) == names
    assert len(found) == 2


class Says:
    """A model that says the same to everything."""

    def __init__(self, said: Any) -> None:
        self.metadata = Model()
        self.predict = lambda rows: said


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([1], "2 rows have got 1 predictions"),
        (pd.DataFrame({"x": [1, 2]}), "a column 'x' before it is scored"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(said, why, monkeypatch):
    monkeypatch.setattr(predictions.pyfunc, "load_model", lambda folder: Says(said))

    with pytest.raises(ValueError, match=why):
        predictions.Predictor(Path()).scored(pa.table({"x": [1, 2]}))


def test_what_a_library_warns_of_is_said_once(monkeypatch):
    class Warns(Says):
        def __init__(self) -> None:
            super().__init__([1])
            self.predict = self._predict

        def _predict(self, rows):
            warnings.warn("feature names", stacklevel=1)
            return [1]

    monkeypatch.setattr(predictions.pyfunc, "load_model", lambda folder: Warns())
    predictor = predictions.Predictor(Path())

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for _ in range(3):
            predictor.scored(pa.table({"x": [1]}))

    assert len(heard) == 1


def test_the_columns_of_the_input_stay_exactly_as_they_are(monkeypatch):
    monkeypatch.setattr(predictions.pyfunc, "load_model", lambda folder: Says([1, 2]))
    table = pa.table(
        {
            "whole": pa.array([1, None], pa.int32()),
            "list": [[1], []],
            "words": pa.array(["a", None]).dictionary_encode(),
            "day": pa.array([THEN.date(), None]),
        }
    )

    scored = predictions.Predictor(Path()).scored(table)

    assert scored.drop_columns(["prediction"]) == table


# -- the program ----------------------------------------------------------------------------------


@pytest.fixture
def called(bed, monkeypatch, capsys):
    """The program as a pod runs it: its exit code, and its last line."""
    monkeypatch.setattr(
        places.Place, "of", classmethod(lambda cls, uri, environ: bed.place(uri.split("/")[-1]))
    )
    before = signal.getsignal(signal.SIGTERM)

    def call() -> tuple[int, str]:
        words = [str(bed.model), "s3://bucket/in", "s3://bucket/scored", "--model", bed.uri]
        code = program.main([*words, "--name", "nightly"])
        return code, capsys.readouterr().out.splitlines()[-1]

    yield call
    signal.signal(signal.SIGTERM, before)


def test_the_program_ends_with_nothing_to_complain_of(bed, called):
    three_files(bed)

    code, line = called()

    assert (code, line.partition(",")[0]) == (0, "nightly: all 3 files are in s3://bucket/scored")


def test_a_model_that_fails_is_one_line(bed, called):
    bed.put("a.parquet", -1)

    assert called() == (
        1,
        "nightly: a.parquet cannot be scored: ValueError: less than nothing",
    )


def test_what_is_hopeless_has_an_exit_code_of_its_own(called):
    assert called() == (2, "nightly: no file in s3://bucket/in ends in .parquet or .csv")


def test_what_the_store_says_is_one_line(bed, called, monkeypatch):
    def listed(self):
        raise OSError("access\ndenied")

    monkeypatch.setattr(places.Place, "listed", listed)

    assert called() == (1, "nightly: OSError: access denied")


def test_a_program_that_is_asked_to_stop_writes_the_part_in_hand_and_says_so(
    bed, called, monkeypatch
):
    three_files(bed)
    monkeypatch.setattr(scoring, "ROWS", 4)
    whole = predictions.Predictor.scored

    def asked(self, part):
        os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, part)

    with monkeypatch.context() as patch:
        patch.setattr(predictions.Predictor, "scored", asked)
        code, line = called()
    assert (code, len(bed.parts)) == (143, 1)
    assert line == "nightly: stopped after 10 rows; the next start goes on"

    assert called()[0] == 0
    assert bed.rows() == expected(30)


def test_an_address_is_opened_by_what_the_tenants_storage_gives():
    environ = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "us-east-1"}

    place = places.Place.of("s3://tenant-vision/in/", environ)

    assert (place.uri, place.path) == ("s3://tenant-vision/in", "tenant-vision/in")
    assert place.files == fs.S3FileSystem(
        endpoint_override="127.0.0.1:9", scheme="http", region="us-east-1"
    )


def test_a_pod_of_a_batch_runs_the_program_of_the_image():
    dockerfile = (builders.ROOT / "images" / "model-server" / "Dockerfile").read_text()

    assert "COPY spillway_batch /opt/model-server/lib/python3.13/site-packages/spillway_batch" in (
        dockerfile
    )
