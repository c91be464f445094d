"""What the stack tells the hub: one JSON document, written by components/hub/told.py."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path("/etc/spillway/hub.json")
ADMINS = ":admins"
"""Behind a tenant's name: the group of those who also manage it."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A kind of server; sizes are upper limits."""

    title: str
    description: str
    cpu: float
    memory: str
    spark: bool = False
    accelerator: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pool:
    """GPUs of one kind, on machines of one owner."""

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
class Tenant:
    """A team: who belongs to it, and what its servers carry."""

    namespace: str
    members: Sequence[str]
    admins: Sequence[str]
    profiles: Sequence[str]
    notebook: str
    """Image of its servers."""
    spark: str
    """Image of its servers with Spark, and of their executors."""
    environment: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = None
    """Secret, in its namespace, with more of the environment."""
    volumes: Sequence[Mapping[str, Any]] = ()
    mounts: Sequence[Mapping[str, Any]] = ()
    gpus: Mapping[str, int] = field(default_factory=dict)
    """By pool: its own of the company's, its most of a cloud's."""
    spark_gpus: Mapping[str, int] = field(default_factory=dict)
    """What Spark's executors may ask for: by accelerator, the most GPUs of one machine."""

    @property
    def login(self) -> str | None:
        """How its pods log in to a cloud, as images/notebook-spark/spillway_spark.py reads it."""
        if not self.volumes:
            return None
        return json.dumps({"volumes": self.volumes, "mounts": self.mounts})


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who says who somebody is."""

    provider: str
    client_id: str | None = None
    hosted_domain: str | None = None
    organizations: Sequence[str] = ()
    issuer: str | None = None
    username_claim: str = "email"
    groups_claim: str = "groups"
    scopes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Servers:
    """What all servers have in common."""

    home_size: str
    storage_class: str | None
    start_seconds: int
    named: int
    server_minutes: int
    kernel_minutes: int
    pull_policy: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """The whole document."""

    hub: str
    """URL under which servers, the proxy and services reach the hub."""
    proxy_api: str
    viewer: str
    """URL of the page that shows experiments."""
    login: Login
    tenants: Mapping[str, Tenant]
    profiles: Mapping[str, Profile]
    servers: Servers
    pools: Mapping[str, Pool]
    """By the name of the queue's flavor, in the order in which they fill up."""

    def places(self, names: Sequence[str], groups: Sequence[str]) -> list[str]:
        """The hub's groups of somebody with these names and, at the provider, these groups."""
        marks = {name.lower() for name in names} | {f"group:{group}".lower() for group in groups}
        found: list[str] = []
        for name, tenant in self.tenants.items():
            admin = bool(marks & {one.lower() for one in tenant.admins})
            if admin or marks & {one.lower() for one in tenant.members}:
                found.append(name)
            if admin:
                found.append(f"{name}{ADMINS}")
        return found


def parse(text: str) -> Told:
    """The document, or a ``TypeError`` that names the field which is not as expected."""
    raw: dict[str, Any] = json.loads(text)
    return Told(
        hub=raw["hub"],
        proxy_api=raw["proxy_api"],
        viewer=raw["viewer"],
        login=Login(**raw["login"]),
        tenants={name: Tenant(**tenant) for name, tenant in raw["tenants"].items()},
        profiles={name: Profile(**profile) for name, profile in raw["profiles"].items()},
        servers=Servers(**raw["servers"]),
        pools={name: Pool(**pool) for name, pool in raw["pools"].items()},
    )


@cache
def told() -> Told:
    """What this hub was told; a change comes with a new pod."""
    return parse(FILE.read_text())
