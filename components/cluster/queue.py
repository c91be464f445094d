"""The queue for GPUs: whose turn it is, and on whose machines.

Work asks for GPUs in its tenant's queue and starts when Kueue admits it to a pool: the company's
own first, then those of a cloud, within the tenant's cap. Only GPUs are counted; cores and memory
are the business of the namespace's quota.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import charts, network
from components.cluster.nodes import BURST_TAINT, GPU, NodePool
from components.labels import TENANT_LABEL, labels
from components.namespace import FencedNamespace, FencedNamespaceArgs

APP = "queue"
NAMESPACE = "kueue-system"
RELEASE = "kueue"
GROUP = "kueue.x-k8s.io"
API = f"{GROUP}/v1beta2"
STORED = "v1beta2"
LOCAL_QUEUE = "default"
"""Name of each tenant's queue, in the tenant's namespace."""
COHORT = "gpus"
QUEUE_LABEL = f"{GROUP}/queue-name"
PRIORITY_LABEL = f"{GROUP}/priority-class"
GATE = f"{GROUP}/admission"
"""What holds a pod back until it is admitted."""
PARENT_ANNOTATION = f"{GROUP}/pod-suspending-parent"
"""Holds back a pod that something owns: else the queue may believe that its owner was admitted."""
PRIORITIES: Mapping[str, int] = {"serving": 1000, "notebook": 1000, "job": 100}
"""What is lower gives way to what is higher. Notebooks never give way, for what is in their memory
would be lost; so nothing is higher."""
WEBHOOK_PORT = 9443
READY_SECONDS = 20 * 60
"""For a pod to be ready after it was admitted: longer than a cloud's machine takes to start."""
AGAIN_SECONDS = 5 * 60
"""For a pod to be ready again after its machine was lost."""
NOT_COUNTED = ("cpu", "memory", "ephemeral-storage", "hugepages-", "pods")
MANAGER = {"control-plane": "controller-manager", "app.kubernetes.io/name": "kueue"}
Placement = Literal["strict", "elastic"]


@dataclass(frozen=True, kw_only=True)
class QueuedPool:
    """A pool that work is admitted to."""

    nodes: NodePool
    machines: int
    """How many there are, or can be."""

    @property
    def gpus(self) -> int:
        """Of all its machines, as they advertise them."""
        return self.machines * self.nodes.advertised


@dataclass(frozen=True, kw_only=True)
class QueueArgs:
    """What there is, and who may hold how much of it."""

    chart: Path
    definitions: Sequence[Path]
    """Kueue's CustomResourceDefinitions, one file each."""
    image: str
    """Of Kueue's manager, with its tag."""
    pull_policy: str
    api_server: network.Egress
    pools: Sequence[QueuedPool]
    """In the order in which they fill up."""
    tenants: Mapping[str, Mapping[str, int]]
    """By namespace and pool, GPUs: its own of a company's pool, its most of a cloud's."""
    ready: Sequence[pulumi.Resource] = field(default_factory=list[pulumi.Resource])
    """The tenants' namespaces."""
    placement: Placement = "strict"
    """Whether work goes only where it was admitted, or, where no single machine has room, also to
    a cloud beyond its tenant's cap."""
    nodes: str | None = None
    """CIDR of the machines that the API server calls webhooks from."""
    replicas: int = 1
    namespace: str = NAMESPACE
    protect: bool = True

    def __post_init__(self) -> None:
        names = [pool.nodes.name for pool in self.pools]
        for tenant, shares in self.tenants.items():
            if unknown := set(shares) - set(names):
                raise ValueError(f"{tenant} has a share of {', '.join(sorted(unknown))}: no pool")
        tiers = [pool.nodes.tier for pool in self.pools]
        if tiers != sorted(tiers, key=["onprem", "burst"].index):
            raise ValueError("pools of the company's own come before those of a cloud")


class Queue(pulumi.ComponentResource):
    """Kueue, the pools as its flavors, and a queue for each tenant."""

    def __init__(
        self, name: str, args: QueueArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:cluster:Queue", name, None, opts)
        self._name, self._args = name, args
        self._manages = self._manager()
        flavors = [self._flavor(pool) for pool in args.pools]
        for priority, value in PRIORITIES.items():
            self._priority(priority, value)
        cohort = self._object("Cohort", {"name": COHORT}, self._shared(), *flavors)
        for tenant, shares in args.tenants.items():
            self._tenant(tenant, shares, [cohort, *flavors])
        self.register_outputs({})

    def _manager(self) -> Sequence[pulumi.Resource]:
        args, child = self._args, pulumi.ResourceOptions(parent=self)
        fenced = FencedNamespace(
            self._name, FencedNamespaceArgs(namespace=args.namespace, protect=args.protect), child
        )
        fence = network.policy(
            f"{self._name}-traffic",
            namespace=fenced.namespace,
            marks=labels(APP, self._name, "fence"),
            pods=MANAGER,
            incoming=[charts.from_api_server(args.nodes, WEBHOOK_PORT)],
            outgoing=[args.api_server],
            opts=child,
        )
        definitions = [
            definition(f"{self._name}-{file.stem.partition('_')[2]}", file, args.namespace, child)
            for file in args.definitions
        ]
        chart = charts.render(
            f"{self._name}-kueue",
            release=RELEASE,
            folder=args.chart,
            namespace=fenced.namespace,
            values=self._values(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[fence, *definitions]),
        )
        return [chart, *definitions]

    def _values(self) -> dict[str, Any]:
        args = self._args
        repository, _, tag = args.image.rpartition(":")
        return {
            "enableVisibilityAuthReaderRoleBinding": False,
            "controllerManager": {
                "replicas": args.replicas,
                "manager": {
                    "image": {
                        "repository": repository,
                        "tag": tag,
                        "pullPolicy": args.pull_policy,
                    },
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "128Mi"},
                        "limits": {"cpu": "2", "memory": "1Gi"},
                    },
                },
            },
            "managerConfig": {"controllerManagerConfigYaml": yaml.safe_dump(configuration())},
        }

    def _flavor(self, pool: QueuedPool) -> pulumi.Resource:
        spec: dict[str, Any] = {"tolerations": self._tolerations(pool)}
        if self._args.placement == "strict":
            spec["nodeLabels"] = dict(pool.nodes.labels)
        return self._object("ResourceFlavor", {"name": pool.nodes.name}, spec)

    def _tolerations(self, pool: QueuedPool) -> list[dict[str, Any]]:
        keys = [GPU]
        if pool.nodes.tier == "burst" or self._args.placement == "elastic":
            keys.append(BURST_TAINT)
        return [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in keys]

    def _priority(self, name: str, value: int) -> None:
        marks = labels(APP, self._name, "priority")
        # By its type: the SDK's class for objects of any kind knows none that has no spec.
        pulumi.CustomResource(
            f"kubernetes:{API}:WorkloadPriorityClass",
            f"{self._name}-priority-{name}",
            {
                "apiVersion": API,
                "kind": "WorkloadPriorityClass",
                "metadata": {"name": name, "labels": marks},
                "value": value,
            },
            pulumi.ResourceOptions(
                parent=self, depends_on=self._manages, delete_before_replace=True
            ),
        )

    def _shared(self) -> dict[str, Any]:
        """What is nobody's: of the company's pools what is left, of a cloud's everything."""
        return _quotas(
            {pool.nodes.name: {"nominalQuota": self._left(pool)} for pool in self._args.pools}
        )

    def _left(self, pool: QueuedPool) -> int:
        if pool.nodes.tier == "burst":
            return pool.gpus
        given = sum(shares.get(pool.nodes.name, 0) for shares in self._args.tenants.values())
        return max(0, pool.gpus - given)

    def _tenant(
        self, tenant: str, shares: Mapping[str, int], after: Sequence[pulumi.Resource]
    ) -> None:
        spec = self._cluster_queue(tenant, shares)
        queue = self._object("ClusterQueue", {"name": tenant}, spec, *after)
        where = {"namespace": tenant, "name": LOCAL_QUEUE}
        self._object("LocalQueue", where, {"clusterQueue": tenant}, queue, *self._args.ready)

    def _cluster_queue(self, tenant: str, shares: Mapping[str, int]) -> dict[str, Any]:
        return {
            "cohortName": COHORT,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant}},
            # Borrow what lies idle on-prem before anything is paid for; pay before anybody's work
            # is interrupted.
            "flavorFungibility": {
                "whenCanBorrow": "MayStopSearch",
                "whenCanPreempt": "TryNextFlavor",
            },
            "preemption": {
                "reclaimWithinCohort": "LowerPriority",
                "withinClusterQueue": "LowerPriority",
            },
            **_quotas(
                {
                    pool.nodes.name: _share(pool, shares.get(pool.nodes.name, 0))
                    for pool in self._args.pools
                }
            ),
        }

    def _object(
        self,
        kind: str,
        where: Mapping[str, str],
        spec: dict[str, Any],
        *after: pulumi.Resource,
    ) -> pulumi.Resource:
        place = "-".join(where.values())
        return k8s.apiextensions.CustomResource(
            f"{self._name}-{kind.lower()}-{place}",
            api_version=API,
            kind=kind,
            metadata={"labels": labels(APP, self._name, kind.lower()), **where},
            spec=spec,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*self._manages, *after], delete_before_replace=True
            ),
        )


def _share(pool: QueuedPool, gpus: int) -> dict[str, Any]:
    """Of the company's: so many are its own, and idle ones of others may be borrowed. Of a cloud's:
    none is its own, and so many may be borrowed from all that there can be; that is its cap."""
    if pool.nodes.tier == "burst":
        return {"nominalQuota": 0, "borrowingLimit": gpus}
    return {"nominalQuota": gpus}


def _quotas(by_pool: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "resourceGroups": [
            {
                "coveredResources": [GPU],
                "flavors": [
                    {"name": pool, "resources": [{"name": GPU, **_quantities(quota)}]}
                    for pool, quota in by_pool.items()
                ],
            }
        ]
    }


def _quantities(quota: Mapping[str, Any]) -> dict[str, str]:
    """As the API server keeps quantities: it would find a number changed."""
    return {key: str(value) for key, value in quota.items()}


def configuration() -> dict[str, Any]:
    """Of Kueue's manager."""
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": ":8081"},
        "metrics": {"bindAddress": ":8443"},
        "webhook": {"port": WEBHOOK_PORT},
        "leaderElection": {"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
        "clientConnection": {"qps": 300, "burst": 500},
        "controller": {
            "groupKindConcurrency": {
                "Job.batch": 5,
                "Pod": 5,
                f"Workload.{GROUP}": 10,
                f"LocalQueue.{GROUP}": 5,
                f"ClusterQueue.{GROUP}": 5,
                f"ResourceFlavor.{GROUP}": 1,
            }
        },
        "managedJobsNamespaceSelector": {"matchLabels": {TENANT_LABEL: "true"}},
        "waitForPodsReady": {
            "timeout": f"{READY_SECONDS}s",
            "recoveryTimeout": f"{AGAIN_SECONDS}s",
            "blockAdmission": False,
            "requeuingStrategy": {
                "timestamp": "Eviction",
                "backoffBaseSeconds": 10,
                "backoffMaxSeconds": 300,
            },
        },
        "integrations": {"frameworks": ["batch/job", "pod", "deployment", "statefulset"]},
        "resources": {"excludeResourcePrefixes": list(NOT_COUNTED)},
    }


def definition(
    name: str, file: Path, namespace: str, opts: pulumi.ResourceOptions
) -> k8s.apiextensions.CustomResource:
    """One of Kueue's kinds, in the one version that is stored."""
    content: dict[str, Any] = yaml.load(file.read_text(), Loader=_LOADER)  # noqa: S506 - safe
    spec = {**content["spec"]}
    spec["versions"] = [v for v in spec["versions"] if v["name"] == STORED]
    # The manager looks for this in each of them when it hands out its certificate.
    spec["conversion"] = {
        "strategy": "Webhook",
        "webhook": {
            "clientConfig": {
                "service": {
                    "name": f"{RELEASE}-webhook-service",
                    "namespace": namespace,
                    "path": "/convert",
                    "port": 443,
                }
            },
            "conversionReviewVersions": ["v1"],
        },
    }
    return charts.definition(name, content, spec, labels(APP, name, "definition"), opts)


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
