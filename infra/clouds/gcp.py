"""The foundation in Google Cloud: Cloud SQL, GCS and who may use them, joined to on-prem."""

from collections.abc import Mapping

import pulumi

from components import gcp, shapes
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
    section, peer = given(settings.gcp), onprem_peer(settings)
    opts = pulumi.ResourceOptions(providers=[providers.gcp(section), cluster])
    network = gcp.Network(
        "network",
        gcp.NetworkArgs(
            project=section.project,
            region=section.region,
            zones=[f"{section.region}-{zone}" for zone in section.zones],
            cidr=section.network,
            services=section.services,
            peer=peer,
            nat=section.nat,
            protect=settings.protects("network"),
        ),
        opts,
    )
    database = gcp.Database(
        "database",
        gcp.DatabaseArgs(
            project=section.project,
            region=section.region,
            network=network,
            clients=[*peer.networks, section.network],
            database=TRACKING,
            machine=DATABASE_CLASSES[settings.database.class_].gcp,
            version=settings.database.version,
            size_gib=gibibytes(settings.database.size),
            backup_days=settings.database.backup_days,
            adopt=settings.adopt.database,
            protect=settings.protects("database"),
        ),
        opts,
    )
    store = gcp.ObjectStore(
        "object-store",
        gcp.ObjectStoreArgs(
            project=section.project,
            region=section.region,
            keep_days=settings.object_store.keep_days,
            adopt=settings.adopt.bucket,
            protect=settings.protects("object-store"),
        ),
        opts,
    )
    registry = gcp.Registry(
        "registry",
        gcp.RegistryArgs(
            project=section.project,
            region=section.region,
            images=image_names(),
            protect=settings.protects("registry"),
        ),
        opts,
    )
    identity = _identity(settings, namespace, database, store, opts)
    burst = _burst(settings, network, registry, opts)
    return Foundation(
        database=database,
        store=store,
        registry=settings.images.registry or registry.url,
        landlord=identity,
        hub_database=lambda image: database.another(HUB, hub_guest(settings, namespace, image)),
        tracking=identity.login(subjects(settings.namespace, TRACKING)[0]),
        burst=burst,
        scaling=shapes.Scaling(
            provider="gce",
            config=gcp.autoscaler_config(section.project, f"{section.region}-{section.zones[0]}"),
            login=identity.login(autoscaler(settings)),
        ),
        exports=exports(network, store, registry, identity, burst),
    )


def _identity(
    settings: Settings,
    namespace: pulumi.Output[str],
    database: gcp.Database,
    store: gcp.ObjectStore,
    opts: pulumi.ResourceOptions,
) -> gcp.Identity:
    section, cluster = given(settings.gcp), settings.cluster
    return gcp.Identity(
        "identity",
        gcp.IdentityArgs(
            project=section.project,
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
    settings: Settings, network: gcp.Network, registry: gcp.Registry, opts: pulumi.ResourceOptions
) -> Mapping[str, gcp.BurstPool]:
    section = given(settings.gcp)
    if not (wanted := pools.machines(settings, section.image)):
        return {}
    nodes = gcp.BurstNodes(
        NODES,
        gcp.BurstNodesArgs(
            project=section.project,
            region=section.region,
            network=network,
            cidr=section.network,
            company=onprem_peer(settings).networks,
            registry=registry,
            token=given(encrypted(settings.join_token)),
            protect=settings.protects(NODES),
        ),
        opts,
    )
    return {
        name: gcp.BurstPool(
            f"pool-{name}",
            gcp.BurstPoolArgs(
                project=section.project,
                region=section.region,
                zones=[f"{section.region}-{zone}" for zone in section.zones],
                network=network,
                nodes=nodes,
                machines=machines,
            ),
            opts,
        )
        for name, machines in wanted.items()
    }
