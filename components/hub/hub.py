"""JupyterHub as a whole: the hub itself, and the proxy and the experiments page around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components import network, shapes
from components.hub.names import (
    APP,
    HUB_PORT,
    HUB_ROLE,
    PROXY_API_PORT,
    PROXY_PORT,
    VIEWER_PORT,
    VIEWER_ROLE,
    hub_pods,
    proxy_pods,
    servers,
    viewer_pods,
)
from components.hub.parts import Part, deployment, service
from components.hub.profiles import Profile
from components.hub.proxy import Proxy, ProxyArgs
from components.hub.puller import Puller, PullerArgs
from components.hub.told import Login, Pool, Servers, Team, document
from components.hub.viewer import Viewer, ViewerArgs
from components.labels import labels, metadata, selector
from components.mlflow import driver_url
from components.pods import PullPolicy, Scratch, container, http_probe
from components.secrets import password, secret
from components.tenant import NOTEBOOK_PORT

UID = 10002
SECRET_LENGTH = 48
PASSWORD_LENGTH = 16
PRIORITY = 100_000
"""Above people's work, which has none, and below the cluster's own parts."""
SCRATCH = (Scratch(path="/tmp", size="256Mi"),)  # noqa: S108 - a volume of the pod's own
TOLD = "/etc/spillway"
KEYS = ("cookie", "crypt", "proxy", "viewer", "viewer-cookie", "metrics")


@dataclass(frozen=True, kw_only=True)
class JupyterHubArgs:
    """Who may log in, what he may start, and where."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    proxy_image: pulumi.Input[str]
    pull_policy: PullPolicy
    login: Login
    login_secret: pulumi.Input[str] | None
    """What the provider gave; without it a password is made, which everybody shares."""
    teams: Mapping[str, Team]
    profiles: Mapping[str, Profile]
    servers: Servers
    database: shapes.Database
    """Of the hub's own."""
    tracking: network.Peer
    tracking_uri: pulumi.Input[str]
    tracking_port: int
    api_server: network.Egress
    node_port: int | None = None
    pod_network: str | None = None
    """CIDR of the cluster's pods; needed with ``node_port``, which lets in everyone else."""
    callers: Sequence[network.Peer] = ()
    """Pods that may call it: the gateway, where there is one."""
    pools: Mapping[str, Pool] = field(default_factory=dict[str, Pool])
    """What the page says of GPUs, by the queue's flavor, in the order in which they fill up."""
    pull: Sequence[pulumi.Input[str]] = ()
    """Images that every node keeps, so that servers start at once."""
    protect: bool = True

    def __post_init__(self) -> None:
        if self.node_port is not None and self.pod_network is None:
            raise ValueError("node_port needs pod_network, or every pod passes as an outsider")


class JupyterHub(pulumi.ComponentResource):
    """One hub for all tenants; every server runs in its tenant's namespace."""

    url: pulumi.Output[str]
    """In-cluster URL of the door that browsers use."""
    node_port: pulumi.Output[int | None]
    password: pulumi.Output[str] | None
    """Of the login that everybody shares, where there is no provider; secret."""

    def __init__(
        self, name: str, args: JupyterHubArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:JupyterHub", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._keys = {key: self._key(key) for key in KEYS}
        self.password = None
        login_secret = args.login_secret
        if login_secret is None:
            self.password = login_secret = self._key("password", PASSWORD_LENGTH)
        priority = k8s.scheduling.v1.PriorityClass(
            f"{name}-priority",
            metadata={"labels": labels(APP, name, "priority")},
            value=PRIORITY,
            description="Spillway's own pods, before people's work",
            opts=self._child,
        ).metadata.name
        hub = network.service_url(f"{name}-hub", args.namespace, HUB_PORT)
        proxy = self._proxy(hub, priority)
        self._viewer(hub, priority)
        self._hub(hub, priority, login_secret)
        if args.pull:
            Puller(
                f"{name}-puller",
                PullerArgs(
                    namespace=args.namespace, images=args.pull, pull_policy=args.pull_policy
                ),
                self._child,
            )
        self.url = proxy.url
        self.node_port = pulumi.Output.from_input(args.node_port)
        self.register_outputs(
            {"url": self.url, "node_port": self.node_port, "password": self.password}
        )

    def _key(self, what: str, length: int = SECRET_LENGTH) -> pulumi.Output[str]:
        name, protect = f"{self._name}-{what}-key", self._args.protect
        return password(name, length, protect=protect, parent=self)

    def _secret(self, role: str, content: Mapping[str, pulumi.Input[str]]) -> k8s.core.v1.Secret:
        namespace = self._args.namespace
        return secret(APP, self._name, role, content, namespace=namespace, parent=self)

    def _proxy(self, hub: pulumi.Output[str], priority: pulumi.Output[str]) -> Proxy:
        args = self._args
        return Proxy(
            self._name,
            ProxyArgs(
                namespace=args.namespace,
                image=args.proxy_image,
                pull_policy=args.pull_policy,
                hub=hub,
                secrets=self._secret("proxy-keys", {"PROXY_TOKEN": self._keys["proxy"]}),
                priority=priority,
                node_port=args.node_port,
                pod_network=args.pod_network,
                callers=args.callers,
            ),
            self._child,
        )

    def _viewer(self, hub: pulumi.Output[str], priority: pulumi.Output[str]) -> Viewer:
        args = self._args
        keys = {
            "JUPYTERHUB_API_TOKEN": self._keys["viewer"],
            "VIEWER_COOKIE_SECRET": self._keys["viewer-cookie"],
        }
        return Viewer(
            self._name,
            ViewerArgs(
                namespace=args.namespace,
                image=args.image,
                pull_policy=args.pull_policy,
                hub=hub,
                tracking=args.tracking,
                tracking_uri=args.tracking_uri,
                tracking_port=args.tracking_port,
                api_server=args.api_server,
                secrets=self._secret("viewer-keys", keys),
                priority=priority,
            ),
            self._child,
        )

    def _hub(
        self,
        hub: pulumi.Output[str],
        priority: pulumi.Output[str],
        login_secret: pulumi.Input[str],
    ) -> None:
        args, name = self._args, self._name
        told = k8s.core.v1.ConfigMap(
            f"{name}-told",
            metadata=metadata(args.namespace, labels(APP, name, HUB_ROLE)),
            data={"hub.json": self._document(hub)},
            opts=self._child,
        )
        database = args.database.url.apply(driver_url)
        secrets = self._secret(
            "hub-keys",
            {
                "HUB_DATABASE_URL": database,
                "HUB_COOKIE_SECRET": self._keys["cookie"],
                "HUB_CRYPT_KEY": self._keys["crypt"],
                "PROXY_TOKEN": self._keys["proxy"],
                "VIEWER_TOKEN": self._keys["viewer"],
                "METRICS_TOKEN": self._keys["metrics"],
                "LOGIN_SECRET": login_secret,
            },
        )
        part = Part(namespace=args.namespace, name=name, role=HUB_ROLE, uid=UID, priority=priority)
        deployment(
            part,
            self._container(secrets),
            scratch=SCRATCH,
            volumes=[{"name": "told", "config_map": {"name": told.metadata.name}}],
            token=True,
            metrics=HUB_PORT,
            path="/hub/metrics",
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*args.database.ready, self._fence()]
            ),
        )
        service(part, f"{name}-hub", HUB_PORT, "http", self)

    def _document(self, hub: pulumi.Output[str]) -> pulumi.Output[str]:
        args, name = self._args, self._name

        def at(service: str, port: int) -> pulumi.Output[str]:
            return network.service_url(f"{name}-{service}", args.namespace, port)

        return document(
            hub=hub,
            proxy_api=at("proxy-api", PROXY_API_PORT),
            viewer=at(VIEWER_ROLE, VIEWER_PORT),
            login=args.login,
            teams=args.teams,
            profiles=args.profiles,
            servers=args.servers,
            pools=args.pools,
        )

    def _container(self, secrets: k8s.core.v1.Secret) -> k8s.core.v1.ContainerArgsDict:
        args = self._args
        return container(
            {
                "name": "hub",
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "ports": [{"name": "http", "container_port": HUB_PORT}],
                "env": [{"name": "MLFLOW_TRACKING_URI", "value": args.tracking_uri}],
                "env_from": [{"secret_ref": {"name": secrets.metadata.name}}],
                # Two minutes: it brings its database up to date, and finds all servers again.
                "startup_probe": http_probe("/hub/health", every=2, failures=90),
                "readiness_probe": http_probe("/hub/health", every=5, failures=3),
                "liveness_probe": http_probe("/hub/health", every=20, failures=6),
            },
            requests={"cpu": "100m", "memory": "256Mi"},
            memory_limit="1Gi",
            scratch=SCRATCH,
            mounts=[{"name": "told", "mount_path": TOLD, "read_only": True}],
        )

    def _fence(self) -> pulumi.Resource:
        args, name = self._args, self._name
        people = servers()
        proxy, viewer = proxy_pods(args.namespace, name), viewer_pods(args.namespace, name)
        # Where the login's provider is, nobody knows before he is asked.
        world: network.Egress = {
            "to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": [network.LINK_LOCAL]}}],
            "ports": [{"protocol": "TCP", "port": port} for port in self._provider_ports()],
        }
        provider = [world] if self.password is None else []
        return network.policy(
            f"{name}-hub-traffic",
            namespace=args.namespace,
            marks=labels(APP, name, HUB_ROLE),
            pods=selector(APP, name, HUB_ROLE),
            incoming=[
                network.ingress([proxy, viewer, people, hub_pods(args.namespace, name)], HUB_PORT)
            ],
            outgoing=[
                network.egress([proxy], PROXY_API_PORT),
                network.egress([proxy], PROXY_PORT),
                network.egress([viewer], VIEWER_PORT),
                network.egress([people], NOTEBOOK_PORT),
                args.api_server,
                *args.database.egress,
                *provider,
            ],
            opts=self._child,
        )

    def _provider_ports(self) -> Sequence[int]:
        """HTTPS, and what the issuer's URL names."""
        issuer = self._args.login.issuer or ""
        port = issuer.split("//")[-1].partition("/")[0].rpartition(":")[2]
        return [443, int(port)] if port.isdigit() and port != "443" else [443]
