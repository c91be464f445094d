"""What goes wrong with a cloud's machines: work is done in the end, and no machine is left."""

from collections.abc import Iterator, Mapping

import pytest
from played import FLAGS, NODES, await_done, await_rented, node_of, rented, submit

from components.cluster.nodes import BURST_TAINT, POOL_LABEL, TIER_LABEL, NodePool
from rig.control_plane import FakeNode
from rig.kube import ready
from rig.node.machine import wait_for
from rig.simulation import Fault, Fleet, Group
from rig.simulation.stages import FAULT
from rig.simulation.stand import standing

KINDS = {"stuck": "t4", "blind": "a10g", "well": "l40s"}
"""By the name of a pool, what its machines are; each has its own, so that work chooses."""
POOLS = {
    name: NodePool(name=name, tier="burst", accelerator=kind, gpus=1)
    for name, kind in KINDS.items()
}
CONFIG = {
    "spillway:protect": False,
    "spillway:cluster": {
        "pools": {
            "own": {"tier": "onprem", "nodes": ["own-0"], "accelerator": "l4"},
            **{
                name: {"tier": "burst", "accelerator": kind, "maxNodes": 1}
                for name, kind in KINDS.items()
            },
        }
    },
    "spillway:tenants": {
        "team": {
            "members": ["a@example.com"],
            "quota": {"gpu": {"onprem": 1, "burst": 3, "pools": dict.fromkeys(KINDS, 1)}},
        }
    },
}
PATIENT = 120
FASTER = 150
"""A machine that is a node and not Ready is given up after 15 minutes: here after six seconds."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with standing(tmp_path_factory.mktemp("fleet"), CONFIG) as fleet:
        yield fleet


def scale(fleet: Fleet, faults: Mapping[str, Fault], boot: float = 1) -> None:
    """A cloud with these faults, by pool."""
    groups = [
        # One: of four dead ones the autoscaler would stop, until the reaper has been there.
        Group(pool=pool, most=1, boot_seconds=boot, fault=faults.get(name))
        for name, pool in POOLS.items()
    ]
    fleet.start_autoscaler(groups, FLAGS, FASTER)


def of_pool(name: str) -> dict[str, str]:
    return {POOL_LABEL: name}


def machines(fleet: Fleet, name: str) -> list[str]:
    return rented(fleet.api, f",{POOL_LABEL}%3D{name}")


def test_work_of_a_machine_that_the_cloud_takes_back_is_done_on_another(fleet):
    api = fleet.api
    scale(fleet, {})
    submit(api, "taken", seconds=15, where=of_pool("well"))
    lost = node_of(api, "taken")["metadata"]["name"]
    api.delete(f"{NODES}/{lost}")

    await_done(api, "taken", PATIENT)
    await_rented(api, 0)


def test_nodes_of_machines_that_are_gone_are_reaped_and_no_others(fleet):
    api = fleet.api
    tiers = {"gone": "burst", "own-but-ill": "onprem", "at-work": "burst"}
    for name, tier in tiers.items():
        fault = {} if name == "at-work" else {FAULT: Fault.NEVER_READY.value}
        # Not the autoscaler's to end: its machine is gone already.
        taints = [{"key": BURST_TAINT, "value": "true", "effect": "NoSchedule"}]
        fleet.add(FakeNode(name=name, labels={TIER_LABEL: tier}, taints=taints, annotations=fault))
    try:
        wait_for(lambda: ready(api.get(f"{NODES}/at-work")) or None, PATIENT, "at-work Ready")
        wait_for(lambda: "gone deleted" in fleet.reap(seconds=2) or None, PATIENT, "a node to reap")
        assert api.get(f"{NODES}/gone") is None
        assert api.get(f"{NODES}/own-but-ill")
        assert api.get(f"{NODES}/at-work")
        assert "0 deleted" in fleet.reap(seconds=2)
    finally:
        for name in tiers:
            if api.get(f"{NODES}/{name}"):
                api.delete(f"{NODES}/{name}")


def test_autoscaler_and_api_server_may_die_while_a_machine_comes(fleet):
    scale(fleet, {}, boot=4)
    submit(fleet.api, "through", seconds=5, where=of_pool("well"))
    wait_for(lambda: machines(fleet, "well") or None, PATIENT, "a machine that comes")
    fleet.restart_autoscaler()
    fleet.restart_api_server()

    await_done(fleet.api, "through", PATIENT)
    await_rented(fleet.api, 0)
    assert fleet.plane.failure is None


def test_machines_that_never_come_or_have_no_gpus_are_given_back_and_work_goes_on(fleet):
    api = fleet.api
    scale(fleet, {"stuck": Fault.NEVER_READY, "blind": Fault.NO_GPUS})
    for name in KINDS:
        submit(api, f"on-{name}", seconds=2, where=of_pool(name))
    first = {
        name: wait_for(lambda name=name: machines(fleet, name) or None, PATIENT, f"a {name} one")
        for name in ("stuck", "blind")
    }
    # A well one shows that it is the fault, and not the fleet.
    await_done(api, "on-well", PATIENT)
    for name, made in first.items():
        wait_for(
            lambda name=name, made=made: not set(made) & set(machines(fleet, name)) or None,
            PATIENT,
            f"the end of {name} ones",
        )

    scale(fleet, {})
    for name in first:
        await_done(api, f"on-{name}", PATIENT)
    await_rented(api, 0)
