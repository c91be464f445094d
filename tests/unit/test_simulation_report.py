"""The report says what the histories say, and is the same every time."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from simulation_stand_in import SHARES, replay

from rig.errors import RigError
from rig.simulation import report, trace
from rig.simulation.bound import Bound
from rig.simulation.history import Share, What
from rig.simulation.promises import Tolerance
from rig.simulation.published import FOLDER
from rig.simulation.report import Replay, node_price


def replays() -> list[Replay]:
    day = trace.read(FOLDER / "philly.csv").first(5).compress(60)
    ours = replace(replay(day, factor=60), name="ours", notes={"node start": "90 s"})
    other = replace(replay(day, factor=60, patient=True), name="no cloud")
    tolerance = Tolerance(wait=3600)
    made = Bound(least=10, prompt=12, excess=11)
    return [
        Replay(history=ours, bound=made, prices={"l4": 0.8}, tolerance=tolerance),
        Replay(
            history=other,
            bound=Bound(least=0, prompt=0, excess=0),
            prices={},
            tolerance=tolerance,
            promises=False,
        ),
    ]


def test_the_page_has_the_numbers_of_the_histories():
    ours, other = replays()
    page = report.text([ours, other], "A day")
    paid = ours.history.cloud_gpu_hours()
    assert paid > 0
    assert ours.ratio == pytest.approx(paid / 10)
    assert f"| cloud GPU-hours paid | {paid:.1f} | 0.0 |" in page
    assert f"| **paid by bound** | **{paid / 10:.2f}** | none needed |" in page
    assert f"| cloud, $ | {ours.cost:.2f} | 0.00 |" in page
    works = len(ours.history.works)
    assert f"| work finished | {works} of {works} | {works} of {works} |" in page
    assert "| vision | " in page
    assert "above its tenant's share" not in page
    assert page.count("kept") == 5
    assert "broken" not in page
    assert "- ours, node start: 90 s" in page


def test_work_above_its_tenants_share_has_a_line_of_its_own():
    (ours, _) = replays()
    works = ours.history.trace.works
    poor = works[0].tenant
    history = replace(ours.history, shares={**SHARES, poor: Share(onprem=0, burst=4)})
    page = report.text([replace(ours, history=history)], "x")
    (line,) = [line for line in page.splitlines() if "above its tenant's share" in line]
    count = sum(work.tenant == poor for work in works)
    waits = history.waits(poor)
    assert line.startswith(f"| above its tenant's share ({count} pieces) | ")
    assert line.endswith(f" / {waits[-1]:.0f} |")


def test_a_broken_promise_is_written_out():
    (ours, _) = replays()
    lost = [e for e in ours.history.events if e.what is not What.FINISHED]
    page = report.text([replace(ours, history=replace(ours.history, events=tuple(lost)))], "x")
    assert f"- all work is finished: **broken {len(ours.history.works)} times**" in page
    assert f"  - {ours.history.trace.works[0].name} did not finish" in page
    assert f"and {len(ours.history.works) - 5} more" in page


def test_plots_are_beside_the_page_and_the_same_every_time(tmp_path: Path):
    first, second = (report.write(tmp_path / n, replays(), "A day") for n in ("1", "2"))
    assert first.read_bytes() == second.read_bytes()
    for name in ("use", "waiting", "cost"):
        file = first.parent / f"{name}.svg"
        assert file.read_bytes() == (second.parent / f"{name}.svg").read_bytes()
        assert ElementTree.parse(file).getroot().tag.endswith("svg")
        assert f"({name}.svg)" in first.read_text()
    assert "no cloud" in (first.parent / "use.svg").read_text()


def test_prices_are_the_catalogs():
    assert node_price("aws", "l4", 1, spot=False) == 0.8048
    assert node_price("gcp", "l4", 2, spot=True) == 0.63
    with pytest.raises(RigError, match="no spot price of 4 l4 on aws"):
        node_price("aws", "l4", 4, spot=True)
    with pytest.raises(RigError, match="a10g on gcp has no price: AWS alone"):
        node_price("gcp", "a10g", 1, spot=False)


def test_a_report_of_nothing_is_refused(tmp_path: Path):
    with pytest.raises(RigError):
        report.write(tmp_path, [], "x")
