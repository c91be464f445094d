"""The teams of a stack: a namespace, storage and rights for each of ``spillway:tenants``."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components import (
    Guard,
    GuardArgs,
    Tenant,
    TenantArgs,
    TenantRoles,
    TenantRolesArgs,
    network,
    shapes,
)
from components.door import gateway_pods
from components.guard import audiences
from components.hub import HUB_PORT, hub_pods, proxy_pods, spawner, viewer
from components.mlflow import PORT as TRACKING_PORT
from components.mlflow import consumer
from components.tenant import Platform
from components.tenant_roles import QUEUED, RULES
from infra.clouds import HUB, TRACKING, Foundation
from infra.queues import in_order
from infra.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Team:
    """A tenant that stands."""

    tenant: Tenant
    storage: shapes.Storage


def build(
    settings: Settings,
    namespace: pulumi.Output[str],
    foundation: Foundation,
    opts: pulumi.ResourceOptions,
) -> Mapping[str, Team]:
    """Every team by name."""
    if not settings.tenants:
        return {}
    rules = QUEUED if in_order(settings) else RULES
    platform = Platform(
        tracking=consumer(namespace, TRACKING),
        tracking_port=TRACKING_PORT,
        hub=hub_pods(namespace, HUB),
        hub_port=HUB_PORT,
        proxy=proxy_pods(namespace, HUB),
        spawner=spawner(settings.namespace, HUB),
        viewer=viewer(settings.namespace, HUB),
        api_server=network.to_api_server(settings.cluster.network.nodes),
        roles=TenantRoles("tenant-roles", TenantRolesArgs(rules=rules), opts).names,
        door=gateway_pods() if settings.models else None,
    )
    made = {name: _team(name, settings, platform, foundation, opts) for name in settings.tenants}
    tokens_for = [who for team in made.values() for who in audiences(team.storage.login)]
    Guard("guard", GuardArgs(audiences=tokens_for), opts)
    return made


def _team(
    name: str,
    settings: Settings,
    platform: Platform,
    foundation: Foundation,
    opts: pulumi.ResourceOptions,
) -> Team:
    quota = settings.tenants[name].quota
    title = f"tenant-{name}"
    tenant = Tenant(
        title,
        TenantArgs(
            namespace=name,
            cpu=quota.cpu,
            memory=quota.memory,
            # The queue counts them, and lends what lies idle.
            gpus=None if in_order(settings) else 0,
            platform=platform,
            internet=settings.notebooks.internet,
            protect=settings.protects(title),
        ),
        opts,
    )
    storage = foundation.landlord.storage(name, tenant.namespace)
    tenant.keep(storage)
    return Team(tenant=tenant, storage=storage)
