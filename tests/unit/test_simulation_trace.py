"""Traces: their format, what it refuses, and the two that are shipped."""

import pytest

from rig.simulation import published, trace
from rig.simulation.published import RECIPES
from rig.simulation.trace import HOUR, Kind, Trace, TraceError, Work

HEADER = "arrival_seconds,tenant,kind,gpus,duration_seconds,name,pods"
GOOD = "10,vision,job,2,60,train,4"


def refused(*lines: str, header: str = HEADER) -> str:
    with pytest.raises(TraceError) as error:
        trace.parse("\n".join([header, *lines]), "day.csv")
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_line_is_a_piece_of_work():
    (work,) = trace.parse(f"{HEADER}\n{GOOD}\n").works
    assert work == Work(
        name="train", arrival=10, tenant="vision", kind=Kind.JOB, gpus=2, duration=60, pods=4
    )
    assert (work.all_gpus, work.gpu_seconds) == (8, 480)


def test_name_and_pods_may_be_left_out():
    text = "kind,tenant,gpus,duration_seconds,arrival_seconds\nnotebook,vision,1,60,0\n\n"
    (work,) = trace.parse(text).works
    assert (work.name, work.pods, work.kind) == ("notebook-00002", 1, Kind.NOTEBOOK)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-1,vision,job,1,60,a,1", "line 3, column arrival_seconds: '-1' is not a number of seco"),
        ("nan,vision,job,1,60,a,1", "column arrival_seconds: 'nan' is not a number of seconds"),
        ("5,vision,job,1,60,a,1", "'5' is not at least that of the line before, 10"),
        ("20,Vision,job,1,60,a,1", "column tenant: 'Vision' is not lower-case letters"),
        ("20,vision,train,1,60,a,1", "column kind: 'train' is not one of job, notebook"),
        ("20,vision,job,3,60,a,1", "column gpus: '3' is not one of 1, 2, 4, 8"),
        ("20,vision,job,²,60,a,1", "column gpus: '²' is not one of 1, 2, 4, 8"),
        ("20,vision,job,1,0,a,1", "column duration_seconds: '0' is not a number of seconds, 1"),
        ("20,vision,job,1,inf,a,1", "column duration_seconds: 'inf' is not a number"),
        ("20,vision,job,1,60,A b,1", "column name: 'A b' is not lower-case letters"),
        ("20,vision,job,1,60,train,1", "'train' is not a name of its own: line 2 has it too"),
        ("20,vision,job,1,60,a,65", "column pods: '65' is not a whole number from 1 to 64"),
        ("20,vision,notebook,1,60,a,2", "column pods: '2' is not 1, which all notebooks have"),
        ("20,vision,job,1,60", "line 3: 5 values, but the header has 7 columns"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_allowed(line: str, said: str):
    text = refused(GOOD, line)
    assert text.startswith("day.csv, line 3")
    assert said in text


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("arrival_seconds,tenant,kind,gpus", "column 'duration_seconds' is missing"),
        (HEADER + ",gpu", "unknown column 'gpu': allowed are arrival_seconds, tenant"),
        (HEADER + ",gpus", "column 'gpus' twice"),
        ("", "'arrival_seconds' is missing"),
    ],
)
def test_a_wrong_header_is_named(header: str, said: str):
    assert said in refused(GOOD, header=header)


def test_a_trace_without_work_is_refused():
    assert "no work in it" in refused()


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(TraceError, match="cannot be read"):
        trace.read(tmp_path / "none.csv")


def test_compressing_keeps_the_shape():
    day = trace.parse(f"{HEADER}\n{GOOD}\n")
    (work,) = day.compress(10).works
    assert (work.arrival, work.duration, work.gpus) == (1, 6, 2)
    with pytest.raises(TraceError, match="compressed by 0"):
        day.compress(0)


def test_writing_and_reading_changes_nothing():
    for recipe in RECIPES.values():
        day = published.make(recipe)
        assert trace.parse(trace.text_of(day)) == day
        squeezed = day.compress(90)
        assert trace.parse(trace.text_of(squeezed.first(1))).works[0].pods == day.works[0].pods


@pytest.mark.parametrize("name", RECIPES)
def test_the_shipped_files_come_from_their_seeds(name: str):
    file = published.FOLDER / f"{name}.csv"
    assert file.read_bytes() == trace.text_of(published.make(RECIPES[name])).encode()
    assert published.make(RECIPES[name], seed=1) != published.make(RECIPES[name])


def demand(day: Trace, at: float) -> int:
    return sum(w.all_gpus for w in day.works if w.arrival <= at < w.arrival + w.duration)


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_day_fills_sixteen_gpus_for_a_part_of_it(name: str):
    day = trace.read(published.FOLDER / f"{name}.csv")
    told = day.summary()
    wanted = [demand(day, quarter * HOUR / 4) for quarter in range(96)]
    full = sum(gpus > 16 for gpus in wanted) / len(wanted)
    assert 300 <= told.works <= 600
    assert told.hours <= 24
    assert 0.15 < full < 0.7
    assert 200 < told.gpu_hours < 420
    assert all(told.sizes.values())
    assert min(told.kinds.values()) >= 50
    assert len(told.tenants) == 4
    assert 20 < len(day.first(4).works) < told.works / 2


def test_philly_is_mostly_single_gpus_and_helios_has_the_larger_jobs():
    def mean(name: str) -> float:
        jobs = [w for w in published.make(RECIPES[name]).works if w.kind is Kind.JOB]
        return sum(w.all_gpus for w in jobs) / len(jobs)

    assert mean("philly") == pytest.approx(1.75, abs=0.35)
    assert 2.4 < mean("helios") < 3.72


def test_durations_have_a_long_tail():
    for recipe in RECIPES.values():
        times = sorted(w.duration for w in published.make(recipe).works if w.kind is Kind.JOB)
        assert sum(times) / len(times) > 1.5 * times[len(times) // 2]
