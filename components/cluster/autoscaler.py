"""Cluster Autoscaler, which asks the chosen cloud for machines and gives them back.

It runs on-prem, as somebody whom the cloud believes without a key, and scales the groups of burst
pools alone. When work waits for a machine of a pool it makes one; a machine that nobody needs any
more goes after ``UNNEEDED_SECONDS``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import network
from components.labels import labels, metadata, selector
from components.pods import PullPolicy, Scratch, container, http_probe, pod
from components.rights import Rule, bind_everywhere, cluster_role, give
from components.shapes import Scaling

APP = "autoscaler"
PROGRAM = "./cluster-autoscaler"
UID = 65532
PORT = 8085
PRIORITY = "system-cluster-critical"
"""Without it nobody's work gets a machine."""
EXPANDER = "cluster-autoscaler-priority-expander"
"""The ConfigMap in which it looks for what to prefer."""
CONFIG_FOLDER = "/etc/spillway"
CONFIG_FILE = "cloud.conf"
UNNEEDED_SECONDS = 2 * 60
"""Nobody needs a machine for so long, and it goes: half of what the next one takes to come."""
PROVISION_SECONDS = 15 * 60
"""A machine that is no node by then is given back, and another is tried."""
OLDEST_ON_GCE = (1, 37)
"""Older ones scale nothing up once a node has an id that is not Google's, as all on-prem have:
https://github.com/kubernetes/autoscaler/pull/10274"""
_VERSION = re.compile(r":v(\d+)\.(\d+)\.\d+$")


@dataclass(frozen=True, kw_only=True)
class ScaledPool:
    """A burst pool, and what it costs."""

    groups: pulumi.Input[Mapping[str, int]]
    """As ``shapes.BurstPool`` has them."""
    price: float
    """Dollars an hour, of one GPU: what is cheaper is tried first."""


@dataclass(frozen=True, kw_only=True)
class AutoscalerArgs:
    """What it may scale, and where."""

    namespace: pulumi.Input[str]
    account: str
    """Of the service account: the cloud's trust goes by its name."""
    image: str
    pull_policy: PullPolicy
    scaling: Scaling
    pools: Mapping[str, ScaledPool]
    api_server: network.Egress

    def __post_init__(self) -> None:
        found = _VERSION.search(self.image)
        if self.scaling.provider == "gce" and found:
            version = (int(found[1]), int(found[2]))
            if version < OLDEST_ON_GCE:
                oldest = ".".join(map(str, OLDEST_ON_GCE))
                raise ValueError(
                    f"{self.image}: on Google Cloud the autoscaler must be {oldest} or newer, as "
                    "older ones stop at nodes that are not Google's"
                )


def behaviour() -> Mapping[str, str]:
    """Its flags that are the same for every cloud, by name."""
    return {
        "expander": "priority,least-waste",
        "scan-interval": "10s",
        "scale-down-unneeded-time": f"{UNNEEDED_SECONDS}s",
        # For all machines: each new one would keep every idle one of a busy day.
        "scale-down-delay-after-add": "0s",
        "scale-down-unready-time": "5m",
        # Of a machine's GPUs, or of its cores where it has none: one with work on it stays, as
        # what runs there cannot be moved.
        "scale-down-utilization-threshold": "0.01",
        "scale-down-gpu-utilization-threshold": "0.01",
        "max-node-provision-time": f"{PROVISION_SECONDS}s",
        # By default a pod with a folder of its own keeps its machine for ever.
        "skip-nodes-with-local-storage": "false",
        "skip-nodes-with-system-pods": "false",
        "balance-similar-node-groups": "false",
    }


class Autoscaler(pulumi.ComponentResource):
    """One pod that makes machines of burst pools and ends them."""

    def __init__(
        self, name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:cluster:Autoscaler", name, None, opts)
        self._name, self._args = name, args
        self._marks = labels(APP, name, "autoscaler")
        self._own = selector(APP, name, "autoscaler")
        self._child = pulumi.ResourceOptions(parent=self)
        settled = [*self._rights(self._account()), self._expander(), self._fence()]
        self._deployment(settled)
        self.register_outputs({})

    def _account(self) -> pulumi.Output[str]:
        args = self._args
        account = k8s.core.v1.ServiceAccount(
            f"{self._name}-account",
            metadata=metadata(args.namespace, self._marks, args.account),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return account.metadata.name

    def _rights(self, account: pulumi.Output[str]) -> Sequence[pulumi.Resource]:
        namespace, marks = self._args.namespace, self._marks
        role = cluster_role(self._name, EVERYWHERE, marks, self)
        return [
            bind_everywhere(self._name, role.metadata.name, account, namespace, marks, self),
            give(f"{self._name}-own", OWN, account, namespace, marks, self),
        ]

    def _expander(self) -> k8s.core.v1.ConfigMap:
        """Cheaper pools first. What no line names is never scaled, so there is one for each."""
        pools = sorted(self._args.pools.values(), key=lambda pool: -pool.price)
        lines = pulumi.Output.all(*[pool.groups for pool in pools]).apply(priorities)
        return k8s.core.v1.ConfigMap(
            f"{self._name}-priorities",
            metadata=metadata(self._args.namespace, self._marks, EXPANDER),
            data={"priorities": lines},
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _fence(self) -> pulumi.Resource:
        args = self._args
        return network.policy(
            f"{self._name}-traffic",
            namespace=args.namespace,
            marks=self._marks,
            pods=self._own,
            outgoing=network.distinct([args.api_server, *args.scaling.login.egress]),
            opts=self._child,
        )

    def _config(self) -> k8s.core.v1.ConfigMap | None:
        if not self._args.scaling.config:
            return None
        return k8s.core.v1.ConfigMap(
            f"{self._name}-cloud",
            metadata=metadata(self._args.namespace, self._marks),
            data={CONFIG_FILE: self._args.scaling.config},
            opts=self._child,
        )

    def _deployment(self, settled: Sequence[pulumi.Resource]) -> None:
        args, config = self._args, self._config()
        volumes, mounts = [*args.scaling.login.volumes], [*args.scaling.login.mounts]
        if config:
            volumes.append({"name": "cloud", "config_map": {"name": config.metadata.name}})
            mounts.append({"name": "cloud", "mount_path": CONFIG_FOLDER, "read_only": True})
        spec: k8s.core.v1.PodSpecArgsDict = {
            "priority_class_name": PRIORITY,
            "containers": [
                container(
                    self._container(configured=config is not None),
                    requests={"cpu": "50m", "memory": "256Mi"},
                    memory_limit="1Gi",
                    scratch=SCRATCH,
                    mounts=mounts,
                )
            ],
        }
        k8s.apps.v1.Deployment(
            self._name,
            metadata=metadata(args.namespace, self._marks, self._name),
            spec={
                "replicas": 1,
                "selector": {"match_labels": self._own},
                # Two would wait for each other's lease.
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {"labels": self._marks},
                    "spec": pod(
                        spec,
                        uid=UID,
                        account=args.account,
                        scratch=SCRATCH,
                        volumes=volumes,
                        token=True,
                    ),
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self, delete_before_replace=True, depends_on=settled
            ),
        )

    def _container(self, *, configured: bool) -> k8s.core.v1.ContainerArgsDict:
        args = self._args
        environment = {**args.scaling.login.environment, **args.scaling.environment}
        return {
            "name": "autoscaler",
            "image": args.image,
            "image_pull_policy": args.pull_policy,
            "command": [PROGRAM],
            "args": pulumi.Output.all(
                args.namespace, *[pool.groups for pool in args.pools.values()]
            ).apply(lambda known: self._flags(known[0], known[1:], configured=configured)),
            "env": [{"name": key, "value": value} for key, value in environment.items()],
            "ports": [{"name": "http", "container_port": PORT}],
            "liveness_probe": http_probe("/health-check", every=20, failures=6),
        }

    def _flags(
        self, namespace: str, groups: Sequence[Mapping[str, int]], *, configured: bool
    ) -> list[str]:
        flags = {
            "cloud-provider": self._args.scaling.provider,
            "namespace": namespace,
            **behaviour(),
        }
        if configured:
            flags["cloud-config"] = f"{CONFIG_FOLDER}/{CONFIG_FILE}"
        return [
            *(f"--{name}={value}" for name, value in flags.items()),
            *(f"--nodes=0:{most}:{name}" for part in groups for name, most in part.items()),
        ]


SCRATCH = (Scratch(path="/tmp", size="64Mi"),)  # noqa: S108 - a volume of the pod's own


def priorities(dearest_first: Sequence[Mapping[str, int]]) -> str:
    """What the expander reads: by rank, patterns of names of groups; the highest rank wins."""
    lines: list[str] = []
    for rank, groups in enumerate(dearest_first, start=1):
        lines += [f"{rank}:", *(f"- ^{re.escape(name)}$" for name in groups)]
    return "\n".join([*lines, ""])


WATCH = ("get", "list", "watch")
EVERYWHERE = (
    Rule(groups=["", "events.k8s.io"], resources=["events"], verbs=["create", "patch"]),
    Rule(groups=[""], resources=["pods/eviction"], verbs=["create"]),
    Rule(groups=[""], resources=["pods/status"], verbs=["update"]),
    # It taints a machine before it ends it.
    Rule(groups=[""], resources=["nodes"], verbs=[*WATCH, "update", "patch"]),
    Rule(
        groups=[""],
        resources=[
            "namespaces",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "replicationcontrollers",
            "services",
        ],
        verbs=WATCH,
    ),
    Rule(groups=["batch"], resources=["cronjobs", "jobs"], verbs=WATCH),
    Rule(groups=["apps"], resources=["daemonsets", "replicasets", "statefulsets"], verbs=WATCH),
    Rule(groups=["policy"], resources=["poddisruptionbudgets"], verbs=WATCH),
    Rule(
        groups=["storage.k8s.io"],
        resources=[
            "csidrivers",
            "csinodes",
            "csistoragecapacities",
            "storageclasses",
            "volumeattachments",
        ],
        verbs=WATCH,
    ),
    Rule(
        groups=["resource.k8s.io"],
        resources=["deviceclasses", "resourceclaims", "resourceslices"],
        verbs=WATCH,
    ),
)
"""What it does in the whole cluster; after the list of its own chart, without what is not used."""
OWN = (
    Rule(groups=["coordination.k8s.io"], resources=["leases"], verbs=["create"]),
    Rule(
        groups=["coordination.k8s.io"],
        resources=["leases"],
        verbs=["get", "update"],
        names=["cluster-autoscaler"],
    ),
    Rule(groups=[""], resources=["configmaps"], verbs=["create", *WATCH]),
    Rule(
        groups=[""],
        resources=["configmaps"],
        verbs=["update", "patch", "delete"],
        names=["cluster-autoscaler-status"],
    ),
    Rule(groups=[""], resources=["events"], verbs=["create", "patch"]),
)
"""What it does in its own namespace: its lease, its state, and what it is to prefer."""
