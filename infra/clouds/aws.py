"""The foundation in AWS: RDS, S3 and who may use them, in a VPC joined to the company's network."""

import pulumi

from components import aws, shapes
from components.mlflow import subjects
from infra import providers
from infra.catalog import DATABASE_CLASSES
from infra.clouds import (
    AUTOSCALER,
    HUB,
    TRACKING,
    Foundation,
    exports,
    gibibytes,
    given,
    hub_guest,
    image_names,
    onprem_peer,
)
from infra.settings import Settings


def build(
    settings: Settings, namespace: pulumi.Output[str], cluster: pulumi.ProviderResource
) -> Foundation:
    """Network first, then what lies in it, then who may use it."""
    section, peer = given(settings.aws), onprem_peer(settings)
    opts = pulumi.ResourceOptions(providers=[providers.aws(section), cluster])
    network = aws.Network(
        "network",
        aws.NetworkArgs(
            region=section.region,
            zones=[f"{section.region}{zone}" for zone in section.zones],
            cidr=section.network,
            peer=peer,
            nat=section.nat,
            protect=settings.protects("network"),
        ),
        opts,
    )
    database = aws.Database(
        "database",
        aws.DatabaseArgs(
            region=section.region,
            network=network,
            clients=[*peer.networks, section.network],
            database=TRACKING,
            machine=DATABASE_CLASSES[settings.database.class_].aws,
            version=settings.database.version,
            size_gib=gibibytes(settings.database.size),
            backup_days=settings.database.backup_days,
            adopt=settings.adopt.database,
            protect=settings.protects("database"),
        ),
        opts,
    )
    store = aws.ObjectStore(
        "object-store",
        aws.ObjectStoreArgs(
            region=section.region,
            keep_days=settings.object_store.keep_days,
            adopt=settings.adopt.bucket,
            protect=settings.protects("object-store"),
        ),
        opts,
    )
    registry = aws.Registry(
        "registry",
        aws.RegistryArgs(images=image_names(), protect=settings.protects("registry")),
        opts,
    )
    identity = _identity(settings, namespace, database, store, opts)

    def hub_database(image: pulumi.Input[str]) -> shapes.Database:
        login = identity.keeper(database.maker(settings.namespace, HUB))
        return database.another(HUB, hub_guest(settings, namespace, image, login))

    return Foundation(
        database=database,
        store=store,
        registry=settings.images.registry or registry.url,
        landlord=identity,
        hub_database=hub_database,
        tracking=identity.login(subjects(settings.namespace, TRACKING)[0]),
        exports=exports(network, store, registry, identity),
    )


def _identity(
    settings: Settings,
    namespace: pulumi.Output[str],
    database: aws.Database,
    store: aws.ObjectStore,
    opts: pulumi.ResourceOptions,
) -> aws.Identity:
    section, cluster = given(settings.aws), settings.cluster
    return aws.Identity(
        "identity",
        aws.IdentityArgs(
            region=section.region,
            issuer=given(cluster.issuer),
            jwks=given(cluster.jwks),
            store=store,
            database=database,
            tracking=subjects(settings.namespace, TRACKING),
            autoscaler=shapes.Subject(namespace=settings.namespace, account=AUTOSCALER),
            tenants=list(settings.tenants),
            cluster=pulumi.get_stack(),
            namespace=namespace,
            protect=settings.protects("identity"),
        ),
        opts,
    )
