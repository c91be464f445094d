"""The database and the store that need no cloud."""

import pytest
from builders import database, object_store

BOTH = pytest.mark.parametrize(
    ("build", "name"), [(database, "database"), (object_store, "object-store")]
)


def test_consumers_connect_as_the_owner(resolve):
    url = resolve(lambda: database().url)

    assert url == (
        "postgresql://mlflow:hunter2databaseownerpassword@database.spillway.svc:5432/mlflow"
    )


def test_the_owner_is_not_the_superuser(engine, resolve):
    resolve(lambda: database().urn)

    admin = engine.named("database-access")["stringData"]["value"]
    login = engine.named("database-owner-login")["stringData"]["value"]
    assert admin == {
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "hunter2databaseadminpassword",
    }
    assert login["PGPASSWORD"] == admin["POSTGRES_PASSWORD"]
    assert login["OWNER"] == "mlflow"
    assert login["OWNER_PASSWORD"] == "hunter2databaseownerpassword"


def test_the_script_that_makes_the_owner_takes_every_value_from_the_environment(engine, resolve):
    resolve(lambda: database().urn)

    script = engine.named("database-owner-sql")["data"]["owner.sql"]
    job = next(iter(engine.of("Job").values()))["spec"]["template"]["spec"]["containers"][0]
    assert job["command"] == ["psql", "--no-psqlrc", "--file=/sql/owner.sql"]
    wanted = {line.split()[2] for line in script.splitlines() if line.startswith("\\getenv")}
    secret = engine.of("Secret")["database-owner-login"]["stringData"]["value"]
    assert wanted == {"OWNER", "OWNER_PASSWORD", "OWNER_DATABASE"}
    assert wanted < set(secret)
    assert "NOSUPERUSER" in script


@BOTH
def test_data_lies_on_a_protected_volume_of_its_own(build, name, engine, resolve):
    resolve(lambda: build().urn)

    claim = engine.named(f"{name}-data")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert "storageClassName" not in claim["spec"], "the cluster's default"
    assert engine.requests[f"{name}-data"].protect is True
    server = engine.named(f"{name}-server")["spec"]
    assert server["replicas"] == 1
    volumes = {v["name"]: v for v in server["template"]["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == f"{name}-data"


@BOTH
def test_a_bigger_size_changes_the_volume_and_not_the_server(build, name, engine, resolve):
    resolve(lambda: build(size="7Gi").urn)

    claim = engine.named(f"{name}-data")
    assert claim["spec"]["resources"]["requests"]["storage"] == "7Gi"
    assert "7Gi" not in str(engine.named(f"{name}-server"))


@BOTH
def test_a_storage_class_is_used_when_named(build, name, engine, resolve):
    resolve(lambda: build(storage_class="fast").urn)

    assert engine.named(f"{name}-data")["spec"]["storageClassName"] == "fast"


@BOTH
def test_the_volume_is_not_waited_for_because_its_pod_is_not_there_yet(
    build, name, engine, resolve
):
    resolve(lambda: build().urn)

    notes = engine.named(f"{name}-data")["metadata"]["annotations"]
    assert notes == {"pulumi.com/skipAwait": "true"}


@BOTH
def test_whoever_uses_it_waits_for_its_server_and_for_what_prepares_it(
    build, name, engine, resolve
):
    ready = resolve(lambda: [r.urn for r in build().ready])

    assert [urn.rpartition("::")[2] for urn in ready] == [
        f"{name}-server",
        f"{name}-service",
        {"database": "database-owner", "object-store": "object-store-bucket"}[name],
    ]


def test_the_bucket_is_made_by_the_root_for_an_ordinary_account(engine, resolve):
    resolve(lambda: object_store().urn)

    job = engine.named("object-store-bucket")["spec"]["template"]["spec"]["containers"][0]
    assert job["command"] == ["/usr/local/bin/make-bucket"]
    assert {e["name"]: e["value"] for e in job["env"]} == {
        "S3_ENDPOINT": "http://object-store.spillway.svc:7070",
        "BUCKET": "mlflow",
    }
    given = [e["secretRef"]["name"] for e in job["envFrom"]]
    keys = {k for name in given for k in engine.named(name)["stringData"]["value"]}
    assert keys == {"ROOT_ACCESS_KEY", "ROOT_SECRET_KEY", "USER_ACCESS_KEY", "USER_SECRET_KEY"}


def test_keys_have_the_lengths_s3_clients_expect(engine, resolve):
    resolve(lambda: object_store().urn)

    made = engine.of("RandomPassword")
    lengths = {name.removeprefix("object-store-"): r["length"] for name, r in made.items()}
    assert lengths == {
        "root-access-key": 20,
        "root-secret-key": 40,
        "user-access-key": 20,
        "user-secret-key": 40,
    }
    assert all(r["special"] is False for r in made.values())
