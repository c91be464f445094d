"""The device plugin, which tells the cluster how many GPUs a node has, and hands them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components.cluster.nodes import GPU, POOL_LABEL, NodePool
from components.labels import AT_ONCE, DNS_LABEL, labels, metadata, selector
from components.namespace import FencedNamespace, FencedNamespaceArgs
from components.pods import PullPolicy

APP = "device-plugin"
NAMESPACE = "gpu-devices"
SOCKETS = "/var/lib/kubelet/device-plugins"
"""Where a kubelet meets its plugins: in k3s too."""
CONFIG_FOLDER = "/etc/spillway"
CONFIG_FILE = "config.yaml"
PRIORITY = "system-node-critical"


@dataclass(frozen=True, kw_only=True)
class DevicePluginArgs:
    """Whose GPUs."""

    image: str
    """NVIDIA's k8s-device-plugin."""
    pull_policy: PullPolicy
    pools: Sequence[NodePool]
    namespace: str = NAMESPACE
    protect: bool = True


class DevicePlugin(pulumi.ComponentResource):
    """NVIDIA's plugin on the nodes of each pool, in a namespace of its own.

    It opens a folder of the machine, which no other namespace allows.
    """

    def __init__(
        self, name: str, args: DevicePluginArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:cluster:DevicePlugin", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        fenced = FencedNamespace(
            name,
            FencedNamespaceArgs(namespace=args.namespace, level="privileged", protect=args.protect),
            self._child,
        )
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=metadata(fenced.namespace, labels(APP, name, "plugin")),
            automount_service_account_token=False,
            opts=self._child,
        )
        for pool in args.pools:
            self._plugin(pool, fenced.namespace, account.metadata.name)
        self.register_outputs({})

    def _plugin(
        self, pool: NodePool, namespace: pulumi.Output[str], account: pulumi.Output[str]
    ) -> None:
        name = f"{self._name}-{pool.name}"
        marks = labels(APP, self._name, pool.name)
        config = k8s.core.v1.ConfigMap(
            f"{name}-config",
            # Autonamed: another content is another pod, which reads it.
            metadata=metadata(namespace, marks),
            data={CONFIG_FILE: yaml.safe_dump(configuration(pool))},
            immutable=True,
            opts=self._child,
        )
        k8s.apps.v1.DaemonSet(
            name,
            # A machine that is slow to come must not hold up the stack.
            metadata={**metadata(namespace, marks), "annotations": AT_ONCE},
            spec={
                "selector": {"match_labels": selector(APP, self._name, pool.name)},
                "update_strategy": {"rolling_update": {"max_unavailable": "100%"}},
                "template": {
                    "metadata": {"labels": {**marks, DNS_LABEL: "denied"}},
                    "spec": {
                        "node_selector": {POOL_LABEL: pool.name},
                        "tolerations": [
                            {"key": taint.key, "operator": "Exists", "effect": taint.effect}
                            for taint in pool.taints
                        ],
                        "priority_class_name": PRIORITY,
                        "service_account_name": account,
                        "automount_service_account_token": False,
                        "enable_service_links": False,
                        "containers": [self._container(pool)],
                        "volumes": [
                            {"name": "sockets", "host_path": {"path": SOCKETS}},
                            {"name": "config", "config_map": {"name": config.metadata.name}},
                        ],
                    },
                },
            },
            opts=self._child,
        )

    def _container(self, pool: NodePool) -> k8s.core.v1.ContainerArgsDict:
        environment = {
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "utility",
            **({"NVIDIA_MIG_MONITOR_DEVICES": "all"} if pool.mig else {}),
        }
        return {
            "name": "plugin",
            "image": self._args.image,
            "image_pull_policy": self._args.pull_policy,
            "args": [f"--config-file={CONFIG_FOLDER}/{CONFIG_FILE}"],
            "env": [{"name": key, "value": value} for key, value in environment.items()],
            "security_context": {
                "allow_privilege_escalation": bool(pool.mig),
                "read_only_root_filesystem": True,
                # The one is to read which parts a GPU is cut into.
                "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"] if pool.mig else []},
            },
            "resources": {
                "requests": {"cpu": "10m", "memory": "64Mi"},
                "limits": {"memory": "256Mi"},
            },
            "volume_mounts": [
                {"name": "sockets", "mount_path": SOCKETS},
                {"name": "config", "mount_path": CONFIG_FOLDER, "read_only": True},
            ],
        }


def configuration(pool: NodePool) -> Mapping[str, Any]:
    """What the plugin reads: https://github.com/NVIDIA/k8s-device-plugin#configuration-option-details"""
    found: dict[str, Any] = {
        "version": "v1",
        # "single": parts are handed out under the name of a whole GPU.
        "flags": {"migStrategy": "single" if pool.mig else "none", "failOnInitError": True},
    }
    if pool.shares > 1 and not pool.mig:
        shared = {"name": GPU, "replicas": pool.shares}
        found["sharing"] = {"timeSlicing": {"resources": [shared]}}
    return found
