"""Which name leads where."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.labels import labels, metadata

APP = "front-door"
NETWORKING = "networking.istio.io/v1"


@dataclass(frozen=True, kw_only=True)
class Route:
    """A name in front of a Service of the platform."""

    host: str
    namespace: pulumi.Input[str]
    """Of the Service; nobody else's routes count for this name."""
    service: pulumi.Input[str]
    port: int
    pods: "k8s.networking.v1.NetworkPolicyPeerArgsDict"
    """Behind the Service."""
    target_port: int
    """Of the pods."""


def virtual_service(
    name: str, route: Route, gateway: str, opts: pulumi.ResourceOptions
) -> k8s.apiextensions.CustomResource:
    """Everything for the name goes to the Service; websockets too, and answers may take long."""
    address = pulumi.Output.concat(route.service, ".", route.namespace, ".svc.cluster.local")
    return k8s.apiextensions.CustomResource(
        name,
        api_version=NETWORKING,
        kind="VirtualService",
        metadata=metadata(route.namespace, labels(APP, name, "route")),
        spec={
            "hosts": [route.host],
            "gateways": [gateway],
            "http": [
                {
                    "route": [{"destination": {"host": address, "port": {"number": route.port}}}],
                    # No timeout either: uploads and idle notebooks end when they end.
                    "retries": {"attempts": 0},
                }
            ],
        },
        opts=opts,
    )
