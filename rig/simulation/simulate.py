"""`make simulate`: a trace on a stack's fleet, our way and two others, and the report of it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from components.cluster.autoscaler import UNNEEDED_SECONDS
from infra.catalog import CloudName
from rig.errors import RigError
from rig.rehearsal import scenes
from rig.simulation import bound, published, report, stand
from rig.simulation.fleet import Fleet
from rig.simulation.groups import Group
from rig.simulation.history import History, Share, Tier
from rig.simulation.promises import Tolerance, broken
from rig.simulation.replay import Replayer
from rig.simulation.trace import HOUR, Trace, read
from rig.simulation.work import ELSEWHERE, Mode
from rig.steps import console, step

TITLES: Mapping[Mode, str] = {
    Mode.QUEUE: "the queue",
    Mode.NO_QUEUE: "no queue, autoscaler only",
    Mode.CLOUD: "everything in the cloud",
}
NO_END = 64
"""Machines of a cloud where nobody limits them."""
BOOT = 240.0
"""Seconds, of the trace, that a machine of a cloud takes to come."""
PATIENCE = 900.0
"""Seconds of the replay after the last arrival."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What is replayed, and how fast."""

    trace: Trace
    title: str
    factor: float
    config: Mapping[str, Any] = field(default_factory=stand.scenario)
    modes: Sequence[Mode] = tuple(Mode)
    cloud: CloudName = "aws"
    """Whose prices count."""
    spot: bool = False

    def run(self, reports: Path) -> Sequence[report.Replay]:
        """Replay it in each way; write report.md, and a file for each history, into the folder."""
        reports.mkdir(parents=True, exist_ok=True)
        replays = list[report.Replay]()
        for mode in self.modes:
            with step(f"replaying {self.title}: {TITLES[mode]}"):
                history = self._replay(mode)
            history.save(reports / f"{mode.value}.json")
            replays.append(self._judged(history, mode))
        file = report.write(reports, replays, self.title)
        console.print(f"report: {file}")
        return replays

    def _replay(self, mode: Mode) -> History:
        machines = stand.machines_of(self.config)
        trace = self.trace.compress(self.factor)
        tiers = {pool.name: Tier(pool.tier) for pool in machines.pools}
        with (
            tempfile.TemporaryDirectory(prefix="spillway-simulation-") as folder,
            stand.standing(Path(folder), self.config, self.factor) as fleet,
        ):
            if mode is not Mode.QUEUE:
                fleet.api.create("/api/v1/namespaces", {"metadata": {"name": ELSEWHERE}})
            fleet.start_autoscaler(self._groups(machines.groups, mode), self.flags, self.factor)
            replayer = Replayer(fleet.api, trace, mode, tiers)
            ended = replayer.run(PATIENCE)
            notes = self._notes(fleet)
        return History(
            name=TITLES[mode],
            trace=trace,
            factor=self.factor,
            shares=shares_of(self.config),
            events=tuple(replayer.events),
            ended=ended,
            notes=notes,
        )

    def _groups(self, groups: Sequence[Group], mode: Mode) -> list[Group]:
        boots = [replace(group, boot_seconds=BOOT / self.factor) for group in groups]
        return [replace(g, most=NO_END) for g in boots] if mode is Mode.CLOUD else boots

    @property
    def flags(self) -> list[str]:
        """The autoscaler's that are times, in the replay's time."""
        idle = f"{max(1.0, UNNEEDED_SECONDS / self.factor):.1f}s"
        return [
            "--scan-interval=1s",
            f"--scale-down-unneeded-time={idle}",
            "--scale-down-delay-after-delete=0s",
            "--scale-down-delay-after-failure=1s",
            "--scale-down-unready-time=60s",
        ]

    def _judged(self, history: History, mode: Mode) -> report.Replay:
        prices = {
            group.name: report.node_price(
                self.cloud, group.pool.accelerator, group.pool.gpus, self.spot
            )
            for group in stand.machines_of(self.config).groups
        }
        return report.Replay(
            history=history,
            bound=bound.bound(history),
            prices=prices,
            tolerance=self.tolerance,
            promises=mode is Mode.QUEUE,
        )

    @property
    def tolerance(self) -> Tolerance:
        """What is as good as at once, in the replay's time."""
        return Tolerance(
            decision=3.0,
            record=2.0,
            unneeded=UNNEEDED_SECONDS / self.factor + 15,
            wait=12 * HOUR / self.factor,
        )

    def _notes(self, fleet: Fleet) -> dict[str, str]:
        return {
            "a cloud's machine starts in": f"{BOOT:.0f} s",
            "it ends when idle for": f"{UNNEEDED_SECONDS} s",
            "memory": ", ".join(f"{name} {mib} MiB" for name, mib in fleet.memory().items()),
        }


def shares_of(config: Mapping[str, Any]) -> dict[str, Share]:
    """By tenant, what the stack gives it."""
    found = dict[str, Share]()
    for name, tenant in (config.get("spillway:tenants") or {}).items():
        gpu = ((tenant.get("quota") or {}).get("gpu")) or {}
        found[name] = Share(onprem=gpu.get("onprem", 0), burst=gpu.get("burst", 0))
    return found


def find(name: str) -> tuple[str, Trace]:
    """A trace of the repository by its name, or anybody's by its file."""
    file = Path(name) if name.endswith(".csv") else published.FOLDER / f"{name}.csv"
    if not file.exists():
        known = ", ".join(sorted(f.stem for f in published.FOLDER.glob("*.csv")))
        raise RigError(f"TRACE={name}: no such trace; there are {known}, or name a file of yours")
    return file.stem, read(file)


def config_of(file: Path | None) -> Mapping[str, Any]:
    """Of a stack file, what a simulation needs; without one, the scenario of this folder."""
    if file is None:
        return stand.scenario()
    config = scenes.config_of(file)
    kept = ("spillway:cluster", "spillway:tenants", "spillway:queue")
    found: dict[str, Any] = {key: config[key] for key in kept if key in config}
    cluster = {"pools": (found.get("spillway:cluster") or {}).get("pools") or {}}
    return {**found, "spillway:cluster": cluster, "spillway:protect": False}


def kept(replay: report.Replay) -> bool:
    """Whether every promise was kept."""
    return not any(broken(replay.history, replay.tolerance).values())
