"""``spillway_spark()``: a Spark session whose executors are pods beside the notebook's.

The driver is the kernel itself. What the pod is and may do comes by environment, from the profile
it was started with; a key of the object store is never written into Spark's configuration.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession  # pyright: ignore[reportMissingImports]

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
EXECUTOR_TEMPLATE = "/opt/spillway/executor.yaml"
DISCOVERY = "/opt/spillway/gpus"
"""Says which GPUs an executor has."""
DRIVER_PORT = 7078
BLOCKS_PORT = 7079

REQUIRED = ("SPILLWAY_SPARK_IMAGE", "POD_NAME", "POD_IP")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
PLAIN = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
)
"""Variables of the object store, and of the login there, that are no secret: executors get them as
text."""
LOGIN = "SPILLWAY_SPARK_LOGIN"
"""Variable with the volumes and mounts by which the team's pods become somebody in a cloud."""
GPUS = "SPILLWAY_SPARK_GPUS"
"""Variable with the GPUs that the team may hold: JSON, by accelerator the most of one machine."""

GPU = "spark.executor.resource.gpu"
EXECUTOR = "spark.kubernetes.executor"
QUEUED = {
    f"{EXECUTOR}.label.kueue.x-k8s.io/queue-name": "default",
    f"{EXECUTOR}.label.kueue.x-k8s.io/priority-class": "job",
    # Executors belong to the notebook's pod, which has been admitted long ago. Without these two
    # the queue would take them for a part of it: they would neither be counted nor placed.
    f"{EXECUTOR}.label.kueue.x-k8s.io/managed": "true",
    f"{EXECUTOR}.annotation.kueue.x-k8s.io/pod-suspending-parent": "spark",
}
"""By which executors wait for their GPUs in the team's queue."""

GOOGLE = "com.google.cloud.hadoop.fs.gcs"
GOOGLE_SIZES = {
    "block.size": 64,
    "rewrite.max.chunk.size": 512,
    "outputstream.buffer.size": 8,
    "inputstream.inplace.seek.limit": 8,
    "inputstream.min.range.request.size": 2,
}
"""MiB, as in Hadoop's defaults."""

PROVIDERS = "software.amazon.awssdk.auth.credentials"
BY_KEYS = f"{PROVIDERS}.EnvironmentVariableCredentialsProvider"
BY_IDENTITY = (
    f"{PROVIDERS}.WebIdentityTokenFileCredentialsProvider,{PROVIDERS}.ContainerCredentialsProvider"
)


class SparkUnavailableError(RuntimeError):
    """There can be no session here; one line that says why."""

    def _render_traceback_(self) -> list[str]:
        # What IPython shows in place of a traceback.
        return [str(self)]


def spillway_spark(  # noqa: PLR0913 - what people choose
    app_name: str = "notebook",
    executors: int = 2,
    cores: int = 1,
    memory: str = "1g",
    *,
    gpus: int = 0,
    accelerator: str | None = None,
    **conf: Any,
) -> SparkSession:
    """The session of this kernel: the running one, or a new one with that many executor pods.

    Each has ``gpus`` GPUs, for which it waits in the team's queue; ``accelerator`` says which kind,
    where the team may hold several. A task has one of them, so ``cores`` over ``gpus`` lie idle.

    ``conf`` adds to Spark's configuration: ``spark_sql_shuffle_partitions=8`` or
    ``**{"spark.sql.shuffle.partitions": 8}``. Executors go when ``stop()`` is called, and with the
    server at the latest.
    """
    # A second that not every kernel wants to spend.
    from pyspark.sql import SparkSession  # noqa: PLC0415 # pyright: ignore[reportMissingImports]

    if running := SparkSession.getActiveSession():
        return running
    wanted: dict[str, Any] = {
        "spark.app.name": app_name,
        "spark.executor.instances": executors,
        "spark.executor.cores": cores,
        # A quota on limits refuses pods without one.
        "spark.kubernetes.executor.limit.cores": cores,
        # A share of them is promised, as notebooks are: a small cluster has room for some.
        "spark.kubernetes.executor.request.cores": f"{cores * 250}m",
        "spark.executor.memory": memory,
        **gpu_conf(os.environ, gpus, accelerator),
        **conf,
    }
    login = os.environ.get(LOGIN)
    if login or gpus:
        wanted.setdefault("spark.kubernetes.executor.podTemplateFile", _template(login, gpus))
    settings = spark_conf(os.environ, _namespace(), wanted)
    _check_ports(settings["spark.driver.host"])
    builder: Any = SparkSession.builder
    session = builder.config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    return session


def spark_conf(
    environ: Mapping[str, str], namespace: str | None, wanted: Mapping[str, object]
) -> dict[str, str]:
    """Spark's configuration for a pod with that environment in that namespace.

    ``wanted`` has the last word; its names may have underscores for dots.
    """
    missing = [name for name in REQUIRED if not environ.get(name)]
    if missing or not namespace:
        what = ", ".join(missing) or "service account"
        raise SparkUnavailableError(
            f"Spark cannot start here: the pod has no {what}. Start a server with a Spark profile."
        )
    pod_ip = environ["POD_IP"]
    return {
        "spark.master": "k8s://https://kubernetes.default.svc",
        "spark.submit.deployMode": "client",
        # Executors are told the bind address as the driver's host, so the two must be one.
        "spark.driver.host": pod_ip,
        "spark.driver.bindAddress": pod_ip,
        "spark.driver.port": str(DRIVER_PORT),
        "spark.driver.memory": _driver_memory(environ),
        "spark.blockManager.port": str(BLOCKS_PORT),
        "spark.kubernetes.namespace": namespace,
        # Makes the notebook's pod their owner: they cannot outlive it.
        "spark.kubernetes.driver.pod.name": environ["POD_NAME"],
        "spark.kubernetes.container.image": environ["SPILLWAY_SPARK_IMAGE"],
        "spark.kubernetes.executor.podTemplateFile": EXECUTOR_TEMPLATE,
        "spark.kubernetes.executor.podTemplateContainerName": "executor",
        "spark.kubernetes.authenticate.executor.serviceAccountName": (
            environ.get("SPILLWAY_SPARK_ACCOUNT") or "job"
        ),
        # Room for Python beside Java: at least 384 MiB. Spark's 0.4 would not fit a small quota.
        "spark.executor.memoryOverheadFactor": "0.25",
        "spark.dynamicAllocation.enabled": "false",
        # Neither exists here, and a team's account may not even look for them.
        "spark.kubernetes.driver.service.deleteOnTermination": "false",
        "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
        "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
        # Nobody could reach it.
        "spark.ui.enabled": "false",
        "spark.sql.warehouse.dir": "/tmp/spark-warehouse",  # noqa: S108 - in the pod's own /tmp
        **_object_store(environ),
        **{_dotted(name): _text(value) for name, value in wanted.items()},
    }


def gpu_conf(environ: Mapping[str, str], gpus: int, accelerator: str | None) -> dict[str, object]:
    """What Spark must know of executors with so many GPUs; nothing for those without."""
    if not gpus:
        return {}
    known: dict[str, int] = json.loads(environ.get(GPUS) or "{}")
    if not known:
        raise SparkUnavailableError(
            "Spark cannot have GPUs here: your team has none. Leave gpus out, or ask your "
            "administrator for a quota."
        )
    there = ", ".join(f"{name} (at most {most} an executor)" for name, most in known.items())
    if accelerator is None and len(known) == 1:
        (accelerator,) = known
    if accelerator not in known:
        raise SparkUnavailableError(
            f"Spark cannot have GPUs of the kind {accelerator!r}: accelerator must be one of "
            f"{there}."
        )
    if not 0 < gpus <= known[accelerator]:
        raise SparkUnavailableError(
            f"Spark cannot have executors with {gpus} GPUs {accelerator}: there are {there}."
        )
    return {
        f"{GPU}.amount": gpus,
        f"{GPU}.vendor": "nvidia.com",
        f"{GPU}.discoveryScript": DISCOVERY,
        "spark.task.resource.gpu.amount": 1,
        # Whose machine it will be, and that it is tolerated there, is the queue's word.
        f"{EXECUTOR}.node.selector.spillway.dev/accelerator": accelerator,
        **QUEUED,
    }


def executor_pod(template: str, login: str | None = None, gpus: int = 0) -> str:
    """The template of executors with what a pod carries that logs in to a cloud.

    The token is the executor's own: the kubelet makes it for the account that the executor runs as.
    With GPUs it goes to machines that have as many.
    """
    # Most sessions do not need it.
    import yaml  # noqa: PLC0415

    pod = yaml.safe_load(template)
    if login:
        carried = json.loads(login)
        (container,) = pod["spec"]["containers"]
        pod["spec"]["volumes"] += carried["volumes"]
        container["volumeMounts"] += carried["mounts"]
    if gpus:
        # The queue counts GPUs and knows no machines: by this it passes over smaller ones.
        enough = {"key": "spillway.dev/gpus", "operator": "Gt", "values": [str(gpus - 1)]}
        terms = {"nodeSelectorTerms": [{"matchExpressions": [enough]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        # Rather beside others: who wants a whole machine finds an empty one.
        beside = {
            "labelSelector": {},
            "namespaceSelector": {},
            "topologyKey": "kubernetes.io/hostname",
        }
        term = {"weight": 100, "podAffinityTerm": beside}
        together = {"preferredDuringSchedulingIgnoredDuringExecution": [term]}
        pod["spec"]["affinity"] = {"nodeAffinity": required, "podAffinity": together}
    return yaml.safe_dump(pod)


def _template(login: str | None = None, gpus: int = 0) -> str:
    """A file for Spark, which reads it whenever it starts executors."""
    text = executor_pod(Path(EXECUTOR_TEMPLATE).read_text(), login, gpus)
    with tempfile.NamedTemporaryFile("w", prefix="executor-", suffix=".yaml", delete=False) as file:
        file.write(text)
    return file.name


def _driver_memory(environ: Mapping[str, str]) -> str:
    """Java's heap: a quarter of the server's memory, which it shares with kernels and Python.

    The hub tells the limit in bytes; whoever takes more is killed, and the notebook with him.
    """
    limit = environ.get("MEM_LIMIT", "")
    mebibytes = int(limit) // 2**20 // 4 if limit.isdigit() else 0
    return f"{max(512, mebibytes)}m"


def _object_store(environ: Mapping[str, str]) -> dict[str, str]:
    """How s3a:// and gs:// are reached and by whom, for the driver and for executors."""
    conf = {
        "spark.hadoop.fs.s3a.aws.credentials.provider": BY_IDENTITY,
        # Hadoop has defaults for a connector of its own that is not here: its class, and sizes in
        # a spelling that Google's cannot read.
        "spark.hadoop.fs.gs.impl": f"{GOOGLE}.GoogleHadoopFileSystem",
        "spark.hadoop.fs.AbstractFileSystem.gs.impl": f"{GOOGLE}.GoogleHadoopFS",
        **{f"spark.hadoop.fs.gs.{name}": str(mib << 20) for name, mib in GOOGLE_SIZES.items()},
    }
    if environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        # By itself it asks the machine who it is, and pods reach no metadata.
        conf["spark.hadoop.fs.gs.auth.type"] = "APPLICATION_DEFAULT"
    for name in PLAIN:
        if value := environ.get(name):
            conf[f"spark.executorEnv.{name}"] = value
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if endpoint := environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"):
        conf["spark.hadoop.fs.s3a.endpoint"] = endpoint
        conf["spark.hadoop.fs.s3a.path.style.access"] = "true"
        region = region or "us-east-1"
    if region:
        conf["spark.hadoop.fs.s3a.endpoint.region"] = region
    if all(environ.get(name) for name in KEYS):
        conf["spark.hadoop.fs.s3a.aws.credentials.provider"] = BY_KEYS
        secret = environ.get("SPILLWAY_STORAGE_SECRET")
        if not secret:
            raise SparkUnavailableError(
                "Spark cannot start here: the pod has keys of the object store, but "
                "SPILLWAY_STORAGE_SECRET does not name the Secret that executors take them from."
            )
        for name in KEYS:
            conf[f"spark.kubernetes.executor.secretKeyRef.{name}"] = f"{secret}:{name}"
    return conf


def _dotted(name: str) -> str:
    return name if "." in name else name.replace("_", ".")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _namespace() -> str | None:
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else None


def _check_ports(host: str) -> None:
    """Spark would take the next free port, which executors may not reach, and wait for ever."""
    for port in (DRIVER_PORT, BLOCKS_PORT):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise SparkUnavailableError(
                    f"Spark cannot start here: port {port} of {host}: {error.strerror}. A server "
                    "has room for one session: stop() the one in your other notebook."
                ) from None


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython: puts the function into every kernel."""
    shell.push({"spillway_spark": spillway_spark}, interactive=False)
