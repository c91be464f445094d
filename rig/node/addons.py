"""What turns a control plane into a usable cluster: DNS, volumes, metrics, policy rights."""

import subprocess
from pathlib import Path
from string import Template

from rig.errors import RigError
from rig.node.layout import Layout

MANIFESTS = Path(__file__).resolve().parent.parent / "manifests"
DEPLOYMENTS = ("coredns", "local-path-provisioner", "metrics-server")


class Cluster:
    """The cluster behind a kubeconfig, or behind a context of the user's own, by kubectl."""

    def __init__(
        self, kubectl: Path, kubeconfig: Path | None = None, context: str | None = None
    ) -> None:
        self._command = [str(kubectl)]
        if kubeconfig:
            self._command.append(f"--kubeconfig={kubeconfig}")
        if context:
            self._command.append(f"--context={context}")

    def run(self, *words: str, given: str | None = None, timeout: float = 120) -> str:
        """Run kubectl; an error is its last line."""
        try:
            done = subprocess.run(
                [*self._command, *words],
                input=given,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RigError(f"kubectl {words[0]}: no answer in {timeout:.0f} s") from error
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise RigError(f"kubectl {words[0]}: {lines[-1] if lines else 'failed'}")
        return done.stdout

    def ready(self) -> bool | None:
        """True once the API server answers its own readiness check; None before."""
        try:
            return True if self.run("get", "--raw", "/readyz", timeout=5) == "ok" else None
        except RigError:
            return None

    def apply(self, text: str) -> None:
        """Server-side apply under the rig's own field manager."""
        manager = "--field-manager=spillway-rig"
        self.run("apply", "--server-side", "--force-conflicts", manager, "-f", "-", given=text)


def manifests(layout: Layout, images: dict[str, str]) -> str:
    """All add-ons as YAML; ``images`` maps an add-on to its image."""
    values = {name.replace("-", "_"): reference for name, reference in images.items()}
    values |= {"dns": layout.dns, "volumes": str(layout.volumes)}
    texts = (file.read_text() for file in sorted(MANIFESTS.glob("*.yaml")))
    return "\n---\n".join(Template(text).substitute(values) for text in texts)


def wait_ready(cluster: Cluster, seconds: int = 120) -> None:
    """Return when the node and every add-on serve."""
    limit = f"--timeout={seconds}s"
    cluster.run("wait", "--for=condition=Ready", "node", "--all", limit, timeout=seconds + 10)
    for name in DEPLOYMENTS:
        where = ("-n", "kube-system")
        cluster.run("rollout", "status", f"deployment/{name}", *where, limit, timeout=seconds + 10)
