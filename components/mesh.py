"""Istio's definitions and its control plane, which tells gateways where to send what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components import charts, network
from components.labels import AT_ONCE, labels
from components.namespace import FencedNamespace, FencedNamespaceArgs

APP = "mesh"
NAMESPACE = "istio-system"
XDS_PORT = 15012
WEBHOOK_PORT = 15017
CONTROL_PLANE = {"app": "istiod"}
UPSTREAM_ENVOY = {
    "env": {"PILOT_ENABLE_ALPN_FILTER": "false", "PILOT_ENABLE_METADATA_EXCHANGE": "false"},
    "telemetry": {"enabled": False},
}
"""Without these istiod sends filters that only Istio's own build of Envoy knows, and an Envoy of
another build refuses everything that came with them."""

CLUSTER_AUTHORITY = {
    "name": "kube-root-ca.crt",
    "items": [{"key": "ca.crt", "path": "extra.pem"}],
}
MOUNTS = [
    {"name": "injection", "mountPath": "/var/lib/istio/inject", "readOnly": True},
    {"name": "authority", "mountPath": "/cacerts", "readOnly": True},
]
"""istiod looks once, when it starts, for what it adds to gateways' pods, and without it adds
nothing for ever. As a volume it is there first, in whatever order a chart's objects are made.
With the cluster's authority it believes the API server, which it asks for keys of tokens."""


@dataclass(frozen=True, kw_only=True)
class MeshArgs:
    """Where its manifests and images are from."""

    base: Path
    """Folder of the official chart of the definitions."""
    istiod: Path
    """Folder of the official chart of the control plane."""
    pilot: pulumi.Input[str]
    """Image of the control plane."""
    proxy: pulumi.Input[str]
    """Image of gateways."""
    upstream_envoy: bool
    """Whether ``proxy`` has an Envoy without Istio's own filters."""
    pull_policy: str
    replicas: int
    revision: str
    """What this control plane is called: part of its objects' names, and a label of the pods it
    tells what to do. One of another name is up before the pods leave the old one."""
    api_server: network.Egress
    gateways: network.Peer
    """Pods that ask it what to do."""
    nodes: str | None = None
    """CIDR of the machines that the API server calls webhooks from."""
    namespace: str = NAMESPACE
    protect: bool = True


class Mesh(pulumi.ComponentResource):
    """What a gateway needs to be one."""

    def __init__(
        self, name: str, args: MeshArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:Mesh", name, None, opts)
        self._name, self._args = name, args
        child = pulumi.ResourceOptions(parent=self)
        fenced = FencedNamespace(
            name, FencedNamespaceArgs(namespace=args.namespace, protect=args.protect), child
        )
        fence = network.policy(
            f"{name}-traffic",
            namespace=fenced.namespace,
            marks=labels(APP, name, "fence"),
            pods=CONTROL_PLANE,
            incoming=[
                network.ingress([args.gateways], XDS_PORT),
                charts.from_api_server(args.nodes, WEBHOOK_PORT),
            ],
            outgoing=[args.api_server],
            opts=child,
        )
        base = charts.render(
            f"{name}-base",
            release="istio-base",
            folder=args.base,
            namespace=fenced.namespace,
            # istiod's own webhook checks everything; a second one for the default revision is
            # for installations of several.
            values={"defaultRevision": "", "global": {"istioNamespace": args.namespace}},
            opts=child,
        )
        self._ready = charts.render(
            f"{name}-istiod",
            release="istiod",
            folder=args.istiod,
            namespace=fenced.namespace,
            values=self._values(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[base, fence]),
        )
        self.register_outputs({})

    @property
    def ready(self) -> pulumi.Resource:
        """What gateways and routes depend on: the control plane answers."""
        return self._ready

    def _values(self) -> dict[str, Any]:
        args = self._args
        return {
            "image": args.pilot,
            "revision": args.revision,
            "serviceAnnotations": AT_ONCE,
            "autoscaleEnabled": False,
            "replicaCount": args.replicas,
            "resources": {
                "requests": {"cpu": "50m", "memory": "192Mi"},
                "limits": {"cpu": "2", "memory": "1Gi"},
            },
            "seccompProfile": {"type": "RuntimeDefault"},
            "volumes": [
                {
                    "name": "injection",
                    "configMap": {"name": f"istio-sidecar-injector-{args.revision}"},
                },
                {"name": "authority", "configMap": CLUSTER_AUTHORITY},
            ],
            "volumeMounts": MOUNTS,
            "meshConfig": {
                # Ways in are Gateways: no Ingress, whoever makes it, takes a name.
                "ingressControllerMode": "OFF",
                # Paths such as //x and /a%2Fb are what they mean before any rule looks at them.
                "pathNormalization": {"normalization": "DECODE_AND_MERGE_SLASHES"},
                "accessLogFile": "/dev/stdout",
            },
            "global": {
                "istioNamespace": args.namespace,
                "imagePullPolicy": args.pull_policy,
                "proxy": {"image": args.proxy, "seccompProfile": {"type": "RuntimeDefault"}},
            },
            **(UPSTREAM_ENVOY if args.upstream_envoy else {}),
        }
