"""The play: preview, up, no change, a change, the other cloud, and the end of the stack."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.gate import Verdict, judge
from infra.settings import read
from rig import charts, offline, paths, toolchain
from rig.errors import RigError
from rig.rehearsal import machines, scenes
from rig.rehearsal.stage import TOOLS, Played, Stage
from rig.stack import GARBAGE, PLAN
from rig.steps import console, step

_INSIDE = "SPILLWAY_REHEARSAL_OFFLINE"
_ELSEWHERE = ("192.0.2.1", 443)
"""RFC 5737: nobody's address."""


def enter(arguments: Sequence[str], rehearsal: "Rehearsal") -> None:
    """Go on where there is no network: does not return, or returns because it is there already."""
    if os.environ.get(_INSIDE):
        _prove_offline()
        return
    # The last things that may need the network.
    toolchain.ensure_all(TOOLS)
    rehearsal.fetch()
    command = offline.offline([sys.executable, "-m", "rig", *arguments])
    # The API server lives no longer than an engine.
    env = {"GOGC": GARBAGE, **os.environ, _INSIDE: "1"}
    os.execve(command[0], command, env)  # noqa: S606 - no shell is wanted


def _prove_offline() -> None:
    try:
        socket.create_connection(_ELSEWHERE, timeout=1).close()
    except OSError:
        return
    raise RigError("the rehearsal has a network, which it must not have")


@dataclass
class Rehearsal:
    """One stack file, and how its life went."""

    name: str
    base: str | None = None
    """A git reference: what is deployed before; the first report is of the change since."""
    reports: Path | None = None
    """Folder for the gate's reports and the engine's logs."""
    project: Path = paths.ROOT
    times: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    @property
    def file(self) -> Path:
        """The stack file."""
        return self.project / f"Pulumi.{self.name}.yaml"

    def fetch(self) -> None:
        """The manifests that the stack takes from other projects, before and after the change."""
        config = scenes.config_of(self.file) if self.file.exists() else {}
        if "spillway:domain" in config or any(machines.pools(config)) or self.base:
            charts.fetch(self.project, self.base)

    def play(self) -> None:
        """All of it; an error says which scene failed and where its log is."""
        if not self.file.exists():
            known = sorted(f.name.split(".")[1] for f in self.project.glob("Pulumi.*.yaml"))
            raise RigError(f"STACK={self.name}: no {self.file.name}; there are {', '.join(known)}")
        config, began = scenes.config_of(self.file), time.monotonic()
        with tempfile.TemporaryDirectory(prefix="spillway-rehearsal-") as folder:
            stage = Stage(Path(folder), self.name, self.project, scenes.context_of(config))
            try:
                self._play(stage, config)
            finally:
                if self.reports and (stage.folder / "logs").exists():
                    stage.keep_logs(self.reports)
        console.print(f"rehearsed {self.name} in {time.monotonic() - began:.0f} s, offline")

    def _play(self, stage: Stage, config: scenes.Config) -> None:
        with self._scene("a control plane without machines"):
            opened = stage.open()
            opened.__enter__()
        try:
            self._birth(stage, config)
            self._life(stage, config)
            self._end(stage, config)
        finally:
            opened.__exit__(*sys.exc_info())

    def _birth(self, stage: Stage, config: scenes.Config) -> None:
        if self.base:
            with _checkout(self.project, self.base) as old:
                before = old / self.file.name
                if before.exists():
                    with self._scene(f"up of {self.base}"):
                        self._must(stage.run(UP, scenes.config_of(before), old))
        _accept(self._plan(stage, "preview", config))
        with self._scene("up"):
            self._must(stage.run(UP, config))
        if missed := {*machines.named(config)} - {*machines.marked(stage.plane.api)}:
            raise RigError(f"nodes of a pool are not labelled: {', '.join(sorted(missed))}")

    def _life(self, stage: Stage, config: scenes.Config) -> None:
        """What changes nothing, side by side: none of them uses all cores."""
        looks = [self._same, self._ordinary, self._switched]
        if config.get("spillway:protect", True):
            looks.append(self._refused)
        before = len(stage.state())
        crew = ThreadPoolExecutor(os.cpu_count())
        try:
            for look in [crew.submit(look, stage, config) for look in looks]:
                look.result()
        finally:
            # What has not begun when one fails, or on Ctrl-C, never does.
            crew.shutdown(cancel_futures=True)
        if (after := len(stage.state())) != before:
            raise RigError(f"previews, and a destroy that was refused, left {after} of {before}")

    def _same(self, stage: Stage, config: scenes.Config) -> None:
        with self._scene("preview again: no change"):
            self._must(stage.run(["preview", "--expect-no-changes"], config))

    def _ordinary(self, stage: Stage, config: scenes.Config) -> None:
        _accept(self._plan(stage, "preview of an ordinary change", scenes.changed(config)))

    def _switched(self, stage: Stage, config: scenes.Config) -> None:
        other = scenes.switched(config)
        if other is None:
            return
        verdict = self._plan(stage, f"preview of cloud: {other['spillway:cloud']}", other)
        if not verdict.refused:
            raise RigError("the gate lets a switch of clouds destroy what is precious")

    def _refused(self, stage: Stage, config: scenes.Config) -> None:
        """As people destroy, with a preview first: so nothing at all is deleted."""
        with self._scene("destroy is refused while it is protected"):
            if stage.run(["destroy", "--yes"], config).code == 0:
                raise RigError("a protected stack was destroyed")

    def _end(self, stage: Stage, config: scenes.Config) -> None:
        last = scenes.unprotected(scenes.changed(config))
        with self._scene("up of the change, and all locks off"):
            self._must(stage.run(UP, last))
        with self._scene("destroy"):
            self._must(stage.run(DESTROY, last))
        if left := stage.state():
            raise RigError(f"{len(left)} resources are left: {', '.join(r['urn'] for r in left)}")
        if marked := sorted(machines.marked(stage.plane.api)):
            raise RigError(f"nodes keep what the stack has put on them: {', '.join(marked)}")

    def _plan(self, stage: Stage, what: str, config: scenes.Config) -> Verdict:
        with self._scene(what):
            played = stage.run(PLAN, config)
            verdict = judge(played.plan, read(played.file))
        title = next(line for line in verdict.markdown.splitlines() if line.startswith("## "))
        console.print(f"  {what}: {title.removeprefix('## ')}", markup=False)
        if self.reports:
            self.reports.mkdir(parents=True, exist_ok=True)
            name = what.replace(" ", "-").replace(":", "")
            (self.reports / f"{name}.md").write_text(verdict.markdown)
            (self.reports / f"{name}.json").write_text(played.printed)
        return verdict

    def _must(self, played: Played) -> None:
        if played.code:
            raise RigError(f"the engine failed:\n{played.words}\n(log: {self._log(played)})")

    def _log(self, played: Played) -> str:
        return str(self.reports / played.log.name if self.reports else "use --reports FOLDER")

    @contextmanager
    def _scene(self, what: str) -> Generator[None]:
        began = time.monotonic()
        with step(what):
            yield
        self.times.append((what, time.monotonic() - began))


UP = ["up", "--yes", "--skip-preview"]
DESTROY = ["destroy", "--yes", "--skip-preview"]


def _accept(verdict: Verdict) -> None:
    if problems := (*verdict.reasons, *verdict.failures):
        raise RigError("the gate refuses this plan:\n" + "\n".join(problems))


@contextmanager
def _checkout(project: Path, reference: str) -> Generator[Path]:
    """Another commit of the project, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="spillway-base-"))
    git = ["git", "-C", str(project), "worktree"]
    try:
        added = [*git, "add", "--detach", "--force", str(folder / "base"), reference]
        done = subprocess.run(added, capture_output=True, text=True, check=False)
        if done.returncode:
            said: Any = done.stderr.strip().splitlines()[-1:]
            raise RigError(f"--base {reference}: {''.join(said)}")
        yield folder / "base"
    finally:
        removed = [*git, "remove", "--force", str(folder / "base")]
        subprocess.run(removed, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)
