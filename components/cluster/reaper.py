"""What deletes the nodes of machines that the cloud has taken back: see ``programs/reap.py``."""

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components import network
from components.cluster.nodes import TIER_LABEL
from components.labels import labels, metadata
from components.pods import PullPolicy, Scratch, container, pod
from components.rights import Rule, bind_everywhere, cluster_role

APP = "node-reaper"
PROGRAM = Path(__file__).with_name("programs") / "reap.py"
FOLDER = "/program"
EVERY = "*/5 * * * *"
SILENT_SECONDS = 15 * 60
"""As long as a machine has to become a node, and longer than its pods are waited for, 5 minutes."""
DEADLINE = 240
SELECTOR = f"{TIER_LABEL}%3Dburst"
RIGHTS = (Rule(groups=[""], resources=["nodes"], verbs=["get", "list", "delete"]),)
SCRATCH = (Scratch(path="/tmp", size="16Mi"),)  # noqa: S108 - a volume of the pod's own


@dataclass(frozen=True, kw_only=True)
class NodeReaperArgs:
    """Where it runs, and in what."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    """Has Python 3.11 or newer."""
    python: str
    """Path of that Python."""
    uid: int
    pull_policy: PullPolicy
    api_server: network.Egress


class NodeReaper(pulumi.ComponentResource):
    """A CronJob that deletes nodes of burst pools which are not Ready any more."""

    def __init__(
        self, name: str, args: NodeReaperArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:cluster:NodeReaper", name, None, opts)
        self._name, self._args = name, args
        self._marks = labels(APP, name, "reaper")
        child = pulumi.ResourceOptions(parent=self)
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=metadata(args.namespace, self._marks, name),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        role = cluster_role(name, RIGHTS, self._marks, self)
        bound = bind_everywhere(
            name, role.metadata.name, account.metadata.name, args.namespace, self._marks, self
        )
        fence = network.policy(
            f"{name}-traffic",
            namespace=args.namespace,
            marks=self._marks,
            pods=self._marks,
            outgoing=[args.api_server],
            opts=child,
        )
        program = k8s.core.v1.ConfigMap(
            f"{name}-program",
            metadata=metadata(args.namespace, self._marks),
            data={PROGRAM.name: PROGRAM.read_text()},
            opts=child,
        )
        self._schedule(account, program, [bound, fence])
        self.register_outputs({})

    def _schedule(
        self,
        account: k8s.core.v1.ServiceAccount,
        program: k8s.core.v1.ConfigMap,
        settled: list[pulumi.Resource],
    ) -> None:
        args = self._args
        spec: k8s.core.v1.PodSpecArgsDict = {
            "restart_policy": "Never",
            "containers": [self._container()],
        }
        k8s.batch.v1.CronJob(
            self._name,
            metadata=metadata(args.namespace, self._marks),
            spec={
                "schedule": EVERY,
                "concurrency_policy": "Forbid",
                "successful_jobs_history_limit": 1,
                "failed_jobs_history_limit": 3,
                "job_template": {
                    "spec": {
                        "backoff_limit": 0,
                        "active_deadline_seconds": DEADLINE,
                        "template": {
                            "metadata": {"labels": self._marks},
                            "spec": pod(
                                spec,
                                uid=args.uid,
                                account=account.metadata.name,
                                scratch=SCRATCH,
                                volumes=[
                                    {
                                        "name": "program",
                                        "config_map": {"name": program.metadata.name},
                                    }
                                ],
                                token=True,
                            ),
                        },
                    }
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=settled),
        )

    def _container(self) -> k8s.core.v1.ContainerArgsDict:
        args = self._args
        return container(
            {
                "name": "reaper",
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "command": [args.python, f"{FOLDER}/{PROGRAM.name}"],
                "args": [f"--selector={SELECTOR}", f"--seconds={SILENT_SECONDS}"],
            },
            requests={"cpu": "10m", "memory": "64Mi"},
            memory_limit="128Mi",
            scratch=SCRATCH,
            mounts=[{"name": "program", "mount_path": FOLDER, "read_only": True}],
        )
