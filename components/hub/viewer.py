"""The page that shows people their teams' experiments, behind the hub's login."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import network
from components.hub.names import (
    APP,
    HUB_PORT,
    VIEWER_PORT,
    VIEWER_ROLE,
    hub_pods,
    proxy_pods,
)
from components.hub.parts import Part, deployment, service
from components.labels import labels, selector
from components.mlflow_env import variables
from components.pods import PullPolicy, Scratch, container, http_probe

UID = 10002
PATH = "/services/experiments/"
SCRATCH = (Scratch(path="/tmp", size="256Mi"),)  # noqa: S108 - a volume of the pod's own


@dataclass(frozen=True, kw_only=True)
class ViewerArgs:
    """Whom it asks."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    """The hub's."""
    pull_policy: PullPolicy
    hub: pulumi.Input[str]
    tracking: network.Peer
    tracking_uri: pulumi.Input[str]
    tracking_port: int
    api_server: network.Egress
    secrets: k8s.core.v1.Secret
    """Has ``JUPYTERHUB_API_TOKEN`` and ``VIEWER_COOKIE_SECRET``."""
    priority: pulumi.Input[str]


class Viewer(pulumi.ComponentResource):
    """Hands requests on to the tracking server in the name of the team they are for."""

    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: ViewerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:Viewer", name, None, opts)
        self._name, self._args = name, args
        fence = self._fence()
        part = Part(
            namespace=args.namespace, name=name, role=VIEWER_ROLE, uid=UID, priority=args.priority
        )
        deployment(
            part,
            self._container(),
            scratch=SCRATCH,
            token=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[fence]),
        )
        made = service(part, f"{name}-{VIEWER_ROLE}", VIEWER_PORT, "http", self)
        self.url = network.service_url(made.metadata.name, args.namespace, VIEWER_PORT)
        self.register_outputs({"url": self.url})

    def _container(self) -> k8s.core.v1.ContainerArgsDict:
        args = self._args
        return container(
            {
                "name": "viewer",
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "command": ["/opt/hub/bin/python", "-m", "spillway_hub.viewer"],
                "ports": [{"name": "http", "container_port": VIEWER_PORT}],
                "env": variables(
                    {
                        "MLFLOW_TRACKING_URI": args.tracking_uri,
                        "JUPYTERHUB_API_URL": pulumi.Output.concat(args.hub, "/hub/api"),
                        "JUPYTERHUB_BASE_URL": "/",
                        "JUPYTERHUB_SERVICE_NAME": "experiments",
                        "JUPYTERHUB_SERVICE_PREFIX": PATH,
                        "JUPYTERHUB_CLIENT_ID": "service-experiments",
                        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PATH}oauth_callback",
                        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:services!service=experiments"]',
                    }
                ),
                "env_from": [{"secret_ref": {"name": args.secrets.metadata.name}}],
                "startup_probe": http_probe("/health", every=2, failures=60),
                "readiness_probe": http_probe("/health", every=5, failures=3),
                "liveness_probe": http_probe("/health", every=20, failures=6),
            },
            requests={"cpu": "50m", "memory": "128Mi"},
            memory_limit="512Mi",
            scratch=SCRATCH,
        )

    def _fence(self) -> pulumi.Resource:
        args, name = self._args, self._name
        return network.policy(
            f"{name}-viewer-traffic",
            namespace=args.namespace,
            marks=labels(APP, name, VIEWER_ROLE),
            pods=selector(APP, name, VIEWER_ROLE),
            incoming=[
                network.ingress(
                    [proxy_pods(args.namespace, name), hub_pods(args.namespace, name)], VIEWER_PORT
                )
            ],
            outgoing=[
                network.egress([hub_pods(args.namespace, name)], HUB_PORT),
                network.egress([args.tracking], args.tracking_port),
                args.api_server,
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
