"""The parts of a stack and how they are wired; what each part is made of is its own business."""

import pulumi

from components import FencedNamespace, FencedNamespaceArgs, Mlflow, MlflowArgs, onprem
from components.labels import CLIENT_LABEL
from components.mlflow import consumer
from infra import providers
from infra.images import reference
from infra.settings import Settings, load

TRACKING = "mlflow"
"""Name of the tracking server, and of its database and bucket."""


def assemble() -> None:
    """Build the whole stack from its config."""
    settings = load()
    opts = pulumi.ResourceOptions(provider=providers.kubernetes(settings))
    platform = FencedNamespace(
        "platform",
        FencedNamespaceArgs(namespace=settings.namespace, protect=settings.protect),
        opts,
    )
    mlflow = _tracking(settings, platform.namespace, opts)

    pulumi.export("namespace", platform.namespace)
    pulumi.export("mlflowTrackingUri", mlflow.tracking_uri)
    pulumi.export("mlflowNodePort", mlflow.node_port)
    pulumi.export("mlflowClientLabel", f"{CLIENT_LABEL}=true")


def _tracking(
    settings: Settings, namespace: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> Mlflow:
    images, client = settings.images, consumer(namespace, TRACKING)
    database = onprem.Database(
        "database",
        onprem.DatabaseArgs(
            namespace=namespace,
            image=reference(images, "postgres"),
            pull_policy=images.pull_policy,
            database=TRACKING,
            consumers=[client],
            size=settings.database.size,
            storage_class=settings.storage.class_name,
            protect=settings.protect,
        ),
        opts,
    )
    store = onprem.ObjectStore(
        "object-store",
        onprem.ObjectStoreArgs(
            namespace=namespace,
            image=reference(images, "object-store"),
            pull_policy=images.pull_policy,
            bucket=TRACKING,
            consumers=[client],
            size=settings.object_store.size,
            storage_class=settings.storage.class_name,
            protect=settings.protect,
        ),
        opts,
    )
    return Mlflow(
        TRACKING,
        MlflowArgs(
            namespace=namespace,
            image=reference(images, "mlflow"),
            pull_policy=images.pull_policy,
            database=database,
            store=store,
            replicas=settings.mlflow.replicas,
            workers=settings.mlflow.workers,
            hosts=settings.mlflow.hosts,
            origins=settings.mlflow.origins,
            node_port=settings.mlflow.node_port,
            pod_network=settings.cluster.network.pods,
            protect=settings.protect,
        ),
        opts,
    )
