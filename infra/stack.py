"""The parts of a stack and how they are wired; what each part is made of is its own business."""

import pulumi

from components import FencedNamespace, FencedNamespaceArgs, Mlflow, MlflowArgs
from components.door import gateway_pods
from components.hub import viewer_pods
from components.labels import CLIENT_LABEL
from components.network import to_api_server
from infra import front_door, machines, notebooks, providers, queues, scoring, serving, teams
from infra.clouds import HUB, TRACKING, Foundation, pick
from infra.images import tagged
from infra.settings import Settings, load


def assemble() -> None:
    """Build the whole stack from its config."""
    settings = load()
    cluster = providers.kubernetes(settings)
    opts = pulumi.ResourceOptions(provider=cluster)
    platform = FencedNamespace(
        "platform",
        FencedNamespaceArgs(namespace=settings.namespace, protect=settings.protects("platform")),
        opts,
    )
    foundation = pick(settings).build(settings, platform.namespace, cluster)
    built = teams.build(settings, platform.namespace, foundation, opts)
    if pools := queues.in_order(settings):
        queues.build(settings, pools, [team.tenant for team in built.values()], opts)
        machines.build(settings, platform.namespace, foundation, opts)
    mlflow = _tracking(settings, platform.namespace, foundation, opts)
    if settings.domain is not None:
        door = front_door.build(settings, settings.domain, platform.namespace, opts)
        pulumi.export("frontDoor", door.urls)
        if settings.models:
            served = serving.build(settings, door, foundation, mlflow, built, opts)
            pulumi.export("models", served)
    scoring.build(settings, foundation, mlflow, built, opts)
    if settings.login is not None:
        hub = notebooks.build(
            settings, settings.login, platform.namespace, foundation, mlflow, built, opts
        )
        pulumi.export("hubUrl", hub.url)
        pulumi.export("hubNodePort", hub.node_port)
        pulumi.export("hubPassword", hub.password)

    pulumi.export("namespace", platform.namespace)
    pulumi.export("mlflowTrackingUri", mlflow.tracking_uri)
    pulumi.export("mlflowNodePort", mlflow.node_port)
    pulumi.export("mlflowClientLabel", f"{CLIENT_LABEL}=true")
    for name, value in foundation.exports.items():
        pulumi.export(name, value)


def _tracking(
    settings: Settings,
    namespace: pulumi.Output[str],
    foundation: Foundation,
    opts: pulumi.ResourceOptions,
) -> Mlflow:
    image = tagged(settings.images, "mlflow")
    return Mlflow(
        TRACKING,
        MlflowArgs(
            namespace=namespace,
            image=pulumi.Output.concat(foundation.registry, "/", image),
            pull_policy=settings.images.pull_policy,
            database=foundation.database,
            store=foundation.store,
            login=foundation.tracking,
            callers=[viewer_pods(namespace, HUB), *([gateway_pods()] if settings.domain else [])],
            # Without tenants there is nobody to keep apart.
            api_server=to_api_server(settings.cluster.network.nodes) if settings.tenants else None,
            replicas=settings.mlflow.replicas,
            workers=settings.mlflow.workers,
            hosts=front_door.tracking_hosts(settings),
            origins=settings.mlflow.origins,
            node_port=settings.mlflow.node_port,
            pod_network=settings.cluster.network.pods,
            protect=settings.protects(TRACKING),
        ),
        opts,
    )
