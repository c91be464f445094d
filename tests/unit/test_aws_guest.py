"""A second database on RDS: the pod that makes it, and the program that the pod runs."""

import importlib.util
import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from aws_builders import database
from builders import guest

from components.aws.guest import PROGRAM
from components.shapes import Login

JOB = "database-jupyterhub-owner"
PASSWORD = "hunter2databasejupyterhubownerpassword"
LOGIN = Login(
    environment={"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/maker"},
    volumes=[{"name": "aws-token", "empty_dir": {}}],
    mounts=[{"name": "aws-token", "mount_path": "/token"}],
    egress=[{"to": [{"ip_block": {"cidr": "0.0.0.0/0"}}]}],
)


def second(**changes):
    return database(**changes).another("jupyterhub", guest(login=LOGIN))


@pytest.fixture
def pod(engine, resolve):
    resolve(lambda: second().url)
    return engine.named(JOB)["spec"]["template"]["spec"]


def test_its_owner_connects_with_a_password_of_its_own_and_only_encrypted(resolve):
    url, user, environment, is_secret = resolve(
        lambda: [(d := second()).url, d.user, d.environment, d.url.is_secret()]
    )

    host = "database-instance-1a2b3c4.c1a2b3c4d5e6.eu-central-1.rds.amazonaws.com"
    assert url == f"postgresql://jupyterhub:{PASSWORD}@{host}:5432/jupyterhub?sslmode=require"
    assert (user, environment, is_secret) == ("jupyterhub", {}, True)


def test_the_pod_logs_in_as_the_first_user_whose_password_it_fetches(engine, pod):
    (container,) = pod["containers"]

    assert container["image"] == "localhost/spillway/hub:1"
    assert container["command"] == ["/opt/hub/bin/python", "/program/own_database.py"]
    assert {e["name"]: e["value"] for e in container["env"]} == {
        "PGHOST": "database-instance-1a2b3c4.c1a2b3c4d5e6.eu-central-1.rds.amazonaws.com",
        "PGPORT": "5432",
        "PGUSER": "mlflow",
        "PGDATABASE": "postgres",
        "PGSSLMODE": "require",
        "SPILLWAY_DATABASE_SECRET": (
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-database-instance-AbCdEf"
        ),
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/maker",
    }
    (source,) = [e["secretRef"]["name"] for e in container["envFrom"]]
    assert engine.named(source)["stringData"]["value"] == {
        "OWNER": "jupyterhub",
        "OWNER_PASSWORD": PASSWORD,
    }
    assert pod["securityContext"]["runAsUser"] == 10002


def test_the_program_is_mounted_beside_the_token(engine, pod):
    mounted = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    volumes = {v["name"]: v for v in pod["volumes"]}

    assert mounted["program"] == "/program"
    assert mounted["aws-token"] == "/token"
    file = engine.named(volumes["program"]["configMap"]["name"])
    assert file["data"] == {"own_database.py": PROGRAM.read_text()}


def test_the_pod_reaches_the_database_and_what_it_logs_in_with(engine, pod):
    rules = engine.named(f"{JOB}-policy")["spec"]["egress"]

    reached = [rule["to"][0]["ipBlock"]["cidr"] for rule in rules]
    assert reached == ["10.64.0.0/16", "0.0.0.0/0"]


def test_the_account_is_the_one_that_says_who_it_will_be(engine, resolve):
    maker = []
    resolve(lambda: maker.append(d := database()) or d.another("jupyterhub", guest()).url)

    who = maker[0].maker("spillway", "jupyterhub")
    account = engine.named(f"{JOB}-account")["metadata"]
    assert (who.namespace, who.account) == (account["namespace"], account["name"])


@pytest.mark.parametrize(("adopt", "protect"), [(None, True), (None, False), ("old", False)])
def test_its_password_is_protected_like_the_instance(adopt, protect, engine, resolve):
    resolve(lambda: second(adopt=adopt, protect=protect).url)

    instance = engine.requests["database-instance"].protect
    assert engine.requests[f"{JOB}-password"].protect is instance is (protect or adopt is not None)


def test_it_waits_for_the_instance_and_whoever_uses_it_waits_for_it(engine, resolve):
    ready = resolve(lambda: [r.urn for r in second().ready])

    assert [urn.rpartition("::")[2] for urn in ready][-1] == JOB
    waits = {urn.rpartition("::")[2] for urn in engine.requests[JOB].dependencies}
    assert {"database-instance", "database-from-10.10.0.0-16"} < waits


def test_the_first_database_is_not_made_twice(engine, resolve):
    with pytest.raises(ValueError, match="first database"):
        resolve(lambda: database().another("mlflow", guest()).url)


class Server:
    """Notes what a server is told, and knows of some roles and databases.

    That a real one takes it is for a real one to say: see docs/decisions.
    """

    def __init__(self, *known: str) -> None:
        self.known, self.told = known, []
        self.pgconn = SimpleNamespace(
            encrypt_password=lambda password, user, how: b"|".join((how, user, password[::-1]))
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def execute(self, statement, values=()):
        if statement.startswith("SELECT"):
            table = statement.split()[2]
            assert values == ["jupyterhub"]
            return SimpleNamespace(rowcount=int(table in self.known))
        self.told.append(statement)
        return SimpleNamespace(rowcount=-1)


@pytest.fixture
def program(monkeypatch):
    """The program with stand-ins for the two libraries of its image."""
    psycopg, sql, boto3 = (ModuleType(name) for name in ("psycopg", "psycopg.sql", "boto3"))
    sql.SQL = lambda text: SimpleNamespace(format=text.format)
    sql.Identifier = '"{}"'.format
    sql.Literal = "'{}'".format
    psycopg.Connection = object
    for module in (psycopg, sql, boto3):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    spec = importlib.util.spec_from_file_location("own_database", PROGRAM)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_program_makes_a_role_and_a_database_that_nobody_else_may_open(program):
    server = Server()
    program.own(server, "jupyterhub", "secret")

    assert server.told == [
        'CREATE ROLE "jupyterhub"',
        'ALTER ROLE "jupyterhub" LOGIN NOCREATEDB NOCREATEROLE '
        "PASSWORD 'scram-sha-256|jupyterhub|terces'",
        'GRANT "jupyterhub" TO CURRENT_USER',
        'CREATE DATABASE "jupyterhub" OWNER "jupyterhub"',
        'REVOKE ALL ON DATABASE "jupyterhub" FROM PUBLIC',
        'REVOKE "jupyterhub" FROM CURRENT_USER',
    ]


def test_the_program_can_run_again_and_makes_nothing_twice(program):
    server = Server("pg_roles", "pg_database")
    program.own(server, "jupyterhub", "another")

    assert not [told for told in server.told if told.startswith("CREATE")]
    assert any("rehtona" in told for told in server.told), "the password may be a new one"


def test_the_program_says_no_password(program, capsys):
    server = Server()
    program.own(server, "jupyterhub", "secret")

    said = capsys.readouterr().out
    assert "database jupyterhub belongs to jupyterhub" in said
    assert "secret" not in said + "".join(server.told)


def test_the_program_asks_the_secret_of_rds_and_connects_outside_of_a_transaction(
    program, monkeypatch
):
    server, asked = Server(), {}

    def fetch(**keys):
        asked.update(keys)
        return {"SecretString": json.dumps({"username": "mlflow", "password": "of-the-week"})}

    def connect(**keys):
        asked.update(keys)
        return server

    client = SimpleNamespace(get_secret_value=fetch)
    monkeypatch.setattr(
        program.boto3, "client", {"secretsmanager": client}.__getitem__, raising=False
    )
    monkeypatch.setattr(program.psycopg, "connect", connect, raising=False)
    for name in ("SPILLWAY_DATABASE_SECRET", "OWNER", "OWNER_PASSWORD"):
        monkeypatch.setenv(name, {"OWNER": "jupyterhub"}.get(name, name.lower()))
    program.main()

    assert asked["SecretId"] == "spillway_database_secret"
    assert (asked["password"], asked["autocommit"]) == ("of-the-week", True)
    assert any('"jupyterhub"' in told for told in server.told)
