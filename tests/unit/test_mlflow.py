"""The tracking server: its order of events, its keys and who may call it by which name."""

from fnmatch import fnmatch

import pulumi
import pytest
from builders import cloud_database, cloud_mlflow, mlflow
from cryptography.fernet import Fernet
from pulumi.runtime.rpc import is_rpc_secret
from recording import recorded

from components import network
from components.mlflow import KEY_BYTES, MlflowArgs, driver_url, fernet_key, subjects
from components.mlflow_env import MAX_CONNECTIONS, Reach, connection_pool
from components.shapes import Login


def one_server():
    return mlflow().urn


@pytest.fixture
def plain():
    return recorded(one_server)


def content(engine, name: str) -> dict[str, str]:
    return engine.named(name)["stringData"]["value"]


def env(engine) -> dict[str, str]:
    container = engine.named("mlflow-server")["spec"]["template"]["spec"]["containers"][0]
    return {e["name"]: e["value"] for e in container["env"]}


def test_clients_get_the_in_cluster_address(resolve):
    assert resolve(lambda: cloud_mlflow().tracking_uri) == "http://mlflow.spillway.svc:5000"


def test_the_schema_is_migrated_before_the_servers_start(plain):
    waits = plain.requests["mlflow-server"].dependencies
    assert plain.urn("mlflow-migration") in waits
    assert plain.urn("mlflow-s3-bucket") in waits


def test_the_migration_waits_for_the_database_and_its_owner(plain):
    waits = set(plain.requests["mlflow-migration"].dependencies)
    after = ("mlflow-db-server", "mlflow-db-service", "mlflow-db-owner", "mlflow-migration-policy")
    assert waits >= {plain.urn(name) for name in after}


def test_a_new_image_makes_a_new_migration_and_rolls_the_servers(engine, resolve):
    resolve(lambda: cloud_mlflow(image="localhost/spillway/mlflow:2").urn)

    for name in ("mlflow-migration", "mlflow-server"):
        pod = engine.named(name)["spec"]["template"]["spec"]
        assert pod["containers"][0]["image"].endswith(":2")
    assert "ttlSecondsAfterFinished" not in engine.named("mlflow-migration")["spec"]


def test_the_migration_gets_the_database_and_no_other_secret(plain):
    job = plain.named("mlflow-migration")["spec"]["template"]["spec"]["containers"][0]
    assert job["envFrom"] == [{"secretRef": {"name": "mlflow-database"}}]
    assert content(plain, "mlflow-database") == {
        "MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg://mlflow:hunter2mlflowdbownerpassword"
        "@mlflow-db.spillway.svc:5432/mlflow"
    }


def test_a_plain_database_url_is_encrypted_in_state(engine, resolve):
    def careless():
        cloud = cloud_database()
        cloud.url = pulumi.Output.from_input("postgresql://u:hunter2@db/mlflow")
        return cloud_mlflow(database=cloud).urn

    resolve(careless)

    assert is_rpc_secret(engine.named("mlflow-database")["stringData"])


def test_the_server_holds_an_ordinary_account_and_never_a_root_key(plain):
    keys = content(plain, "mlflow-keys")
    assert keys["AWS_ACCESS_KEY_ID"] == "hunter2mlflows3useraccesskey"
    root = content(plain, "mlflow-s3-root").values()
    admin = content(plain, "mlflow-db-access")["POSTGRES_PASSWORD"]
    used = [*keys.values(), *content(plain, "mlflow-database").values()]
    assert not any(secret in value for secret in [*root, admin] for value in used)


def test_the_webhook_key_is_one_fernet_accepts():
    key = fernet_key("a" * KEY_BYTES)
    token = Fernet(key).encrypt(b"hook")
    assert Fernet(key).decrypt(token) == b"hook"


def test_only_the_scheme_of_the_database_url_is_rewritten():
    assert (
        driver_url("postgresql://u:postgresql://@h/d") == "postgresql+psycopg://u:postgresql://@h/d"
    )


def test_artifacts_are_proxied_so_that_clients_need_no_key(plain):
    told = env(plain)
    assert told["MLFLOW_SERVE_ARTIFACTS"] == "true"
    assert told["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://mlflow"
    assert told["MLFLOW_S3_ENDPOINT_URL"] == "http://mlflow-s3.spillway.svc:7070"
    assert told["MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE"] == "path"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
        ("MLFLOW_ENABLE_AI_GATEWAY", "false"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("DO_NOT_TRACK", "true"),
        ("MLFLOW_EXPOSE_PROMETHEUS", "/prometheus"),
    ],
)
def test_what_replicas_cannot_share_or_what_phones_home_is_off(name, value, plain):
    assert env(plain)[name] == value


REACH = Reach(service="mlflow", port=5000, hosts=["ml.example.com"], node_port=30500)


def accepts(reach: Reach, host: str) -> bool:
    """As the server judges: a pattern only if it has a star, else the very text."""
    return any(
        fnmatch(host, allowed) if "*" in allowed else host == allowed
        for allowed in reach.allowed_hosts("spillway").split(",")
    )


@pytest.mark.parametrize(
    "host",
    [
        "mlflow",
        "mlflow:5000",
        "mlflow.spillway:5000",
        "mlflow.spillway.svc",
        "mlflow.spillway.svc:5000",
        "mlflow.spillway.svc.cluster.local:5000",
        "ml.example.com",
        "ml.example.com:8443",
        "localhost:5000",
        "127.0.0.1:61000",
        "10.42.0.7:5000",
        "192.168.7.12:30500",
        "[fd00::7]:5000",
    ],
)
def test_a_request_by_every_name_of_the_server_is_answered(host):
    assert accepts(REACH, host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example.com",
        "evil.example.com:5000",
        "10.evil.example.com:5000",
        "10.0.0.1.evil.com:30500",
        "1.evil.io:5000",
        "mlflow.other.svc:5000",
        "mlflow.spillway.svc.evil.com",
        "ml.example.com.evil.com",
        "localhost.evil.com:5000",
        "10.42.0.7:8080",
    ],
)
def test_a_page_of_a_stranger_cannot_pass_as_the_server_by_dns_rebinding(host):
    assert not accepts(REACH, host)


def test_a_node_port_is_only_answered_where_there_is_one():
    assert not accepts(Reach(service="mlflow", port=5000), "10.42.0.7:30500")


def test_the_servers_own_web_pages_may_call_it():
    reach = Reach(service="m", port=1, hosts=["ml.x.org"], origins=["https://a.b"], node_port=30500)

    origins = "https://ml.x.org,http://ml.x.org:30500,https://a.b"
    assert reach.allowed_origins() == origins
    assert Reach(service="m", port=1).allowed_origins() == ""


@pytest.mark.parametrize(
    ("replicas", "workers"), [(1, 1), (2, 2), (9, 8), (7, 10), (39, 2), (1, 32), (79, 1)]
)
def test_connections_of_a_roll_out_fit_into_the_database(replicas, workers):
    pool = connection_pool(replicas, workers)

    each = sum(map(int, pool.values()))
    assert 1 <= each <= 15
    assert each * workers * (replicas + 1) <= MAX_CONNECTIONS


def test_a_database_and_a_bucket_of_a_cloud_serve_as_well(engine, resolve):
    resolve(lambda: cloud_mlflow().urn)

    outgoing = engine.named("mlflow-traffic")["spec"]["egress"]
    assert [rule["to"][0]["ipBlock"]["cidr"] for rule in outgoing] == ["10.64.0.9/32", "0.0.0.0/0"]
    assert env(engine)["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://artifacts/mlflow"
    assert (
        not {"MLFLOW_S3_ENDPOINT_URL", "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE"} & env(engine).keys()
    )
    assert not {k for k in content(engine, "mlflow-keys") if k.startswith("AWS_")}


def test_a_password_that_the_cloud_keeps_is_fetched_by_server_and_migration(engine, resolve):
    resolve(lambda: cloud_mlflow().urn)

    url = content(engine, "mlflow-database")["MLFLOW_BACKEND_STORE_URI"]
    assert url.endswith("?sslmode=require&plugin=spillway_password")
    for name in ("mlflow-server", "mlflow-migration"):
        (container,) = engine.named(name)["spec"]["template"]["spec"]["containers"]
        told = {v["name"]: v["value"] for v in container["env"]}
        assert told["SPILLWAY_DATABASE_SECRET"].startswith("arn:aws:secretsmanager:")


def test_both_pods_carry_what_makes_them_somebody_in_a_cloud(engine, resolve):
    door = network.egress([{"ip_block": {"cidr": "198.51.100.0/24"}}], 443)
    login = Login(
        environment={"AWS_ROLE_ARN": "arn:aws:iam::1:role/mlflow"},
        volumes=[{"name": "token", "empty_dir": {}}],
        mounts=[{"name": "token", "mount_path": "/token", "read_only": True}],
        egress=[door],
    )
    resolve(lambda: cloud_mlflow(login=login).urn)

    known = {(s.namespace, s.account) for s in subjects("spillway", "mlflow")}
    for name in ("mlflow-server", "mlflow-migration"):
        spec = engine.named(name)["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert ("spillway", spec["serviceAccountName"]) in known
        assert {"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::1:role/mlflow"} in container["env"]
        assert "token" in {v["name"] for v in spec["volumes"]}
        assert "token" in {m["name"] for m in container["volumeMounts"]}
    for policy in ("mlflow-traffic", "mlflow-migration-policy"):
        reached = [
            rule["to"][0]["ipBlock"]["cidr"] for rule in engine.named(policy)["spec"]["egress"]
        ]
        assert "198.51.100.0/24" in reached


def test_replicas_survive_a_drain_and_a_roll_out(plain):
    spec = plain.named("mlflow-server")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert plain.named("mlflow-budget")["spec"]["minAvailable"] == 1
    assert spec["template"]["spec"]["topologySpreadConstraints"]


def test_one_replica_has_no_budget_that_would_block_every_drain(engine, resolve):
    resolve(lambda: cloud_mlflow(replicas=1).urn)

    assert engine.of("PodDisruptionBudget") == {}


@pytest.mark.parametrize(
    ("workers", "request_", "limit"), [(2, "768Mi", "2048Mi"), (8, "2304Mi", "5120Mi")]
)
def test_memory_follows_the_workers(workers, request_, limit, engine, resolve):
    resolve(lambda: cloud_mlflow(workers=workers).urn)

    pod = engine.named("mlflow-server")["spec"]["template"]["spec"]
    resources = pod["containers"][0]["resources"]
    assert resources["requests"]["memory"] == request_
    assert resources["limits"]["memory"] == limit


def test_prometheus_finds_the_metrics_of_each_replica(plain):
    notes = plain.named("mlflow-server")["spec"]["template"]["metadata"]["annotations"]
    assert notes["prometheus.io/scrape"] == "true"
    assert notes["prometheus.io/port"] == "5000"


def test_a_node_port_is_opened_only_when_asked_for(engine, resolve):
    resolve(
        lambda: [
            cloud_mlflow("a").urn,
            cloud_mlflow("b", node_port=30500, pod_network="10.42.0.0/16").urn,
        ]
    )

    inside, outside = (engine.named(f"{n}-service")["spec"] for n in "ab")
    assert inside["type"] == "ClusterIP"
    assert "nodePort" not in inside["ports"][0]
    assert (outside["type"], outside["ports"][0]["nodePort"]) == ("NodePort", 30500)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": 0}, "at least 1, got 0 and 2"),
        ({"workers": -1}, "at least 1, got 2 and -1"),
        ({"node_port": 30500}, "node_port needs pod_network"),
    ],
)
def test_impossible_arguments_are_refused_before_anything_registers(changes, message, engine):
    given = {"namespace": "x", "image": "x", "database": None, "store": None}

    with pytest.raises(ValueError, match=message):
        MlflowArgs(**given, **changes)

    assert engine.resources == []


def test_the_same_program_makes_the_same_plan_twice(engine, resolve):
    resolve(lambda: cloud_mlflow("a").urn)
    first = [r.inputs for r in engine.children() if r.name == "a-server"]
    resolve(lambda: cloud_mlflow("a").urn)

    assert [r.inputs for r in engine.children() if r.name == "a-server"] == first * 2
