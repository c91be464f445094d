"""What the MLflow server is told by its environment; secrets come from elsewhere.

Flags of ``mlflow server`` have environment names, so nothing needs to be on the command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.labels import WORKSPACE_LABEL
from components.shapes import Environment

MAX_CONNECTIONS = 80
"""All servers together; PostgreSQL grants 100 by default, and operators need some."""
PASSWORD_KEPT_IN = "SPILLWAY_DATABASE_SECRET"  # noqa: S105 - a name
"""Variable that names the secret in which the cloud keeps the database's password."""
PASSWORD_PLUGIN = "spillway_password"  # noqa: S105 - a name
"""The SQLAlchemy plug-in in images/mlflow that reads it at every connection."""
ENDPOINT = "AWS_ENDPOINT_URL_S3"
IPV4 = "[0-9]*.*.*.*[0-9]"
"""fnmatch pattern of an IPv4 address. A host name cannot match: no top-level domain ends in a
digit. Browsers cannot be tricked into sending an address as Host for another site's page."""
IPV6 = "[[]*]"


WORKSPACES: Environment = {
    "MLFLOW_ENABLE_WORKSPACES": "true",
    "MLFLOW_WORKSPACE_STORE_URI": "kubernetes://",
    "MLFLOW_K8S_WORKSPACE_LABEL_SELECTOR": f"{WORKSPACE_LABEL}=true",
    "MLFLOW_K8S_AUTH_AUTHORIZATION_MODE": "self_subject_access_review",
    # Seconds for which a right that was taken away lives on.
    "MLFLOW_K8S_AUTH_CACHE_TTL_SECONDS": "30",
    "SPILLWAY_MLFLOW_APP": "kubernetes-auth",
    # No place in the bucket, where the server could read more than its caller may.
    "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": (
        r"^(?:(?:mlflow-artifacts|runs|models):/|[^:/]*$)"
    ),
}
"""Every namespace with the label is a workspace, and the cluster says who may do what in it."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Under which names and ports the server is called."""

    service: str
    port: int
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    node_port: int | None = None

    def allowed_hosts(self, namespace: str) -> str:
        """Host headers the server accepts, ports included, as fnmatch patterns."""
        names = [
            self.service,
            f"{self.service}.{namespace}",
            f"{self.service}.{namespace}.svc",
            f"{self.service}.{namespace}.svc.cluster.local",
        ]
        own = [pattern for name in names for pattern in (name, f"{name}:{self.port}")]
        # A port-forward on a workbench, under whatever port was free there.
        local = [f"{name}:*" for name in ("localhost", "127.0.0.1")]
        public = [pattern for host in self.hosts for pattern in (host, f"{host}:*")]
        # Prometheus scrapes pods by address, and a node port is often called by the node's.
        ports = [self.port] if self.node_port is None else [self.port, self.node_port]
        addresses = [f"{pattern}:{port}" for port in ports for pattern in (IPV4, IPV6)]
        return ",".join([*own, *local, *public, *addresses])

    def allowed_origins(self) -> str:
        """Origins of web pages that may change something; localhost always may."""
        https = [f"https://{host}" for host in self.hosts]
        plain = [f"http://{host}:{self.node_port}" for host in self.hosts if self.node_port]
        return ",".join([*https, *plain, *self.origins])


def environment(  # noqa: PLR0913 - what a server is told
    reach: Reach,
    namespace: pulumi.Input[str],
    artifacts: pulumi.Input[str],
    given: Environment,
    more: Environment,
    *,
    workers: int,
) -> list[k8s.core.v1.EnvVarArgsDict]:
    """The whole environment, in the order it reads best in a preview.

    ``given`` is what database, bucket and cloud ask for, ``more`` how it shares and whom it asks.
    """
    hosts = pulumi.Output.from_input(namespace).apply(reach.allowed_hosts)
    values: Environment = {
        "MLFLOW_HOST": "0.0.0.0",  # noqa: S104 - inside its own network namespace
        "MLFLOW_PORT": str(reach.port),
        "MLFLOW_WORKERS": str(workers),
        "MLFLOW_SERVER_ALLOWED_HOSTS": hosts,
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": reach.allowed_origins(),
        "MLFLOW_SERVE_ARTIFACTS": "true",
        "MLFLOW_ARTIFACTS_DESTINATION": artifacts,
        **_endpoint(given),
        **given,
        "MLFLOW_EXPOSE_PROMETHEUS": "/prometheus",
        **more,
        # Each replica would run seven processes on a queue of its own.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    return variables(values)


def variables(values: Environment) -> list[k8s.core.v1.EnvVarArgsDict]:
    """As a container takes them."""
    return [{"name": name, "value": value} for name, value in values.items()]


def _endpoint(given: Environment) -> Environment:
    """A store of one's own has no name for each bucket."""
    if ENDPOINT not in given:
        return {}
    return {
        "MLFLOW_S3_ENDPOINT_URL": given[ENDPOINT],
        "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path",
    }


def connection_pool(replicas: int, workers: int) -> dict[str, str]:
    """Split the database's connections so that a roll-out, one replica more, still fits."""
    each = max(1, MAX_CONNECTIONS // ((replicas + 1) * workers))
    size = min(5, each)
    return {
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(size),
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(min(10, each - size)),
    }
