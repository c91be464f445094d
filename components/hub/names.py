"""How others meet the hub and its parts: their pods, ports and accounts."""

import pulumi

from components import network
from components.labels import TENANT_LABEL, selector
from components.shapes import Subject

APP = "jupyterhub"
HUB_ROLE, PROXY_ROLE, VIEWER_ROLE = "hub", "proxy", "tracking-ui"
HUB_PORT = 8081
PROXY_PORT = 8000
PROXY_API_PORT = 8001
PROXY_METRICS_PORT = 8002
VIEWER_PORT = 8090


def hub_pods(namespace: pulumi.Input[str], name: str) -> network.Peer:
    """The hub itself."""
    return network.pods_in(namespace, selector(APP, name, HUB_ROLE))


def proxy_pods(namespace: pulumi.Input[str], name: str) -> network.Peer:
    """What browsers talk to."""
    return network.pods_in(namespace, selector(APP, name, PROXY_ROLE))


def viewer_pods(namespace: pulumi.Input[str], name: str) -> network.Peer:
    """What shows people their experiments."""
    return network.pods_in(namespace, selector(APP, name, VIEWER_ROLE))


def servers() -> network.Peer:
    """People's servers, and whatever else runs in tenants' namespaces."""
    return {
        "namespace_selector": {"match_labels": {TENANT_LABEL: "true"}},
        "pod_selector": {},
    }


def spawner(namespace: str, name: str) -> Subject:
    """The account that starts people's servers in tenants' namespaces."""
    return Subject(namespace=namespace, account=f"{name}-{HUB_ROLE}")


def viewer(namespace: str, name: str) -> Subject:
    """The account that asks the tracking server as a tenant."""
    return Subject(namespace=namespace, account=f"{name}-{VIEWER_ROLE}")
