"""A stack's fleet, simulated: its machines, and the queue that the platform's program makes."""

import subprocess
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.cluster.nodes import NodePool
from rig.control_plane import FakeNode
from rig.errors import RigError
from rig.rehearsal.play import UP
from rig.rehearsal.stage import Stage
from rig.simulation.fleet import Fleet
from rig.simulation.groups import Group, onprem

PROGRAM = Path(__file__).parent / "program"
SCENARIO = Path(__file__).parent / "fleet.yaml"
"""The fleet that is played where nobody names a stack."""
CONTEXT = "simulation"
LAST = 2000
"""Characters of an engine that failed."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a stack's config says of machines."""

    pools: Sequence[NodePool]
    own: Sequence[FakeNode]
    """The company's, which are there before the stack."""
    groups: Sequence[Group]
    """What a cloud makes."""


def machines_of(config: Mapping[str, Any]) -> Machines:
    """Of a stack's config."""
    from infra.pools import node_pool  # noqa: PLC0415 - the SDK takes a second to import
    from infra.sections import Cluster  # noqa: PLC0415

    cluster = Cluster.model_validate(config.get("spillway:cluster") or {})
    pools = {name: node_pool(name, pool) for name, pool in cluster.pools.items()}
    return Machines(
        pools=list(pools.values()),
        own=[
            node for name, pool in cluster.pools.items() for node in onprem(pools[name], pool.nodes)
        ],
        groups=[
            Group(pool=pools[name], most=pool.max_nodes)
            for name, pool in cluster.pools.items()
            if pool.max_nodes
        ],
    )


@contextmanager
def standing(folder: Path, config: Mapping[str, Any], factor: float = 1) -> Generator[Fleet]:
    """The fleet of a config, with Kueue admitting; no autoscaler yet. ``factor`` as of a Fleet."""
    # What is no GPU work wants a machine without taints.
    nodes = [FakeNode(name="services"), *machines_of(config).own]
    with Fleet(nodes, folder / "cluster", factor=factor) as fleet:
        stage = Stage(folder, "simulation", PROGRAM, CONTEXT)
        with stage.on(fleet.plane), ThreadPoolExecutor(1) as beside:
            engine = stage.start(UP, config, errors=subprocess.STDOUT)
            # Beside the engine, which waits for Kueue's pods, which are what this starts.
            queue = beside.submit(fleet.start_queue, within=300)
            said, _ = engine.communicate()
            if engine.returncode:
                queue.cancel()
                raise RigError(f"the engine failed:\n{said[-LAST:]}")
            queue.result()
        yield fleet


def scenario() -> dict[str, Any]:
    """The config of the fleet that is played where nobody names a stack."""
    content: Any = yaml.safe_load(SCENARIO.read_text())
    return content["config"]
