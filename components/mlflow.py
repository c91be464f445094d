"""MLflow tracking server: its keys, its schema migration, its replicas and who may reach them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components import network, shapes
from components.jobs import run_once
from components.labels import AT_ONCE, CLIENT_LABEL, labels, metadata, selector
from components.mlflow_env import (
    PASSWORD_KEPT_IN,
    PASSWORD_PLUGIN,
    WORKSPACES,
    Reach,
    connection_pool,
    environment,
    variables,
)
from components.pods import PullPolicy, Scratch, container, http_probe, pod, spread
from components.rights import Rule, bind_everywhere, cluster_role
from components.secrets import password, secret

APP = "mlflow"
PORT = 5000
UID = 10001
KEY_BYTES = 32
"""A Fernet key is 32 bytes: https://cryptography.io/en/latest/fernet/"""
PASSPHRASE_LENGTH = 40
DRAIN = 5
"""Seconds a stopping server goes on answering while Services stop sending to it."""
SCRATCH = (
    # Artifacts pass through here on their way to and from the bucket.
    Scratch(path="/tmp", size="8Gi"),  # noqa: S108 - a volume of the pod's own
    Scratch(path="/prometheus", size="64Mi"),
)


LOOKS = (Rule(groups=[""], resources=["namespaces"], verbs=["get", "list", "watch"]),)
"""To see which namespaces there are."""


@dataclass(frozen=True, kw_only=True)
class MlflowArgs:
    """Where it runs, what it stores into, and under which names clients reach it."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    database: shapes.Database
    store: shapes.ObjectStore
    login: shapes.Login = field(default_factory=shapes.Login)
    """How its pods become somebody in the cloud of the two; see ``subjects``."""
    replicas: int = 2
    workers: int = 2
    """Processes per replica."""
    hosts: Sequence[str] = ()
    """Names clients use besides those of the Service."""
    origins: Sequence[str] = ()
    """Web origins that may call the API, besides ``https://`` and each of ``hosts``."""
    callers: Sequence[network.Peer] = ()
    """Pods that may call it, besides all of those in namespaces with the client label."""
    api_server: network.Egress | None = None
    """The rule to reach the cluster's API server. With it every tenant's namespace is a workspace,
    and the cluster says who may do what there; without it all is one workspace, open to callers."""
    node_port: int | None = None
    pod_network: str | None = None
    """CIDR of the cluster's pods; needed with ``node_port``, which lets in everyone else."""
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    protect: bool = True
    """Keeps the keys that encrypt what is stored from being deleted or replaced."""

    def __post_init__(self) -> None:
        if self.replicas < 1 or self.workers < 1:
            raise ValueError(
                f"replicas and workers must be at least 1, got {self.replicas} and {self.workers}"
            )
        if self.node_port is not None and self.pod_network is None:
            raise ValueError("node_port needs pod_network, or every pod passes as an outsider")


def subjects(namespace: str, name: str) -> Sequence[shapes.Subject]:
    """The service accounts of the server called ``name`` and of its migration."""
    accounts = (name, f"{name}-migration")
    return [shapes.Subject(namespace=namespace, account=account) for account in accounts]


def consumer(namespace: pulumi.Input[str], name: str) -> network.Peer:
    """The pods of the server called ``name``, for the policies of what it uses."""
    return network.pods_in(namespace, selector(APP, name))


class Mlflow(pulumi.ComponentResource):
    """Experiment tracking on a database and a bucket that clients need no keys for."""

    tracking_uri: pulumi.Output[str]
    """In-cluster URL, the value for ``MLFLOW_TRACKING_URI``."""
    node_port: pulumi.Output[int | None]
    """Port on every node, if it was asked for."""

    def __init__(
        self, name: str, args: MlflowArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:Mlflow", name, None, opts)
        self._name, self._args = name, args
        self._marks = labels(APP, name, "server")
        self._child = pulumi.ResourceOptions(parent=self)
        database = {"MLFLOW_BACKEND_STORE_URI": self._store_uri()}
        url = secret(APP, name, "database", database, namespace=args.namespace, parent=self)
        keys = secret(APP, name, "keys", self._keys(), namespace=args.namespace, parent=self)
        migration = self._migrate(url)
        fences = self._fence()
        self._serve([url, keys], [migration, *fences])
        if args.replicas > 1:
            self._keep_one_during_drains()
        service = self._service()

        self.tracking_uri = network.service_url(service.metadata.name, args.namespace, PORT)
        self.node_port = pulumi.Output.from_input(args.node_port)
        self.register_outputs({"tracking_uri": self.tracking_uri, "node_port": self.node_port})

    def _store_uri(self) -> pulumi.Output[str]:
        database = self._args.database
        fetched = PASSWORD_KEPT_IN in database.environment
        return database.url.apply(lambda url: driver_url(url, fetched=fetched))

    def _keys(self) -> dict[str, pulumi.Input[str]]:
        """All replicas share them, and what they encrypted is lost without them."""
        args, name = self._args, self._name
        passphrase = password(
            f"{name}-passphrase", PASSPHRASE_LENGTH, protect=args.protect, parent=self
        )
        webhooks = password(f"{name}-webhook-key", KEY_BYTES, protect=args.protect, parent=self)
        return {
            **args.store.credentials,
            "MLFLOW_CRYPTO_KEK_PASSPHRASE": passphrase,
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": webhooks.apply(fernet_key),
        }

    def _migrate(self, url: k8s.core.v1.Secret) -> k8s.batch.v1.Job:
        args = self._args
        return run_once(
            f"{self._name}-migration",
            namespace=args.namespace,
            marks=labels(APP, self._name, "migration"),
            uid=UID,
            container={
                "name": "migration",
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "command": ["/usr/local/bin/mlflow-migrate"],
                "env": variables({**args.database.environment, **args.login.environment}),
                "env_from": [{"secret_ref": {"name": url.metadata.name}}],
            },
            memory="1Gi",
            volumes=args.login.volumes,
            mounts=args.login.mounts,
            egress=[*args.database.egress, *args.login.egress],
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.database.ready),
        )

    def _serve(
        self, secrets: Sequence[k8s.core.v1.Secret], after: Sequence[pulumi.Resource]
    ) -> None:
        args, name = self._args, self._name
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            # Fixed: a cloud's trust in it goes by its name.
            metadata=metadata(args.namespace, self._marks, name),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        asks = args.api_server is not None
        if asks:
            after = [*after, self._ask_the_cluster()]
        own = selector(APP, name, "server")
        template: k8s.core.v1.PodTemplateSpecArgsDict = {
            "metadata": {
                "labels": self._marks,
                "annotations": {
                    "prometheus.io/scrape": "true",
                    "prometheus.io/port": str(PORT),
                    "prometheus.io/path": "/metrics",
                },
            },
            "spec": pod(
                {
                    "termination_grace_period_seconds": 60,
                    "topology_spread_constraints": [spread(own)],
                    "containers": [self._container(secrets)],
                },
                uid=UID,
                account=account.metadata.name,
                scratch=SCRATCH,
                volumes=args.login.volumes,
                token=asks,
            ),
        }
        k8s.apps.v1.Deployment(
            f"{name}-server",
            metadata=metadata(args.namespace, self._marks, name),
            spec={
                "replicas": args.replicas,
                "selector": {"match_labels": own},
                # Never fewer than asked for.
                "strategy": {"rolling_update": {"max_unavailable": 0, "max_surge": 1}},
                "template": template,
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*after, *args.store.ready],
                delete_before_replace=True,
            ),
        )

    def _ask_the_cluster(self) -> pulumi.Resource:
        """See which namespaces are workspaces; what callers may do is asked with their tokens."""
        name, args = self._name, self._args
        role = cluster_role(f"{name}-workspaces", LOOKS, self._marks, self)
        return bind_everywhere(
            f"{name}-workspaces", role.metadata.name, name, args.namespace, self._marks, self
        )

    def _container(self, secrets: Sequence[k8s.core.v1.Secret]) -> k8s.core.v1.ContainerArgsDict:
        args = self._args
        reach = Reach(
            service=self._name,
            port=PORT,
            hosts=args.hosts,
            origins=args.origins,
            node_port=args.node_port,
        )
        return container(
            {
                "name": APP,
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "command": ["/usr/local/bin/mlflow-serve"],
                "ports": [{"name": "http", "container_port": PORT}],
                "env": environment(
                    reach,
                    args.namespace,
                    args.store.uri,
                    {
                        **args.database.environment,
                        **args.store.environment,
                        **args.login.environment,
                    },
                    {
                        **connection_pool(args.replicas, args.workers),
                        **(WORKSPACES if args.api_server else {}),
                    },
                    workers=args.workers,
                ),
                "env_from": [{"secret_ref": {"name": s.metadata.name}} for s in secrets],
                "lifecycle": {"pre_stop": {"sleep": {"seconds": DRAIN}}},
                "startup_probe": http_probe("/health", every=2, failures=90),
                "readiness_probe": http_probe("/health", every=5, failures=3),
                "liveness_probe": http_probe("/health", every=20, failures=6),
            },
            # Measured with 3.17.2: 250 MB, and 245 MB for each worker; half again for uploads.
            requests={"cpu": "250m", "memory": f"{256 + 256 * args.workers}Mi"},
            memory_limit=f"{1024 + 512 * args.workers}Mi",
            scratch=SCRATCH,
            mounts=args.login.mounts,
        )

    def _keep_one_during_drains(self) -> None:
        k8s.policy.v1.PodDisruptionBudget(
            f"{self._name}-budget",
            metadata=metadata(self._args.namespace, self._marks),
            spec={
                "min_available": 1,
                "selector": {"match_labels": selector(APP, self._name, "server")},
            },
            opts=self._child,
        )

    def _service(self) -> k8s.core.v1.Service:
        args = self._args
        port: k8s.core.v1.ServicePortArgsDict = {
            "name": "http",
            "port": PORT,
            "target_port": "http",
        }
        if args.node_port is not None:
            port["node_port"] = args.node_port
        return k8s.core.v1.Service(
            f"{self._name}-service",
            # The name is in every client's configuration.
            metadata={
                **metadata(args.namespace, self._marks, self._name),
                "annotations": AT_ONCE,
            },
            spec={
                "type": "ClusterIP" if args.node_port is None else "NodePort",
                "selector": selector(APP, self._name, "server"),
                "ports": [port],
            },
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _fence(self) -> Sequence[pulumi.Resource]:
        args = self._args
        callers: list[network.Peer] = [
            {"namespace_selector": {"match_labels": {CLIENT_LABEL: "true"}}, "pod_selector": {}},
            *args.callers,
        ]
        if args.node_port is not None and args.pod_network is not None:
            outside: k8s.networking.v1.IPBlockArgsDict = {
                "cidr": "0.0.0.0/0",
                "except_": [args.pod_network],
            }
            callers.append({"ip_block": outside})
        policy = network.policy(
            f"{self._name}-traffic",
            namespace=args.namespace,
            marks=self._marks,
            pods=selector(APP, self._name, "server"),
            incoming=[network.ingress(callers, PORT)],
            outgoing=network.distinct(
                [
                    *args.database.egress,
                    *args.store.egress,
                    *args.login.egress,
                    *([args.api_server] if args.api_server else []),
                ]
            ),
            opts=self._child,
        )
        return [policy]


def fernet_key(text: str) -> str:
    """32 characters, 190 bits of chance, in the form Fernet reads: base64, URL-safe."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def driver_url(url: str, *, fetched: bool = False) -> str:
    """The database's URL with the driver that is in the image.

    ``fetched``: the cloud keeps the password, so with the plug-in of the image that asks for it.
    """
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return f"{url}{'&' if '?' in url else '?'}plugin={PASSWORD_PLUGIN}" if fetched else url
