"""A stack on its cluster: what ``make up``, ``preview``, ``down`` and ``destroy`` do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rig import cluster, images, paths, stack
from rig.errors import RigError
from rig.steps import console


@dataclass(frozen=True)
class Platform:
    """One stack of this checkout, and the cluster it runs on."""

    name: str

    @property
    def config(self) -> Path:
        """The stack's file."""
        return paths.ROOT / f"Pulumi.{self.name}.yaml"

    @property
    def settings(self) -> dict[str, Any]:
        """Its configuration as written; checked by the program, not here."""
        if not self.config.exists():
            known = sorted(f.name.split(".")[1] for f in paths.ROOT.glob("Pulumi.*.yaml"))
            raise RigError(
                f"STACK={self.name}: no {self.config.name}; there are {', '.join(known)}"
            )
        try:
            document: Any = yaml.safe_load(self.config.read_text())
        except yaml.YAMLError as error:
            raise RigError(f"{self.config.name}: {str(error).splitlines()[-1].strip()}") from error
        settings: dict[str, Any] = (document or {}).get("config") or {}
        return settings

    @property
    def own_cluster(self) -> bool:
        """Whether the user named a cluster; else the rig is it."""
        cluster = self.settings.get("spillway:cluster")
        named = isinstance(cluster, dict) and bool(cluster.get("context"))
        return named or "spillway:kubeconfig" in self.settings

    def up(self) -> None:
        """Cluster, images, then the engine's ``up``; at the end what runs where."""
        programs = cluster.setup()
        if not self.own_cluster:
            node = cluster.Rig()
            node.start()
            node.load(cluster.build_images(images.platform_images(), programs).values())
        pulumi = self._stack(programs)
        console.print(f"→ pulumi up --stack {self.name}")
        stack.up(pulumi)
        self._summary(stack.outputs(pulumi))

    def preview(self, extra: list[str]) -> None:
        """What an ``up`` would change. Needs the cluster, for the engine compares with it."""
        programs = cluster.setup()
        if not self.own_cluster and not cluster.Rig().running:
            cluster.Rig().start()
        stack.up(self._stack(programs), preview_only=True, extra=extra)

    def destroy(self) -> None:
        """Delete all that the stack made, data included."""
        programs = cluster.setup()
        if not self.own_cluster and not cluster.Rig().running:
            cluster.Rig().start()
        stack.destroy(self._stack(programs))

    def environment(self) -> dict[str, str]:
        """Variables with which ``pulumi`` and ``kubectl`` work by hand."""
        programs = cluster.setup()
        kubeconfig = None if self.own_cluster else cluster.Rig().layout.kubeconfig
        return stack.environment(
            paths.state_dir(),
            tools=[*dict.fromkeys(p.parent for p in programs.values()), *_stand_ins()],
            kubeconfig=kubeconfig,
        )

    def _stack(self, programs: dict[str, Path]) -> stack.Stack:
        del programs
        return stack.Stack(
            project=paths.ROOT,
            state=paths.state_dir(),
            env=self.environment(),
            name=self.name,
        )

    def _summary(self, outputs: dict[str, Any]) -> None:
        console.print(outputs)


def _stand_ins() -> list[Path]:
    return [*stack.STAND_INS.values()]
