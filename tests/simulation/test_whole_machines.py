"""Small work goes beside other small work, so that a whole machine is left for large work."""

from collections.abc import Iterator

import pytest
from played import node_of

from rig.simulation import Fleet
from rig.simulation.stand import standing
from rig.simulation.trace import Kind, Work
from rig.simulation.work import Mode, manifest, path

SMALL = 4
CONFIG = {
    "spillway:protect": False,
    "spillway:cluster": {
        "pools": {
            "own": {
                "tier": "onprem",
                "nodes": ["own-0", "own-1"],
                "accelerator": "l4",
                "gpusPerNode": 4,
            }
        }
    },
    "spillway:tenants": {
        "team": {"members": ["a@example.com"], "quota": {"gpu": {"onprem": 4}}},
        "other": {"members": ["a@example.com"], "quota": {"gpu": {"onprem": 4}}},
    },
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with standing(tmp_path_factory.mktemp("fleet"), CONFIG) as fleet:
        yield fleet


def placed(fleet: Fleet, name: str, tenant: str, gpus: int) -> str:
    """The machine of a job that was handed in and has started."""
    work = Work(
        name=name, arrival=0, tenant=tenant, kind=Kind.JOB, gpus=gpus, duration=3600, pods=1
    )
    fleet.api.create(path(work, Mode.QUEUE), manifest(work, Mode.QUEUE, work.duration))
    return node_of(fleet.api, name, tenant)["metadata"]["name"]


def test_work_of_one_gpu_goes_beside_other_work_and_of_a_whole_machine_finds_one(fleet):
    # In turns of two tenants: beside anybody, not beside one's own.
    small = [placed(fleet, f"small-{i}", ["team", "other"][i % 2], 1) for i in range(SMALL)]
    assert len(set(small)) == 1, small
    assert placed(fleet, "large", "team", 4) not in small
