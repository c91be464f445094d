# pyright: basic, reportMissingImports=false
"""Makes a database and its owner, or brings them up to date; safe to run again.

Runs in a pod whose image has psycopg and boto3, as the first user of the server, who is no
superuser at RDS. Everything it needs is in the environment; the password of the first user is
read anew each time, as RDS changes it. Of the owner's password the server is told a digest only.
"""

import json
import os

import boto3
import psycopg
from psycopg.sql import SQL, Identifier, Literal


def first_password(secret: str) -> str:
    """What RDS keeps in Secrets Manager."""
    answer = boto3.client("secretsmanager").get_secret_value(SecretId=secret)
    return json.loads(answer["SecretString"])["password"]


def own(server: psycopg.Connection, name: str, password: str) -> None:
    """A role, and a database that is its and that nobody else may connect to."""
    who = Identifier(name)
    if not server.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).rowcount:
        server.execute(SQL("CREATE ROLE {}").format(who))
        print(f"role {name} made")
    digest = server.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    # Not NOSUPERUSER: only a superuser may say so.
    alter = "ALTER ROLE {} LOGIN NOCREATEDB NOCREATEROLE PASSWORD {}"
    server.execute(SQL(alter).format(who, Literal(digest)))
    # Only a member of a role may give it something.
    server.execute(SQL("GRANT {} TO CURRENT_USER").format(who))
    if not server.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
        server.execute(SQL("CREATE DATABASE {} OWNER {}").format(who, who))
        print(f"database {name} made")
    server.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(who))
    server.execute(SQL("REVOKE {} FROM CURRENT_USER").format(who))
    print(f"database {name} belongs to {name}")


def main() -> None:
    """Connect as PGHOST, PGPORT, PGUSER, PGDATABASE and PGSSLMODE say."""
    password = first_password(os.environ["SPILLWAY_DATABASE_SECRET"])
    # A database cannot be made within a transaction.
    with psycopg.connect(password=password, autocommit=True, connect_timeout=10) as server:
        own(server, os.environ["OWNER"], os.environ["OWNER_PASSWORD"])


if __name__ == "__main__":
    main()
