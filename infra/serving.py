"""The models of a stack: the operator, who may call what, and a deployment for each."""

from collections.abc import Mapping
from dataclasses import replace

import pulumi

from components import Mlflow, network
from components.cluster.gpu_pods import Gpus
from components.door import (
    CHOSEN,
    GATEWAY,
    ModelAccess,
    ModelAccessArgs,
    Open,
    RequestMeter,
    RequestMeterArgs,
)
from components.door.meter import NAME as METER
from components.model import ModelDeployment, ModelDeploymentArgs, Scaling, Version, path
from components.model_pod import Images
from components.seldon import Seldon, SeldonArgs, definition
from infra import charts, registry
from infra.clouds import Foundation
from infra.doors import Certificates
from infra.front_door import Door, operator
from infra.images import tagged
from infra.models import CPU_PERCENT, Gpu, Model, Strategy, count_requests
from infra.pools import BURST_SECONDS, bursts
from infra.settings import Settings
from infra.teams import Team

SELDON = "seldon"
ALL = 100
"""Percent."""
FETCHER_PYTHON, FETCHER_UID = "/opt/fetch/bin/python", 10005
"""Of images/storage-initializer."""


def build(  # noqa: PLR0913, PLR0917 - what models are served with
    settings: Settings,
    door: Door,
    foundation: Foundation,
    mlflow: Mlflow,
    teams: Mapping[str, Team],
    opts: pulumi.ResourceOptions,
) -> dict[str, str]:
    """Every model of the stack: its address, by its name."""
    ready = [_access(settings, door, opts), _operator(settings, door, opts).ready]
    if count_requests(settings.models):
        _meter(settings, door, foundation, opts)
    run = images(settings, foundation)
    served, aliases = dict[str, str](), registry.numbered(settings)
    for name, model in settings.models.items():
        team = teams[model.tenant]
        made = ModelDeployment(
            f"model-{name}",
            ModelDeploymentArgs(
                model=name,
                namespace=team.tenant.namespace,
                tenant=model.tenant,
                versions=versions(model, aliases),
                host=door.models,
                images=_own(run, model),
                tracking_uri=mlflow.tracking_uri,
                storage=team.storage,
                ready=ready,
                replicas=model.replicas,
                scaling=scaling(model),
                cpu=model.resources.cpu,
                memory=model.resources.memory,
                start_seconds=model.start_seconds,
                gpus=gpus(model.gpu),
                queue_seconds=patience(settings, model.gpu),
            ),
            opts,
        )
        served[name] = f"{door.urls['models']}{made.path}"
    return served


def images(settings: Settings, foundation: Foundation) -> Images:
    """What pods of models run."""
    return Images(
        server=_image(settings, foundation, "model-server"),
        fetcher=_image(settings, foundation, "storage-initializer"),
        pull_policy=settings.images.pull_policy,
    )


def _own(images: Images, model: Model) -> Images:
    """The same, but for a server that the stack file names for this model."""
    return replace(images, server=model.image) if model.image else on_gpus(images, model.gpu)


def on_gpus(images: Images, gpu: Gpu | None) -> Images:
    """The same, but for a server that the stack file names for GPUs."""
    return replace(images, server=gpu.image) if gpu and gpu.image else images


def gpus(gpu: Gpu | None) -> Gpus | None:
    """As a deployment takes them."""
    return Gpus(accelerator=gpu.accelerator.value, count=gpu.count) if gpu else None


def patience(settings: Settings, gpu: Gpu | None) -> int:
    """Seconds that servers may wait for a machine of a cloud."""
    return BURST_SECONDS if gpu and bursts(settings, gpu.accelerator.value) else 0


def versions(model: Model, aliases: Mapping[tuple[str, str], str]) -> list[Version]:
    """As a deployment takes them: aliases resolved, every share said, and the shadow known."""
    shadowed = model.strategy is Strategy.SHADOW
    return [
        Version(
            uri=aliases.get((model.tenant, version.uri), version.uri),
            traffic=ALL if version.traffic is None else version.traffic,
            shadow=shadowed and at > 0,
        )
        for at, version in enumerate(model.versions)
    ]


def scaling(model: Model) -> Scaling | None:
    """As a deployment takes it."""
    said = model.autoscaling
    if said is None:
        return None
    unsaid = CPU_PERCENT if said.requests_per_second is None else None
    return Scaling(
        most=said.max_replicas,
        cpu_percent=unsaid if said.cpu_percent is None else said.cpu_percent,
        requests=said.requests_per_second,
        calm_seconds=said.calm_seconds,
    )


def _operator(settings: Settings, door: Door, opts: pulumi.ResourceOptions) -> Seldon:
    nodes = settings.cluster.network.nodes
    defined = definition(f"{SELDON}-definition", charts.manifest("seldon-crd"), opts)
    return Seldon(
        SELDON,
        SeldonArgs(
            role=charts.manifest("seldon-role"),
            image=operator(settings, "seldon-operator"),
            pull_policy=settings.images.pull_policy,
            gateway=GATEWAY,
            api_server=network.to_api_server(nodes),
            ready=[defined, *door.ready],
            nodes=nodes,
            protect=settings.protects(SELDON),
        ),
        opts,
    )


def _meter(
    settings: Settings, door: Door, foundation: Foundation, opts: pulumi.ResourceOptions
) -> RequestMeter:
    nodes = settings.cluster.network.nodes
    return RequestMeter(
        METER,
        RequestMeterArgs(
            namespace=door.gateway.namespace,
            # Wherever there are models, it is there already.
            image=_image(settings, foundation, "storage-initializer"),
            python=FETCHER_PYTHON,
            uid=FETCHER_UID,
            pull_policy=settings.images.pull_policy,
            api_server=network.to_api_server(nodes),
            nodes=nodes,
            ready=[door.gateway, *door.ready],
        ),
        opts,
    )


def _access(settings: Settings, door: Door, opts: pulumi.ResourceOptions) -> ModelAccess:
    cluster = settings.cluster
    return ModelAccess(
        "model-access",
        ModelAccessArgs(
            namespace=door.gateway.namespace,
            chosen=CHOSEN,
            host=door.models,
            others=door.others,
            issuer=cluster.issuer or "",
            jwks=cluster.jwks,
            tenants=list(settings.tenants),
            anonymous=[
                Open(tenant=model.tenant, model=name, path=path(model.tenant, name))
                for name, model in settings.models.items()
                if model.anonymous
            ],
            challenges=settings.front_door.certificates is Certificates.ACME,
            ready=door.ready,
        ),
        opts,
    )


def _image(settings: Settings, foundation: Foundation, name: str) -> pulumi.Output[str]:
    return pulumi.Output.concat(foundation.registry, "/", tagged(settings.images, name))
