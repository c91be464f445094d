"""No cloud: database and bucket are pods of the cluster itself."""

import pulumi

from components import onprem
from components.mlflow import consumer
from infra.clouds import HUB, TRACKING, Foundation, hub_guest
from infra.images import LOADED, tagged
from infra.settings import Settings


def build(
    settings: Settings, namespace: pulumi.Output[str], cluster: pulumi.ProviderResource
) -> Foundation:
    """Two servers, each with a volume."""
    images, client = settings.images, consumer(namespace, TRACKING)
    registry = images.registry or LOADED
    opts = pulumi.ResourceOptions(provider=cluster)
    database = onprem.Database(
        "database",
        onprem.DatabaseArgs(
            namespace=namespace,
            image=f"{registry}/{tagged(images, 'postgres')}",
            pull_policy=images.pull_policy,
            database=TRACKING,
            consumers=[client],
            size=settings.database.size,
            storage_class=settings.storage.class_name,
            protect=settings.protects("database"),
        ),
        opts,
    )
    store = onprem.ObjectStore(
        "object-store",
        onprem.ObjectStoreArgs(
            namespace=namespace,
            image=f"{registry}/{tagged(images, 'object-store')}",
            pull_policy=images.pull_policy,
            bucket=TRACKING,
            consumers=[client, onprem.STORAGE_CLIENTS],
            size=settings.object_store.size,
            storage_class=settings.storage.class_name,
            protect=settings.protects("object-store"),
        ),
        opts,
    )
    return Foundation(
        database=database,
        store=store,
        registry=registry,
        landlord=store,
        hub_database=lambda image: database.another(HUB, hub_guest(settings, namespace, image)),
    )
