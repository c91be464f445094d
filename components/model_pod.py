"""The pod that serves one version of a model: first it fetches the model, then it answers.

As the operator wants it: a plain object in Kubernetes' own spelling. It passes the restricted
standard container by container, because the operator replaces what is said for the whole pod.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import shapes
from components.cluster.gpu_pods import Gpus, placed, resources
from components.labels import selector
from components.mlflow_env import variables
from components.pods import CONTAINER_SECURITY, PullPolicy, Scratch, camel, container, spread
from components.tenant import MODEL, MODEL_PORTS, STORAGE

APP = "model"
HTTP, GRPC = MODEL_PORTS
METRICS = 6000
UID = 10004
"""Of images/model-server; images/storage-initializer runs as anybody."""
FOLDER = "/mnt/models"
TMP = Scratch(path="/tmp", size="1Gi")  # noqa: S108 - a volume of the pod's own
MODEL_SIZE = "20Gi"
TOKEN_SECONDS = 3600
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where clients look
DRAIN = 10
"""Seconds a stopping server goes on answering while the gateway learns that it goes."""
BUCKETS = ("s3://", "gs://")
SECURITY: k8s.core.v1.SecurityContextArgsDict = {
    **CONTAINER_SECURITY,
    "run_as_non_root": True,
    "run_as_user": UID,
    "run_as_group": UID,
    "seccomp_profile": {"type": "RuntimeDefault"},
}
DIGITS = 8
"""Of a digest."""
EVERY = 2
"""Seconds between two questions whether the model is loaded."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """What pods of models run."""

    server: pulumi.Input[str]
    """Serves a folder."""
    fetcher: pulumi.Input[str]
    """Fetches a model into a folder."""
    pull_policy: PullPolicy


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a model is, and what opens it."""

    uri: str
    tenant: str
    tracking_uri: pulumi.Input[str]
    storage: shapes.Storage
    images: Images
    cpu: float
    """Cores that the pod asks for."""


@dataclass(frozen=True, kw_only=True)
class Serving(Source):
    """One version of a model, and what its server may use."""

    model: str
    memory: str
    start_seconds: int
    gpus: Gpus | None


def pod(serving: Serving) -> dict[str, Any]:
    """The pod's specification."""
    spec: k8s.core.v1.PodSpecArgsDict = {
        "service_account_name": MODEL,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "termination_grace_period_seconds": 3 * DRAIN,
        "init_containers": [fetcher(serving)],
        "containers": [_server(serving)],
        "volumes": volumes(serving),
    }
    if serving.gpus:
        # Beside others, as all that is placed, but not beside another replica of its own.
        own = selector(APP, serving.model)
        spec = {**spec, "topology_spread_constraints": [spread(own)]}
    return camel(placed(spec, serving.gpus))


def volumes(source: Source) -> list[k8s.core.v1.VolumeArgsDict]:
    """What the fetcher mounts, and what the container after it writes to."""
    return [
        {"name": "model", "empty_dir": {"size_limit": MODEL_SIZE}},
        {"name": TMP.name, "empty_dir": {"size_limit": TMP.size}},
        *([_identity()] if tracked(source.uri) else source.storage.login.volumes),
    ]


def fetcher(source: Source) -> k8s.core.v1.ContainerArgsDict:
    """It alone has a token: what comes after it runs code of whoever made the model."""
    images, storage = source.images, source.storage
    base: k8s.core.v1.ContainerArgsDict = {
        "name": "fetch",
        "image": images.fetcher,
        "image_pull_policy": images.pull_policy.value,
        "args": [source.uri, FOLDER],
        # Its last line says why there is no model.
        "termination_message_policy": "FallbackToLogsOnError",
    }
    if tracked(source.uri):
        base["env"] = variables(
            {
                "MLFLOW_TRACKING_URI": source.tracking_uri,
                "MLFLOW_TRACKING_AUTH": "kubernetes-namespaced",
                "MLFLOW_WORKSPACE": source.tenant,
            }
        )
        mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
            {"name": "identity", "mount_path": TOKEN_FOLDER, "read_only": True}
        ]
    else:
        base["env"] = variables({**storage.environment, **storage.login.environment})
        mounts = list(storage.login.mounts)
        if storage.credentials:
            base["env_from"] = [{"secret_ref": {"name": STORAGE}}]
    return restricted(
        container(
            base,
            # No more than what comes after: a pod asks for the most of its steps.
            requests={"cpu": millicores(min(0.1, source.cpu)), "memory": "128Mi"},
            memory_limit="512Mi",
            mounts=[{"name": "model", "mount_path": FOLDER}, *mounts],
        )
    )


def _server(serving: Serving) -> k8s.core.v1.ContainerArgsDict:
    images, ready = serving.images, f"/v2/models/{serving.model}/ready"
    ports = {"http": HTTP, "grpc": GRPC, "metrics": METRICS}
    return restricted(
        container(
            {
                # The operator makes the model's name of it.
                "name": serving.model,
                "image": images.server,
                "image_pull_policy": images.pull_policy.value,
                "args": [FOLDER],
                "env": variables(cores(serving.cpu)),
                "ports": [
                    {"name": name, "container_port": port, "protocol": "TCP"}
                    for name, port in ports.items()
                ],
                "startup_probe": _probe(ready, EVERY, math.ceil(serving.start_seconds / EVERY)),
                "readiness_probe": _probe(ready, 5, 3),
                "liveness_probe": _probe("/v2/health/live", 20, 6),
                "lifecycle": {"pre_stop": {"exec_": {"command": ["/bin/sleep", str(DRAIN)]}}},
                "termination_message_policy": "FallbackToLogsOnError",
            },
            requests={"cpu": millicores(serving.cpu), "memory": serving.memory},
            memory_limit=serving.memory,
            scratch=[TMP],
            mounts=[{"name": "model", "mount_path": FOLDER, "read_only": True}],
            extended=resources(serving.gpus),
        )
    )


def digest(spec: Any) -> pulumi.Output[str]:
    """A few characters that are others for every other specification: part of an object's name."""
    return pulumi.Output.json_dumps(spec).apply(
        lambda text: hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    )


def millicores(amount: float) -> str:
    """Cores as Kubernetes writes them."""
    return f"{round(amount * 1000)}m"


def cores(asked: float) -> shapes.Environment:
    """How many threads a prediction takes: else as many as the machine has cores."""
    return {"OMP_NUM_THREADS": str(max(1, math.ceil(asked)))}


def restricted(made: k8s.core.v1.ContainerArgsDict) -> k8s.core.v1.ContainerArgsDict:
    """The container, which passes the restricted standard by itself."""
    return {**made, "security_context": SECURITY}


def _probe(path: str, every: int, failures: int) -> k8s.core.v1.ProbeArgsDict:
    # By number and with a scheme: what the operator compares with is written so.
    return {
        "http_get": {"path": path, "port": HTTP, "scheme": "HTTP"},
        "period_seconds": every,
        "failure_threshold": failures,
        "success_threshold": 1,
        "timeout_seconds": 5,
    }


def _identity() -> k8s.core.v1.VolumeArgsDict:
    """By which the tracking server knows the tenant's models, and in which workspace."""
    name: k8s.core.v1.DownwardAPIVolumeFileArgsDict = {
        "path": "namespace",
        "field_ref": {"api_version": "v1", "field_path": "metadata.namespace"},
    }
    return {
        "name": "identity",
        "projected": {
            "sources": [
                {"service_account_token": {"path": "token", "expiration_seconds": TOKEN_SECONDS}},
                {"downward_api": {"items": [name]}},
            ]
        },
    }


def tracked(uri: str) -> bool:
    """Whether the tracking server has it, and not a bucket."""
    return not uri.startswith(BUCKETS)
