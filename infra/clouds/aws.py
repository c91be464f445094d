"""The foundation in AWS: RDS, S3 and who may use them, in a VPC joined to the company's network."""

from collections.abc import Mapping

import pulumi

from components import aws, shapes
from components.mlflow import subjects
from infra import pools, providers
from infra.catalog import DATABASE_CLASSES
from infra.clouds import (
    HUB,
    NODES,
    TRACKING,
    Foundation,
    autoscaler,
    exports,
    gibibytes,
    given,
    hub_guest,
    image_names,
    onprem_peer,
)
from infra.settings import Settings, encrypted


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
    burst = _burst(settings, network, registry, opts)

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
        burst=burst,
        scaling=shapes.Scaling(provider="aws", login=identity.login(autoscaler(settings))),
        exports=exports(network, store, registry, identity, burst),
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
            autoscaler=autoscaler(settings),
            tenants=list(settings.tenants),
            cluster=pulumi.get_stack(),
            namespace=namespace,
            protect=settings.protects("identity"),
        ),
        opts,
    )


def _burst(
    settings: Settings, network: aws.Network, registry: aws.Registry, opts: pulumi.ResourceOptions
) -> Mapping[str, aws.BurstPool]:
    section = given(settings.aws)
    if not (wanted := pools.machines(settings, section.image)):
        return {}
    nodes = aws.BurstNodes(
        NODES,
        aws.BurstNodesArgs(
            region=section.region,
            network=network,
            company=onprem_peer(settings).networks,
            registry=registry,
            token=given(encrypted(settings.join_token)),
            protect=settings.protects(NODES),
        ),
        opts,
    )
    return {
        name: aws.BurstPool(
            f"pool-{name}",
            aws.BurstPoolArgs(
                region=section.region,
                cluster=pulumi.get_stack(),
                network=network,
                nodes=nodes,
                machines=machines,
            ),
            opts,
        )
        for name, machines in wanted.items()
    }
