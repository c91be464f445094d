"""What a stack's burst pools ask of their cloud."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.catalog import ACCELERATORS, Absent, CloudName
from infra.sections import Pool, Tier
from infra.settings import Settings
from rig.doctor.findings import Finding, fine, unsure, wrong


@dataclass(frozen=True, kw_only=True)
class Need:
    """One burst pool at its largest."""

    pool: str
    accelerator: str
    machine: str
    nodes: int
    gpus: int
    """Of one machine."""
    spot: bool

    @property
    def all_gpus(self) -> int:
        """Of all machines."""
        return self.nodes * self.gpus


def burst_pools(settings: Settings) -> Iterator[tuple[str, Pool]]:
    """By their names."""
    for name, pool in settings.cluster.pools.items():
        if pool.tier is Tier.BURST:
            yield name, pool


def needs(settings: Settings, cloud: CloudName) -> list[Need]:
    """Of each burst pool whose machine the catalog knows."""
    found: list[Need] = []
    for name, pool in burst_pools(settings):
        machines = ACCELERATORS[pool.accelerator].machines(cloud)
        if isinstance(machines, Absent):
            continue
        for machine in machines:
            if machine.gpus == pool.gpus_per_node:
                found.append(
                    Need(
                        pool=name,
                        accelerator=pool.accelerator,
                        machine=machine.name,
                        nodes=pool.max_nodes or 0,
                        gpus=machine.gpus,
                        spot=bool(pool.spot),
                    )
                )
                break
    return found


def unsold(settings: Settings, cloud: CloudName) -> Iterator[Finding]:
    """Pools that the cloud sells no machine for."""
    known = {need.pool for need in needs(settings, cloud)}
    for name, pool in burst_pools(settings):
        if name in known:
            continue
        machines = ACCELERATORS[pool.accelerator].machines(cloud)
        if isinstance(machines, Absent):
            reason = machines.reason
        else:
            reason = f"it has {', '.join(str(m.gpus) for m in machines)} GPUs a machine"
        yield wrong(
            f"pool {name}: {cloud} sells no machine with {pool.gpus_per_node} {pool.accelerator}",
            f"change accelerator or gpusPerNode of spillway:cluster.pools.{name}: {reason}",
        )


def offered(need: Need, zones: Sequence[str], sold: Sequence[str], key: str) -> Finding:
    """Whether a pool's machine is sold where the stack may make it."""
    has = [zone for zone in zones if zone in sold]
    if len(has) == len(zones):
        return fine(f"pool {need.pool}: {need.machine} is offered in {', '.join(zones)}")
    elsewhere = f"it is offered in {', '.join(sold)}" if sold else "the region has none"
    if has:
        what = f"pool {need.pool}: {need.machine} is offered in {', '.join(has)} alone"
        return unsure(what, f"more of {key} means more capacity: {elsewhere}")
    what = f"pool {need.pool}: {need.machine} is not offered in {', '.join(zones)}"
    return wrong(what, f"change {key} or the pool's accelerator: {elsewhere}")
