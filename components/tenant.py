"""A team's own part of the cluster: its namespace, what it may hold, and whom it may talk to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import network, shapes
from components.labels import (
    CLIENT_LABEL,
    ROLE_LABEL,
    TENANT_LABEL,
    WORKSPACE_LABEL,
    labels,
    metadata,
)
from components.namespace import FencedNamespace, FencedNamespaceArgs
from components.rights import bind
from components.shapes import TENANT_ACCOUNTS

APP = "tenant"
JOB = "job"
NOTEBOOK, EXECUTOR, MODEL = "notebook", "spark-executor", "model"
"""Values of the role label; the last is also the account of models' pods."""
STORAGE = "storage"
"""Secret with the tenant's own keys of the object store, where there are keys."""
NOTEBOOK_PORT = 8888
MODEL_PORTS = (9000, 9500)
"""REST and gRPC."""
SPARK_PORTS = (7078, 7079)
"""Of the driver in a notebook: see images/notebook-spark/spillway_spark.py."""
PODS_PER_CORE = 10
"""More pods than anybody needs, fewer than would trouble the scheduler."""
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", network.LINK_LOCAL)


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Those of the platform whom a tenant's pods meet."""

    tracking: network.Peer
    tracking_port: int
    hub: network.Peer
    hub_port: int
    proxy: network.Peer
    spawner: shapes.Subject
    """Account of the hub, which starts servers here."""
    viewer: shapes.Subject
    """Account of what shows people their experiments, and asks as the tenant."""
    api_server: network.Egress
    roles: Mapping[str, pulumi.Input[str]]
    """Of ``TenantRoles``, by who has them."""
    door: network.Peer | None = None
    """Pods of the gateway, where models are served."""


@dataclass(frozen=True, kw_only=True)
class TenantArgs:
    """What a team may hold at a time, and the platform around it."""

    namespace: str
    cpu: int
    """Cores, as the sum of what pods request."""
    memory: str
    """Kubernetes quantity: the sum of requests, and that of limits."""
    gpus: int | None = 0
    """Most GPUs, where nothing else counts them."""
    platform: Platform
    internet: bool = True
    """Whether pods may call public addresses."""
    protect: bool = True
    """Keeps the namespace, with every home in it, from being deleted."""


class Tenant(pulumi.ComponentResource):
    """A namespace that is a stranger to every other."""

    namespace: pulumi.Output[str]

    def __init__(
        self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:Tenant", name, None, opts)
        self._name, self._args = name, args
        self._marks = labels(APP, name, "namespace")
        self._child = pulumi.ResourceOptions(parent=self)
        marks = (TENANT_LABEL, WORKSPACE_LABEL, CLIENT_LABEL, shapes.STORAGE_LABEL)
        fenced = FencedNamespace(
            name,
            FencedNamespaceArgs(
                namespace=args.namespace,
                marks=dict.fromkeys(marks, "true"),
                protect=args.protect,
            ),
            self._child,
        )
        self.namespace = fenced.namespace
        self._limit()
        self._people()
        self._open()
        self.register_outputs({"namespace": self.namespace})

    def keep(self, storage: shapes.Storage) -> None:
        """Give the tenant's pods its part of the object store."""
        self._policy("bucket", {}, outgoing=[*storage.egress, *storage.login.egress])
        if storage.credentials:
            k8s.core.v1.Secret(
                f"{self._name}-storage",
                # Fixed: Spark's executors are told its name by people's own programs.
                metadata=metadata(self.namespace, self._marks, STORAGE),
                string_data=pulumi.Output.secret(storage.credentials),
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            )

    def _limit(self) -> None:
        args = self._args
        k8s.core.v1.ResourceQuota(
            f"{self._name}-quota",
            metadata=metadata(self.namespace, self._marks),
            spec={
                "hard": {
                    "requests.cpu": str(args.cpu),
                    "requests.memory": args.memory,
                    "limits.memory": args.memory,
                    **({} if args.gpus is None else {"requests.nvidia.com/gpu": str(args.gpus)}),
                    "pods": str(max(5, args.cpu) * PODS_PER_CORE),
                    # Nothing leaves a tenant but through the platform's door.
                    "services.nodeports": "0",
                    "services.loadbalancers": "0",
                }
            },
            opts=self._child,
        )
        k8s.core.v1.LimitRange(
            f"{self._name}-limits",
            metadata=metadata(self.namespace, self._marks),
            spec={
                "limits": [
                    {
                        "type": "Container",
                        "default_request": {"cpu": "100m", "memory": "256Mi"},
                        "default": {"memory": "1Gi"},
                    }
                ]
            },
            opts=self._child,
        )

    def _people(self) -> None:
        """Accounts, and what each may do; the hub's and the viewer's rights end here too."""
        for account in TENANT_ACCOUNTS:
            k8s.core.v1.ServiceAccount(
                f"{self._name}-{account}",
                # Fixed: clouds trust it, and people's programs name it.
                metadata=metadata(self.namespace, self._marks, account),
                automount_service_account_token=False,
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            )
        platform, namespace = self._args.platform, self._args.namespace
        own = {who: shapes.Subject(namespace=namespace, account=who) for who in TENANT_ACCOUNTS}
        subjects = {**own, "spawner": platform.spawner, "viewer": platform.viewer}
        for who, subject in subjects.items():
            bind(
                f"{self._name}-{who}",
                platform.roles[who],
                subject,
                self.namespace,
                self._marks,
                self,
            )

    def _open(self) -> None:
        """Ways through the fence."""
        platform = self._args.platform
        notebooks, executors = {ROLE_LABEL: NOTEBOOK}, {ROLE_LABEL: EXECUTOR}
        drivers = network.pods_in(self.namespace, notebooks)
        workers = network.pods_in(self.namespace, executors)
        tracking = network.egress([platform.tracking], platform.tracking_port)
        internet = [_internet()] if self._args.internet else []
        self._policy("everybody", {}, outgoing=[tracking, *internet])
        self._policy(
            "notebooks",
            notebooks,
            incoming=[
                network.ingress([platform.hub, platform.proxy], NOTEBOOK_PORT),
                *(network.ingress([workers], port) for port in SPARK_PORTS),
            ],
            outgoing=[
                network.egress([platform.hub], platform.hub_port),
                platform.api_server,
                {"to": [workers]},
            ],
        )
        if platform.door is not None:
            self._serve(platform.door, drivers)
        self._policy(
            "executors",
            executors,
            incoming=[{"from_": [drivers, workers]}],
            outgoing=[{"to": [drivers, workers]}],
        )

    def _serve(self, door: network.Peer, notebooks: network.Peer) -> None:
        """Models answer those who come in by the door, and the team's own notebooks."""
        models = {ROLE_LABEL: MODEL}
        asked = network.egress([network.pods_in(self.namespace, models)], *MODEL_PORTS)
        self._policy("models", models, incoming=[network.ingress([door, notebooks], *MODEL_PORTS)])
        self._policy("askers", {ROLE_LABEL: NOTEBOOK}, outgoing=[asked])

    def _policy(
        self,
        what: str,
        pods: dict[str, str],
        incoming: Sequence[network.Ingress] = (),
        outgoing: Sequence[network.Egress] = (),
    ) -> None:
        network.policy(
            f"{self._name}-{what}",
            namespace=self.namespace,
            marks=self._marks,
            pods=pods,
            incoming=incoming,
            outgoing=outgoing,
            opts=self._child,
        )


def model_pods() -> network.Peer:
    """Of all tenants."""
    return {
        "namespace_selector": {"match_labels": {TENANT_LABEL: "true"}},
        "pod_selector": {"match_labels": {ROLE_LABEL: MODEL}},
    }


def _internet() -> network.Egress:
    public: k8s.networking.v1.IPBlockArgsDict = {"cidr": "0.0.0.0/0", "except_": list(PRIVATE)}
    return {"to": [{"ip_block": public}]}
