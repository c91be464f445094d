"""Where a rehearsal plays: engine, stand-in clouds and a control plane in a folder of its own.

Nothing of the user's is used or touched: no backend, no credentials, no kubeconfig, no plugin home.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import yaml

from rig import plugin_home, stack, toolchain
from rig.control_plane import PROGRAMS, ControlPlane
from rig.errors import RigError
from rig.rehearsal import machines
from rig.rehearsal.serving import Operators
from rig.stack import Stack

FOREIGN = ("PULUMI_", "AWS_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_", "KUBECONFIG", "ARM_")
"""Variables that would lead the engine, or a plugin, to something real."""
LAST_LINES = 12
TOOLS = (*toolchain.ENGINE, *PROGRAMS)
"""All that a rehearsal runs on."""


@dataclass(frozen=True)
class Played:
    """What the engine did when it was asked for something."""

    code: int
    printed: str
    log: Path
    file: Path
    """The stack file that it was asked with."""

    @property
    def plan(self) -> dict[str, Any]:
        """The plan of a preview."""
        try:
            return json.loads(self.printed)
        except ValueError:
            raise RigError(f"the engine printed no plan: {self.words} (log: {self.log})") from None

    @property
    def words(self) -> str:
        """The engine's last words."""
        lines = [line for line in self.log.read_text().splitlines() if line.strip()]
        return "\n".join(lines[-LAST_LINES:])


class Stage:
    """One stack's state, and the clouds and cluster it believes in."""

    def __init__(
        self, folder: Path, name: str, project: Path, context: str | None, *, crashes: bool = False
    ) -> None:
        """``crashes``: the engine may be killed, so it saves the state at each step, not once.

        Saving is most of what an engine does whose clouds answer at once.
        """
        self.folder, self.name, self.project = folder, name, project
        self._crashes = crashes
        self.world = folder / "cloud"
        self.world.mkdir(parents=True, exist_ok=True)
        self.plane = ControlPlane(folder / "cluster", context=context or "rehearsal")
        self._count = count(1)
        self._env: Mapping[str, str] = {}

    @contextmanager
    def open(self) -> Generator[None]:
        """While the control plane runs."""
        toolchain.ensure_all(TOOLS)
        with self.plane, self.on(self.plane):
            yield

    @contextmanager
    def on(self, plane: ControlPlane) -> Generator[None]:
        """On a control plane that runs already, and may be another than a rehearsal's own."""
        self.plane = plane
        programs = toolchain.ensure_all(TOOLS)
        with Operators(plane.api):
            self._env = self._environment(programs)
            stack.select(self._stack(self.project))
            yield

    def run(
        self, command: Sequence[str], config: Mapping[str, Any], project: Path | None = None
    ) -> Played:
        """Ask the engine for something with this config; what it says goes to a log.

        Previews may be asked for side by side.
        """
        log = self._next_log(command[0])
        # A folder for each: what runs beside this has another config.
        file = self._write(config, self.folder / "asked" / log.stem)
        with log.open("w") as errors:
            engine = self._engine(command, file, project, errors)
            try:
                printed, _ = engine.communicate()
            except BaseException:
                # Ctrl-C: the engine ends what it has begun, then this ends too.
                engine.send_signal(signal.SIGINT)
                engine.wait()
                raise
        if "--json" not in command:
            with log.open("a") as out:
                out.write(printed)
        return Played(engine.returncode, printed, log, file)

    def start(
        self,
        command: Sequence[str],
        config: Mapping[str, Any],
        project: Path | None = None,
        errors: TextIO | int = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """The engine at work; for those who want to interrupt it."""
        return self._engine(command, self._write(config, self.folder), project, errors)

    def _write(self, config: Mapping[str, Any], folder: Path) -> Path:
        """A stack file, and the machines that it names."""
        file = folder / f"Pulumi.{self.name}.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump({"config": dict(config)}, sort_keys=False))
        machines.stand(self.plane.api, config)
        return file

    def _engine(
        self, command: Sequence[str], file: Path, project: Path | None, errors: TextIO | int
    ) -> subprocess.Popen[str]:
        stack.drop_dead_locks(self._stack(self.project))
        if command[0] in stack.CHANGING:
            stack.mend(self._stack(self.project), file)
        words = ["pulumi", *command, "--stack", self.name, "--config-file", str(file)]
        return subprocess.Popen(
            [*words, "--non-interactive", "--color=never"],
            cwd=project or self.project,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def _next_log(self, name: str) -> Path:
        log = self.folder / "logs" / f"{next(self._count):02}-{name}.log"
        log.parent.mkdir(exist_ok=True)
        return log

    def outputs(self) -> dict[str, Any]:
        """What the stack exported, secrets hidden."""
        return stack.outputs(self._stack(self.project))

    def state(self) -> list[dict[str, Any]]:
        """Every resource in the state, secrets encrypted."""
        command = ["pulumi", "stack", "export", "--stack", self.name]
        done = subprocess.run(
            command, cwd=self.project, env=self._env, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)["deployment"].get("resources", [])

    @property
    def env(self) -> Mapping[str, str]:
        """What the engine runs with."""
        return self._env

    def _stack(self, project: Path) -> Stack:
        return Stack(project=project, state=self.folder, env=self._env, name=self.name)

    def _environment(self, programs: Mapping[str, Path]) -> Mapping[str, str]:
        base = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        base["SPILLWAY_CLOUD"] = str(self.world)
        # Half of a rig's: here all objects come at once, and one API server has them to take in.
        base["PULUMI_PARALLEL"] = "16"
        if not self._crashes:
            base["PULUMI_SKIP_CHECKPOINTS"] = "true"
        tools = [toolchain.engine(dict(programs)), programs["kubectl"].parent]
        env = stack.environment(
            self.folder, tools=tools, kubeconfig=self.plane.kubeconfig, base=base
        )
        plugins = plugin_home.for_rehearsals(programs["pulumi-resource-kubernetes"])
        plugin_home.link(Path(env["PULUMI_HOME"]), plugins)
        return env

    def keep_logs(self, target: Path) -> None:
        """Copy what was logged to where a person finds it."""
        shutil.copytree(self.folder / "logs", target, dirs_exist_ok=True)
