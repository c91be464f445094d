"""A second database on an RDS instance, which AWS has no API for: a pod makes it, by SQL."""

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components import network, shapes
from components.jobs import run_once
from components.labels import labels, metadata
from components.secrets import secret

APP = "rds"
PROGRAM = Path(__file__).with_name("programs") / "own_database.py"
FOLDER = "/program"
MAINTENANCE = "postgres"
"""A database that every instance has: the first one may be of any name where it was adopted."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """The instance, as its first user."""

    name: str
    """Of the component, and the instance in labels."""
    host: pulumi.Output[str]
    port: int
    user: pulumi.Output[str]
    environment: shapes.Environment
    """Names the secret in which RDS keeps that user's password."""
    egress: network.Egress


def account(server: str, database: str) -> str:
    """The service account of the pod that makes a database."""
    return f"{server}-{database}-owner"


def owned(
    server: Server,
    database: str,
    password: pulumi.Output[str],
    guest: shapes.Guest,
    opts: pulumi.ResourceOptions,
) -> k8s.batch.v1.Job:
    """The Job after which the database is there and its owner's password opens it."""
    name = account(server.name, database)
    parent, marks = opts.parent, labels(APP, server.name, "owner")
    if parent is None:
        raise ValueError("a Job of a component needs the component as its parent")
    login = secret(
        APP,
        server.name,
        f"{database}-owner-login",
        {"OWNER": database, "OWNER_PASSWORD": password},
        namespace=guest.namespace,
        parent=parent,
    )
    program = k8s.core.v1.ConfigMap(
        f"{name}-program",
        metadata=metadata(guest.namespace, marks),
        data={PROGRAM.name: PROGRAM.read_text()},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    environment: shapes.Environment = {
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGUSER": server.user,
        "PGDATABASE": MAINTENANCE,
        # As clients do: see the component's URL.
        "PGSSLMODE": "require",
        **server.environment,
        **guest.login.environment,
    }
    return run_once(
        name,
        namespace=guest.namespace,
        marks=marks,
        uid=guest.uid,
        container={
            "name": "owner",
            "image": guest.image,
            "image_pull_policy": guest.pull_policy,
            "command": [guest.python, f"{FOLDER}/{PROGRAM.name}"],
            "env": [{"name": key, "value": value} for key, value in environment.items()],
            "env_from": [{"secret_ref": {"name": login.metadata.name}}],
        },
        volumes=[
            {"name": "program", "config_map": {"name": program.metadata.name}},
            *guest.login.volumes,
        ],
        mounts=[
            {"name": "program", "mount_path": FOLDER, "read_only": True},
            *guest.login.mounts,
        ],
        egress=[server.egress, *guest.login.egress],
        opts=opts,
    )
