"""The database and the store that need no cloud."""

import pytest
from builders import database, guest, object_store

from components import onprem, shapes
from components.onprem.bucket import tenant_bucket

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


def second(**changes):
    return database(**changes).another("jupyterhub", guest())


def owner_job(engine, name):
    return engine.named(name)["spec"]["template"]["spec"]["containers"][0]


def test_another_database_has_an_owner_and_a_password_of_its_own(engine, resolve):
    url, first, is_secret = resolve(
        lambda: [(d := second()).url, database("first").url, d.url.is_secret()]
    )

    password = "hunter2databasejupyterhubownerpassword"
    assert url == f"postgresql://jupyterhub:{password}@database.spillway.svc:5432/jupyterhub"
    assert is_secret is True
    assert password not in first
    login = engine.named("database-jupyterhub-owner-login")["stringData"]["value"]
    assert login == {
        "PGPASSWORD": "hunter2databaseadminpassword",
        "OWNER": "jupyterhub",
        "OWNER_DATABASE": "jupyterhub",
        "OWNER_PASSWORD": password,
    }


def test_another_database_is_made_as_the_first_was_and_after_it(engine, resolve):
    resolve(lambda: second().url)

    first, other = (owner_job(engine, f"database-{n}") for n in ("owner", "jupyterhub-owner"))
    assert other["command"] == first["command"]
    assert other["image"] == first["image"] != guest().image
    names = [e["secretRef"]["name"] for c in (first, other) for e in c["envFrom"]]
    assert names == ["database-owner-login", "database-jupyterhub-owner-login"]
    waits = engine.requests["database-jupyterhub-owner"].dependencies
    assert "database-owner" in {urn.rpartition("::")[2] for urn in waits}


def test_the_guests_pods_and_the_pod_that_makes_its_database_are_let_in(engine, resolve):
    resolve(lambda: second().url)

    def admitted(name):
        policy = engine.named(name)["spec"]
        assert policy["podSelector"] == engine.named("database-clients")["spec"]["podSelector"]
        (rule,) = policy["ingress"]
        assert [p["port"] for p in rule["ports"]] == [5432]
        return [peer["podSelector"]["matchLabels"] for peer in rule["from"]]

    assert admitted("database-jupyterhub-clients") == [{"app": "hub"}]
    marks = engine.named("database-jupyterhub-owner")["spec"]["template"]["metadata"]["labels"]
    (maker,) = [p for p in admitted("database-clients") if p != {"app": "client"}]
    assert maker.items() <= marks.items()


@pytest.mark.parametrize("protect", [True, False])
def test_another_databases_password_is_protected_like_the_first(protect, engine, resolve):
    resolve(lambda: second(protect=protect).url)

    made = engine.of("RandomPassword")
    assert "database-jupyterhub-owner-password" in made
    assert {engine.requests[name].protect for name in made} == {protect}


def test_whoever_uses_another_database_waits_until_it_is_there_and_lets_them_in(resolve):
    ready = resolve(lambda: [r.urn for r in second().ready])

    assert [urn.rpartition("::")[2] for urn in ready[-2:]] == [
        "database-jupyterhub-owner",
        "database-jupyterhub-clients",
    ]


def rented(store=None, tenant="vision"):
    storage = (store or object_store()).storage(tenant, tenant)
    return [
        storage.uri,
        storage.environment,
        storage.credentials,
        [r.urn for r in storage.ready],
        [keys.is_secret() for keys in storage.credentials.values()],
    ]


def test_a_tenant_has_a_bucket_of_its_own_and_keys_that_open_no_other(engine, resolve):
    uri, environment, credentials, _, secret = resolve(rented)

    assert uri == "s3://tenant-vision"
    assert environment == {
        "AWS_ENDPOINT_URL_S3": "http://object-store.spillway.svc:7070",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    own = "hunter2objectstoretenantvisionuser"
    assert credentials == {
        "AWS_ACCESS_KEY_ID": f"{own}accesskey",
        "AWS_SECRET_ACCESS_KEY": f"{own}secretkey",
    }
    assert secret == [True, True]
    job = owner_job(engine, "object-store-tenant-vision-bucket")
    assert {"name": "BUCKET", "value": "tenant-vision"} in job["env"]
    user = engine.named("object-store-tenant-vision-user")["stringData"]["value"]
    assert set(user.values()) == set(credentials.values())
    assert not set(user.values()) & set(
        engine.named("object-store-user")["stringData"]["value"].values()
    )


def test_the_roots_keys_stay_in_the_platforms_namespace(engine, resolve):
    resolve(rented)

    name = "object-store-tenant-vision"
    made = [c for c in engine.children() if c.name.startswith(name)]
    assert {c.typ.rpartition(":")[2] for c in made} == {
        "Secret",
        "Job",
        "ServiceAccount",
        "NetworkPolicy",
    }
    assert {c.inputs["metadata"]["namespace"] for c in made} == {"spillway"}
    given = [e["secretRef"]["name"] for e in owner_job(engine, f"{name}-bucket")["envFrom"]]
    assert given == ["object-store-root", f"{name}-user"]


def test_the_store_lets_in_the_pod_that_makes_a_tenants_bucket(engine, resolve):
    resolve(rented)

    marks = engine.named("object-store-tenant-vision-bucket")["spec"]["template"]["metadata"]
    (rule,) = engine.named("object-store-clients")["spec"]["ingress"]
    peers = [peer["podSelector"].get("matchLabels", {}) for peer in rule["from"]]
    assert any(peer.items() <= marks["labels"].items() for peer in peers)


def test_tenants_pods_are_let_in_by_the_label_of_their_namespace(engine, resolve):
    resolve(lambda: object_store(consumers=[onprem.STORAGE_CLIENTS]).urn)

    (rule,) = engine.named("object-store-clients")["spec"]["ingress"]
    assert rule["from"][0] == {
        "namespaceSelector": {"matchLabels": {shapes.STORAGE_LABEL: "true"}},
        "podSelector": {},
    }


@pytest.mark.parametrize("protect", [True, False])
def test_a_tenants_keys_are_protected_like_the_stores(protect, engine, resolve):
    resolve(lambda: rented(object_store(protect=protect)))

    made = engine.of("RandomPassword")
    assert len(made) == 6
    assert {engine.requests[name].protect for name in made} == {protect}


def test_whoever_uses_a_tenants_storage_waits_for_its_bucket(resolve):
    ready = resolve(rented)[3]

    assert [urn.rpartition("::")[2] for urn in ready] == [
        "object-store-server",
        "object-store-service",
        "object-store-tenant-vision-bucket",
    ]


def test_buckets_and_jobs_of_tenants_with_long_names_fit_and_differ(engine, resolve):
    long = ["a" * 63, f"{'a' * 62}b", f"{'a' * 26}-{'c' * 30}"]
    buckets = [tenant_bucket(tenant) for tenant in long]
    resolve(lambda: rented(tenant=long[0]))

    assert len(set(buckets)) == 3
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    assert all(3 <= len(b) <= 63 and b[-1].isalnum() and "--" not in b for b in buckets)
    # Kubernetes puts a Job's name into a label: 63, and Pulumi adds eight.
    assert all(len(f"{name}-12345678") <= 63 for name in engine.of("Job"))
    labels = [c.inputs["metadata"]["labels"].values() for c in engine.children()]
    assert all(len(value) <= 63 for values in labels for value in values)


def test_the_first_database_is_not_made_twice(engine, resolve):
    with pytest.raises(ValueError, match="first database"):
        resolve(lambda: database().another("mlflow", guest()).url)
