"""What accounts may do in a tenant's namespace: the same in each, so it is written down once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.labels import labels
from components.rights import Rule, cluster_role

APP = "tenant"
WRITE = ("get", "list", "create", "update", "delete")
TRACKING = Rule(
    groups=("mlflow.kubeflow.org",),
    resources=("experiments", "datasets", "registeredmodels"),
    verbs=WRITE,
)
"""MLflow asks the cluster for these rights; no such objects exist."""
READ_TRACKING = Rule(groups=TRACKING.groups, resources=TRACKING.resources, verbs=("get", "list"))
ASK_GATEWAY = Rule(groups=TRACKING.groups, resources=("gatewayendpoints/use",), verbs=("create",))
"""MLflow's pages ask which models its gateway offers, and show an error where they may not.

The gateway is off (components/mlflow_env.py), so the answer is: none.
"""
SPARK = (
    Rule(
        groups=("",),
        resources=("pods",),
        verbs=("get", "list", "watch", "create", "delete", "deletecollection"),
    ),
    Rule(groups=("",), resources=("configmaps",), verbs=("create", "delete", "deletecollection")),
)
"""What a Spark driver does for its executors; which pods and ConfigMaps those are is the guard's.

Nothing here changes what exists: a colleague's pod with another image would be the colleague.
"""
SPAWN = (
    Rule(groups=("",), resources=("pods",), verbs=("get", "list", "watch", "create", "delete")),
    Rule(groups=("", "events.k8s.io"), resources=("events",), verbs=("get", "list", "watch")),
    Rule(groups=("",), resources=("persistentvolumeclaims",), verbs=("get", "create", "delete")),
    Rule(groups=("",), resources=("secrets",), verbs=("create", "delete", "patch")),
)
"""What the hub does for people's servers."""
SEE_QUEUE = (
    Rule(groups=("kueue.x-k8s.io",), resources=("workloads",), verbs=("list",)),
    Rule(
        groups=("kueue.x-k8s.io",), resources=("localqueues",), verbs=("get",), names=("default",)
    ),
)
"""What the hub reads to say why a server waits; how many GPUs are in use is in the queues of all
tenants, so that it needs no right beyond their namespaces."""
SERVE = Rule(
    groups=("machinelearning.seldon.io",),
    resources=("seldondeployments",),
    verbs=("get", "list", "watch", "create", "update", "patch", "delete"),
)
"""Models that a team deploys from a repository of its own; what their pods are is the guard's."""
MINT = Rule(
    groups=("",),
    resources=("serviceaccounts/token",),
    verbs=("create",),
    names=("notebook",),
)
"""The experiments page asks as people do, and as no other account."""

RULES: Mapping[str, tuple[Rule, ...]] = {
    "notebook": (TRACKING, ASK_GATEWAY, SERVE, *SPARK),
    "job": (TRACKING, SERVE, *SPARK),
    "model": (READ_TRACKING,),
    "spawner": SPAWN,
    "viewer": (MINT,),
}
"""By who has them; the first three are accounts of the tenant itself."""

QUEUED: Mapping[str, tuple[Rule, ...]] = {**RULES, "spawner": (*SPAWN, *SEE_QUEUE)}
"""The same where GPUs have a queue."""


@dataclass(frozen=True, kw_only=True)
class TenantRolesArgs:
    """Which rights."""

    rules: Mapping[str, Sequence[Rule]] = field(default_factory=lambda: RULES)


class TenantRoles(pulumi.ComponentResource):
    """Rights that count where a tenant binds them, and nowhere else."""

    names: Mapping[str, pulumi.Output[str]]
    """Of the roles, by who has them."""

    def __init__(
        self, name: str, args: TenantRolesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:TenantRoles", name, None, opts)
        marks = labels(APP, name, "rights")
        self.names = {
            who: cluster_role(f"{name}-{who}", rules, marks, self).metadata.name
            for who, rules in args.rules.items()
        }
        self.register_outputs({"names": self.names})
