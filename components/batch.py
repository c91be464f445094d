"""A registered model over a whole table: a Job that scores it, once or by a schedule.

Owns the Job or the CronJob. It needs neither the front door nor the operator of models: the pod
fetches the model as a server of it does (``model_pod``), and scores with images/model-server's
``spillway_batch``, which goes on where an earlier pod has stopped.

The main container runs code of whoever made the model. It gets the tenant's bucket, which it reads
and writes, and no token of the cluster.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import shapes
from components.cluster.gpu_pods import Gpus, placed, queued, resources
from components.labels import AT_ONCE, ROLE_LABEL, labels, metadata
from components.mlflow_env import variables
from components.model_pod import (
    FOLDER,
    TMP,
    UID,
    Images,
    Source,
    cores,
    digest,
    fetcher,
    millicores,
    restricted,
    tracked,
    volumes,
)
from components.pods import container, pod
from components.tenant import JOB, STORAGE

APP = "batch"
PYTHON = "/opt/model-server/bin/python"
NAME_LENGTH = 30
"""Longest name, so that it fits with what Kubernetes adds into the 63 of a label."""
TRIES = 5
KEPT = 3
"""Runs of a schedule that can still be looked at, of those that succeeded and that failed."""
LATE = 3600
"""Seconds by which a run may start late; after that the next one does its work."""
GRACE = 120
"""Seconds to finish the rows a pod has in hand; without them it only does those again."""
HOPELESS = 2
"""Exit code of both programs for what will not work the next time either."""


@dataclass(frozen=True, kw_only=True)
class BatchScoringArgs:
    """What is scored, with which model, for whom."""

    batch: str
    """Its name; a Job of a schedule starts with it."""
    namespace: pulumi.Input[str]
    tenant: str
    model: str
    """Where it is: an address as servers of models have."""
    input: str
    """Folder of Parquet or CSV files in the tenant's bucket."""
    output: str
    """Another one, for as many files with predictions."""
    schedule: str | None = None
    """When, as cron writes it, in UTC; without one, once and now."""
    images: Images
    tracking_uri: pulumi.Input[str]
    storage: shapes.Storage
    cpu: float = 0.5
    """Cores that it asks for; idle ones are there to be used."""
    memory: str = "1Gi"
    gpus: Gpus | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.batch) <= NAME_LENGTH:
            raise ValueError(f"batch must have 1 to {NAME_LENGTH} characters: {self.batch!r}")


class BatchScoring(pulumi.ComponentResource):
    """Scores every row of a table exactly once, however often it is interrupted."""

    job: pulumi.Output[str]
    """Name of the Job, or of the CronJob."""

    def __init__(
        self, name: str, args: BatchScoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:BatchScoring", name, None, opts)
        self._name, self._args = name, args
        self._marks = labels(APP, args.batch, JOB)
        self._job_marks = {**self._marks, **queued(args.gpus, "job")}
        self._once = pulumi.ResourceOptions(
            parent=self,
            depends_on=args.storage.ready,
            # Two that write to one place would do the same work twice.
            delete_before_replace=True,
        )
        made = self._job() if args.schedule is None else self._cron_job(args.schedule)
        self.job = made.metadata.name
        self.register_outputs({"job": self.job})

    def _job(self) -> k8s.batch.v1.Job:
        spec = self._spec()
        # Jobs are immutable: another one has another name, and need not wait for this one's end.
        return k8s.batch.v1.Job(
            f"{self._name}-job",
            metadata={
                "namespace": self._args.namespace,
                "labels": self._job_marks,
                "name": pulumi.Output.concat(self._args.batch, "-", digest(spec)),
                # It may take hours.
                "annotations": AT_ONCE,
            },
            spec=spec,
            opts=self._once,
        )

    def _cron_job(self, schedule: str) -> k8s.batch.v1.CronJob:
        return k8s.batch.v1.CronJob(
            f"{self._name}-schedule",
            metadata=metadata(self._args.namespace, self._marks, self._args.batch),
            spec={
                "schedule": schedule,
                "time_zone": "Etc/UTC",
                "concurrency_policy": "Forbid",
                "starting_deadline_seconds": LATE,
                "successful_jobs_history_limit": KEPT,
                "failed_jobs_history_limit": KEPT,
                "job_template": {"metadata": {"labels": self._job_marks}, "spec": self._spec()},
            },
            opts=self._once,
        )

    def _spec(self) -> k8s.batch.v1.JobSpecArgsDict:
        return {
            "backoff_limit": TRIES,
            # Never two pods at a time.
            "pod_replacement_policy": "Failed",
            "pod_failure_policy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "on_exit_codes": {"operator": "In", "values": [HOPELESS]},
                    },
                    # Nobody's mistake: a drained node, say. It does not count as a try.
                    {
                        "action": "Ignore",
                        "on_pod_conditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": {
                "metadata": {"labels": {ROLE_LABEL: JOB, **self._marks}},
                "spec": self._pod(),
            },
        }

    def _pod(self) -> k8s.core.v1.PodSpecArgsDict:
        args = self._args
        source = Source(
            uri=args.model,
            tenant=args.tenant,
            tracking_uri=args.tracking_uri,
            storage=args.storage,
            images=args.images,
            cpu=args.cpu,
        )
        # A model of the bucket has been fetched by the same login.
        login = args.storage.login.volumes if tracked(args.model) else ()
        spec: k8s.core.v1.PodSpecArgsDict = {
            "restart_policy": "Never",
            "termination_grace_period_seconds": GRACE,
            "init_containers": [fetcher(source)],
            "containers": [self._scorer()],
        }
        return pod(
            placed(spec, args.gpus),
            uid=UID,
            account=JOB,
            volumes=[*volumes(source), *login],
        )

    def _scorer(self) -> k8s.core.v1.ContainerArgsDict:
        args, storage = self._args, self._args.storage
        words = [FOLDER, args.input, args.output, "--model", args.model, "--name", args.batch]
        base: k8s.core.v1.ContainerArgsDict = {
            "name": "score",
            "image": args.images.server,
            "image_pull_policy": args.images.pull_policy.value,
            "command": [PYTHON, "-m", "spillway_batch"],
            "args": words,
            "env": variables(
                {**storage.environment, **storage.login.environment, **cores(args.cpu)}
            ),
            # Its last line says why it has ended.
            "termination_message_policy": "FallbackToLogsOnError",
        }
        if storage.credentials:
            base["env_from"] = [{"secret_ref": {"name": STORAGE}}]
        return restricted(
            container(
                base,
                requests={"cpu": millicores(args.cpu), "memory": args.memory},
                memory_limit=args.memory,
                scratch=[TMP],
                mounts=[
                    {"name": "model", "mount_path": FOLDER, "read_only": True},
                    *storage.login.mounts,
                ],
                extended=resources(args.gpus),
            )
        )
