"""What browsers talk to: it sends each request to the hub, to a server or to a service."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import network
from components.hub.names import (
    APP,
    HUB_PORT,
    PROXY_API_PORT,
    PROXY_METRICS_PORT,
    PROXY_PORT,
    PROXY_ROLE,
    VIEWER_PORT,
    hub_pods,
    servers,
    viewer_pods,
)
from components.hub.parts import Part, deployment, service
from components.labels import labels, selector
from components.pods import PullPolicy, Scratch, container, http_probe
from components.tenant import NOTEBOOK_PORT

UID = 10003
SCRATCH = (Scratch(path="/tmp", size="64Mi"),)  # noqa: S108 - a volume of the pod's own


@dataclass(frozen=True, kw_only=True)
class ProxyArgs:
    """Where it runs, and from where it may be called."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    pull_policy: PullPolicy
    hub: pulumi.Input[str]
    """URL of the hub, where everything goes that has no other route."""
    secrets: k8s.core.v1.Secret
    """Has ``PROXY_TOKEN``, which the hub shows when it changes routes."""
    priority: pulumi.Input[str]
    node_port: int | None
    pod_network: str | None
    callers: Sequence[network.Peer] = ()
    """Pods that may call it: the gateway, where there is one."""


class Proxy(pulumi.ComponentResource):
    """One configurable-http-proxy: routes are in its memory, and the hub brings them again."""

    url: pulumi.Output[str]
    api_url: pulumi.Output[str]

    def __init__(
        self, name: str, args: ProxyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:Proxy", name, None, opts)
        self._name, self._args = name, args
        fence = self._fence()
        part = Part(
            namespace=args.namespace, name=name, role=PROXY_ROLE, uid=UID, priority=args.priority
        )
        deployment(
            part,
            self._container(),
            scratch=SCRATCH,
            metrics=PROXY_METRICS_PORT,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[fence]),
        )
        public = service(part, f"{name}-proxy", PROXY_PORT, "http", self, args.node_port)
        api = service(part, f"{name}-proxy-api", PROXY_API_PORT, "api", self)
        self.url = network.service_url(public.metadata.name, args.namespace, PROXY_PORT)
        self.api_url = network.service_url(api.metadata.name, args.namespace, PROXY_API_PORT)
        self.register_outputs({"url": self.url, "api_url": self.api_url})

    def _container(self) -> k8s.core.v1.ContainerArgsDict:
        args = self._args
        return container(
            {
                "name": "proxy",
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "args": [
                    "--ip=0.0.0.0",
                    f"--port={PROXY_PORT}",
                    "--api-ip=0.0.0.0",
                    f"--api-port={PROXY_API_PORT}",
                    "--metrics-ip=0.0.0.0",
                    f"--metrics-port={PROXY_METRICS_PORT}",
                    pulumi.Output.concat("--default-target=", args.hub),
                    pulumi.Output.concat("--error-target=", args.hub, "/hub/error"),
                    "--log-level=warn",
                ],
                "env": [
                    {
                        "name": "CONFIGPROXY_AUTH_TOKEN",
                        "value_from": {
                            "secret_key_ref": {
                                "name": args.secrets.metadata.name,
                                "key": "PROXY_TOKEN",
                            }
                        },
                    }
                ],
                "ports": [
                    {"name": "http", "container_port": PROXY_PORT},
                    {"name": "api", "container_port": PROXY_API_PORT},
                    {"name": "metrics", "container_port": PROXY_METRICS_PORT},
                ],
                "startup_probe": http_probe("/_chp_healthz", every=1, failures=60),
                "readiness_probe": http_probe("/_chp_healthz", every=5, failures=3),
                "liveness_probe": http_probe("/_chp_healthz", every=20, failures=6),
            },
            requests={"cpu": "50m", "memory": "96Mi"},
            memory_limit="512Mi",
            scratch=SCRATCH,
        )

    def _fence(self) -> pulumi.Resource:
        args, name = self._args, self._name
        callers = list(args.callers)
        if args.node_port is not None and args.pod_network is not None:
            callers.append({"ip_block": {"cidr": "0.0.0.0/0", "except_": [args.pod_network]}})
        hub = hub_pods(args.namespace, name)
        incoming = [network.ingress([hub], PROXY_API_PORT)]
        if callers:
            incoming.append(network.ingress(callers, PROXY_PORT))
        return network.policy(
            f"{name}-proxy-traffic",
            namespace=args.namespace,
            marks=labels(APP, name, PROXY_ROLE),
            pods=selector(APP, name, PROXY_ROLE),
            incoming=incoming,
            outgoing=[
                network.egress([hub], HUB_PORT),
                network.egress([viewer_pods(args.namespace, name)], VIEWER_PORT),
                network.egress([servers()], NOTEBOOK_PORT),
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
