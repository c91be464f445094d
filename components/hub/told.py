"""What the hub is told, as the document that images/hub/spillway_hub/told.py reads."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pulumi

from components import shapes
from components.hub.profiles import Profile
from components.pods import PullPolicy, camel
from components.tenant import STORAGE


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who says who somebody is; the secret comes apart from it."""

    provider: str
    client_id: str | None = None
    hosted_domain: str | None = None
    organizations: Sequence[str] = ()
    issuer: str | None = None
    username_claim: str = "email"
    groups_claim: str = "groups"
    scopes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Pool:
    """GPUs of one kind on machines of one owner, as the page of somebody who waits tells them."""

    accelerator: str
    title: str
    """The accelerator as people say it."""
    burst: bool
    """Whether a cloud's, not the company's."""
    gpus: int
    """Of all machines that there are, or can be."""
    each: int
    """Of one machine."""
    price: float | None = None
    """US dollars by hour, of one machine of a cloud."""
    spot: bool = False


@dataclass(frozen=True, kw_only=True)
class Team:
    """A tenant as the hub meets it."""

    namespace: pulumi.Input[str]
    members: Sequence[str]
    """Addresses, user names, and ``group:NAME`` for groups of the provider."""
    admins: Sequence[str]
    profiles: Sequence[str]
    notebook: pulumi.Input[str]
    """Image of its servers."""
    spark: pulumi.Input[str]
    """Image of its servers with Spark, and of their executors."""
    storage: shapes.Storage
    gpus: Mapping[str, int] = field(default_factory=dict[str, int])
    """By pool: its own of the company's, its most of a cloud's."""
    spark_gpus: Mapping[str, int] = field(default_factory=dict[str, int])
    """What Spark's executors may ask for: by accelerator, the most GPUs of one machine."""


@dataclass(frozen=True, kw_only=True)
class Servers:
    """What all servers have in common."""

    home_size: str
    storage_class: str | None
    start_seconds: int
    named: int
    """Servers a person may have besides the first."""
    server_minutes: int
    kernel_minutes: int
    pull_policy: PullPolicy


def document(  # noqa: PLR0913 - what a hub is told
    *,
    hub: pulumi.Input[str],
    proxy_api: pulumi.Input[str],
    viewer: pulumi.Input[str],
    login: Login,
    teams: Mapping[str, Team],
    profiles: Mapping[str, Profile],
    servers: Servers,
    pools: Mapping[str, Pool],
) -> pulumi.Output[str]:
    """JSON with nothing secret in it."""
    return pulumi.Output.json_dumps(
        {
            "hub": hub,
            "proxy_api": proxy_api,
            "viewer": viewer,
            "login": asdict(login),
            "tenants": {name: _team(team) for name, team in teams.items()},
            "profiles": {name: asdict(profile) for name, profile in profiles.items()},
            "servers": {**asdict(servers), "pull_policy": servers.pull_policy.value},
            "pools": {name: asdict(pool) for name, pool in pools.items()},
        },
        indent=1,
    )


def _team(team: Team) -> dict[str, Any]:
    storage = team.storage
    return {
        "namespace": team.namespace,
        "members": list(team.members),
        "admins": list(team.admins),
        "profiles": list(team.profiles),
        "notebook": team.notebook,
        "spark": team.spark,
        "environment": {
            "SPILLWAY_STORAGE": storage.uri,
            **storage.environment,
            **storage.login.environment,
        },
        "secret": STORAGE if storage.credentials else None,
        "volumes": camel(list(storage.login.volumes)),
        "mounts": camel(list(storage.login.mounts)),
        "gpus": dict(team.gpus),
        "spark_gpus": dict(team.spark_gpus),
    }
