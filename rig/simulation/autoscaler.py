"""Cluster Autoscaler as a process of the host, in the place of the pod that the stack asks for.

The stack's Deployment stays the source of its flags, and its account of what it may do. Only the
cloud is another, as its provider here is kwok: what that does in a cloud's stead, making nodes and
deleting them, it may do besides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rig.control_plane import ControlPlane
from rig.simulation import accounts
from rig.simulation.groups import NAMESPACE

LABEL = "app.kubernetes.io/name%3Dautoscaler"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_ANOTHER = ("--cloud-provider=", "--nodes=", "--cloud-config=")
"""Starts of flags that say which cloud it is."""
_CLOUD: dict[str, Any] = {
    "metadata": {"name": "simulated-cloud"},
    "rules": [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["create", "delete"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
    ],
}


@dataclass(frozen=True)
class Autoscaler:
    """Between the stack's objects and the process."""

    plane: ControlPlane

    def command(self, program: str, port: int, more: Sequence[str], factor: float) -> list[str]:
        """Its command line.

        ``more`` are flags that count more than the stack's; ``factor`` is how much faster than the
        world the times pass for which there are no flags.
        """
        deployment = self.plane.api.only(f"/apis/apps/v1/deployments?labelSelector={LABEL}")
        spec = deployment["spec"]["template"]["spec"]
        namespace = deployment["metadata"]["namespace"]
        who = accounts.user(namespace, spec["serviceAccountName"])
        self._play_cloud(who)
        kubeconfig = accounts.kubeconfig(self.plane, "autoscaler", who)
        told = [a for a in spec["containers"][0]["args"] if not a.startswith(_ANOTHER)]
        return [
            # The provider has no flags of its own.
            *("env", f"KUBECONFIG={kubeconfig}", f"POD_NAMESPACE={NAMESPACE}"),
            *("KWOK_PROVIDER_MODE=local", f"SPILLWAY_COMPRESSION={factor:g}"),
            *(program, "--cloud-provider=kwok", f"--kubeconfig={kubeconfig}"),
            f"--address=127.0.0.1:{port}",
            *told,
            *more,
        ]

    def _play_cloud(self, who: str) -> None:
        api, name = self.plane.api, _CLOUD["metadata"]["name"]
        if api.get(f"{_RBAC}/clusterroles/{name}"):
            return
        api.create(f"{_RBAC}/clusterroles", _CLOUD)
        binding = {
            "metadata": {"name": name},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": name,
            },
            "subjects": [{"kind": "User", "name": who, "apiGroup": "rbac.authorization.k8s.io"}],
        }
        api.create(f"{_RBAC}/clusterrolebindings", binding)
