"""A stack's fleet, simulated: its machines, and the queue that the platform's program makes."""

import subprocess
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


@contextmanager
def standing(
    folder: Path, config: Mapping[str, Any], pools: Sequence[NodePool], counts: Mapping[str, int]
) -> Generator[Fleet]:
    """The fleet, with Kueue admitting; no autoscaler yet.

    ``counts`` are the machines of each of the company's own pools.
    """
    own = [node for pool in pools for node in onprem(pool, counts.get(pool.name, 0))]
    # Kueue's own pods want a machine without taints.
    with Fleet([FakeNode(name="services"), *own], folder / "cluster") as fleet:
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


def pools_of(config: Mapping[str, Any]) -> tuple[list[NodePool], dict[str, int], list[Group]]:
    """Of a stack's config: its pools, the machines of its own ones, and the groups of a cloud."""
    from infra.pools import node_pool  # noqa: PLC0415 - the SDK takes a second to import
    from infra.sections import Cluster  # noqa: PLC0415

    cluster = Cluster.model_validate(config.get("spillway:cluster") or {})
    pools = {name: node_pool(name, pool) for name, pool in cluster.pools.items()}
    counts = {name: len(pool.nodes) for name, pool in cluster.pools.items() if pool.nodes}
    groups = [
        Group(pool=pools[name], most=pool.max_nodes)
        for name, pool in cluster.pools.items()
        if pool.max_nodes
    ]
    return list(pools.values()), counts, groups


def scenario() -> dict[str, Any]:
    """The config of the fleet that is played where nobody names a stack."""
    content: Any = yaml.safe_load(SCENARIO.read_text())
    return content["config"]
