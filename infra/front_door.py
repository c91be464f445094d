"""The way in of a stack: mesh, certificates and gateway, and which names lead where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi

from components import network
from components.certificates import PARTS, SOLVER, AcmeTraffic, CertManager, CertManagerArgs
from components.door import (
    Acme,
    FrontDoor,
    FrontDoorArgs,
    GivenSecret,
    OwnAuthority,
    Route,
    gateway_pods,
    meter_pods,
)
from components.door.gateway import HTTPS
from components.door.plain import HTTP_POD
from components.hub import proxy_pods
from components.hub.names import PROXY_PORT
from components.mesh import CONTROL_PLANE, XDS_PORT, Mesh, MeshArgs
from components.mesh import NAMESPACE as MESH_NAMESPACE
from components.mlflow import PORT as TRACKING_PORT
from components.mlflow import consumer
from components.tenant import MODEL_PORTS, model_pods
from infra import charts
from infra.clouds import HUB, TRACKING
from infra.doors import Certificates
from infra.doors import FrontDoor as Section
from infra.images import LOADED, operator_image
from infra.models import count_requests
from infra.sections import Operators
from infra.settings import Settings

HUB_HOST, TRACKING_HOST, MODELS_HOST = "hub", "mlflow", "models"


@dataclass(frozen=True, kw_only=True)
class Door:
    """The door of a stack, and what stands behind it."""

    gateway: FrontDoor
    models: str
    """The name of all models."""
    others: Sequence[str]
    """The names besides."""
    ready: Sequence[pulumi.Resource]
    """Mesh and certificates."""
    urls: Mapping[str, str]
    """What people open, by what it is."""


def build(
    settings: Settings, domain: str, namespace: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> Door:
    """One door for hub, tracking and models."""
    section, nodes = settings.front_door, settings.cluster.network.nodes
    api_server = network.to_api_server(nodes)
    certificates = CertManager(
        "cert-manager",
        CertManagerArgs(
            chart=charts.chart("cert-manager"),
            images={p: operator(settings, f"cert-manager-{p}") for p in (*PARTS, SOLVER)},
            pull_policy=settings.images.pull_policy.value,
            api_server=api_server,
            nodes=nodes,
            acme=_acme_traffic(section),
            protect=settings.protects("cert-manager"),
        ),
        opts,
    )
    mesh = Mesh(
        "mesh",
        MeshArgs(
            base=charts.chart("istio-base"),
            istiod=charts.chart("istiod"),
            pilot=operator(settings, "istio-pilot"),
            proxy=operator(settings, "istio-proxy"),
            upstream_envoy=settings.images.operators is Operators.BUILT,
            pull_policy=settings.images.pull_policy.value,
            replicas=section.replicas,
            revision=revision(settings),
            api_server=api_server,
            gateways=gateway_pods(),
            nodes=nodes,
            protect=settings.protects("mesh"),
        ),
        opts,
    )
    routes, models = _routes(settings, domain, namespace), f"{MODELS_HOST}.{domain}"
    ready = [mesh.ready, certificates.ready]
    gateway = FrontDoor(
        "front-door",
        FrontDoorArgs(
            chart=charts.chart("istio-gateway"),
            models=models,
            routes=routes,
            servers=[network.egress([model_pods()], *MODEL_PORTS)] if settings.models else (),
            signer=_signer(settings),
            meters=[meter_pods()] if count_requests(settings.models) else (),
            control_plane=network.egress(
                [network.pods_in(MESH_NAMESPACE, CONTROL_PLANE)], XDS_PORT
            ),
            revision=revision(settings),
            ready=ready,
            pull_policy=settings.images.pull_policy.value,
            replicas=section.replicas,
            node_ports=_node_ports(settings),
            protect=settings.protects("front-door"),
        ),
        opts,
    )
    return Door(
        gateway=gateway,
        models=models,
        others=[route.host for route in routes],
        ready=ready,
        urls=_urls(settings, domain),
    )


def revision(settings: Settings) -> str:
    """The control plane's: another for every version of Istio, unless the stack file says one."""
    return settings.front_door.revision or charts.release("istiod").replace(".", "-")


def tracking_hosts(settings: Settings) -> Sequence[str]:
    """Names under which clients reach the tracking server."""
    own = [f"{TRACKING_HOST}.{settings.domain}"] if settings.domain else []
    return list(dict.fromkeys([*settings.mlflow.hosts, *own]))


def operator(settings: Settings, name: str) -> str:
    """The image of somebody else's operator."""
    if settings.images.operators is Operators.OFFICIAL:
        return charts.official_image(name)
    return f"{settings.images.registry or LOADED}/{operator_image(name)}"


def _routes(settings: Settings, domain: str, namespace: pulumi.Output[str]) -> list[Route]:
    tracking = Route(
        host=f"{TRACKING_HOST}.{domain}",
        namespace=namespace,
        service=TRACKING,
        port=TRACKING_PORT,
        pods=consumer(namespace, TRACKING),
        target_port=TRACKING_PORT,
    )
    if settings.login is None:
        return [tracking]
    hub = Route(
        host=f"{HUB_HOST}.{domain}",
        namespace=namespace,
        service=f"{HUB}-proxy",
        port=PROXY_PORT,
        pods=proxy_pods(namespace, HUB),
        target_port=PROXY_PORT,
    )
    return [hub, tracking]


def _signer(settings: Settings) -> Acme | OwnAuthority | GivenSecret:
    section = settings.front_door
    match section.certificates:
        case Certificates.ACME:
            return Acme(
                server=section.server, email=section.email or "", authority=section.authority
            )
        case Certificates.OWN:
            return OwnAuthority()
        case Certificates.GIVEN:
            return GivenSecret(name=section.secret or "")


def _acme_traffic(section: Section) -> AcmeTraffic | None:
    if section.certificates is not Certificates.ACME:
        return None
    port = urlsplit(section.server).port or HTTPS
    return AcmeTraffic(port=port, door=network.egress([gateway_pods()], HTTP_POD))


def _node_ports(settings: Settings) -> tuple[int, int] | None:
    ports = settings.front_door.node_ports
    return (ports.http, ports.https) if ports else None


def _urls(settings: Settings, domain: str) -> dict[str, str]:
    ports = settings.front_door.node_ports
    port = f":{ports.https}" if ports else ""
    names = {"tracking": TRACKING_HOST, "models": MODELS_HOST}
    if settings.login is not None:
        names = {"hub": HUB_HOST, **names}
    return {what: f"https://{name}.{domain}{port}" for what, name in names.items()}
