"""The hub, its proxy and the experiments page as objects of the cluster."""

import json
from typing import Any

import builders
import pulumi
import pytest
from hub_code import told as hub_told
from pulumi.runtime.rpc import is_rpc_secret
from recording import recorded
from test_tenant import policies

from components import hub, network

PARTS = ("hub", "proxy", "tracking-ui")
PODS = "10.42.0.0/16"


def one():
    return builders.jupyterhub().urn


def open_to_nodes():
    return builders.jupyterhub(node_port=30080, pod_network=PODS).urn


def in_dev():
    return builders.jupyterhub(login=hub.Login(provider="dummy"), login_secret=None).urn


def in_a_cloud():
    return builders.jupyterhub(
        teams={"vision": builders.team(storage=builders.cloud_storage())}
    ).urn


def pod(engine, part: str) -> dict[str, Any]:
    return engine.named(f"jupyterhub-{part}")["spec"]["template"]["spec"]


def container(engine, part: str) -> dict[str, Any]:
    (only,) = pod(engine, part)["containers"]
    return only


def document(engine) -> str:
    return engine.named("jupyterhub-told")["data"]["hub.json"]


# -- how it stays up ------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_there_is_one_of_each_and_never_two_at_a_time(part):
    spec = recorded(one).named(f"jupyterhub-{part}")["spec"]

    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("part", PARTS)
def test_the_cluster_asks_whether_it_works_where_it_listens(part):
    found = container(recorded(one), part)

    ports = {p["name"]: p["containerPort"] for p in found["ports"]}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = found[kind]["httpGet"]
        assert asked["port"] in ports, kind
        assert asked["path"].startswith("/"), kind
    allowed = found["startupProbe"]["periodSeconds"] * found["startupProbe"]["failureThreshold"]
    assert allowed >= 60, "a slow machine, and a database that is brought up to date"


@pytest.mark.parametrize("part", PARTS)
def test_a_drain_may_move_it_and_peoples_work_may_not_push_it_off(part):
    engine = recorded(one)

    budget = engine.named(f"jupyterhub-{part}-budget")["spec"]
    chosen = engine.named(f"jupyterhub-{part}")["spec"]["selector"]["matchLabels"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": chosen}}
    assert pod(engine, part)["priorityClassName"] == "jupyterhub-priority"
    (priority,) = engine.of("PriorityClass").values()
    assert 0 < priority["value"] < 1_000_000_000, "above people's, below the system's"
    assert not priority.get("globalDefault")


def test_only_who_must_ask_the_api_server_has_a_token():
    tokens = {p: pod(recorded(one), p)["automountServiceAccountToken"] for p in PARTS}

    assert tokens == {"hub": True, "proxy": False, "tracking-ui": True}


def test_in_its_own_namespace_it_may_do_nothing_through_the_api():
    engine = recorded(one)

    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        assert engine.of(kind) == {}, kind
    names = {a["metadata"].get("name") for a in engine.of("ServiceAccount").values()}
    for subject in (hub.spawner("spillway", "jupyterhub"), hub.viewer("spillway", "jupyterhub")):
        assert subject.account in names, "whom a tenant's bindings name"


# -- who may talk to whom -------------------------------------------------------------------------


def ways(build) -> dict[str, tuple[list[str], list[str]]]:
    found = policies(recorded(build))
    return {name.removeprefix("jupyterhub-"): (i, e) for name, (_, i, e) in found.items()}


API = [f"{builders.NODES}:443", f"{builders.NODES}:6443"]
SPACE = "spillway: jupyterhub/"
TENANTS = "?: *"
"""All pods of namespaces that are tenants'."""


def test_every_way_in_and_out_is_one_of_these():
    assert ways(one) == {
        "hub-traffic": (
            sorted(
                [
                    f"{TENANTS}:8081",
                    f"{SPACE}hub:8081",
                    f"{SPACE}proxy:8081",
                    f"{SPACE}tracking-ui:8081",
                ]
            ),
            sorted(
                [
                    *API,
                    "0.0.0.0/0…:443",
                    "10.64.0.9/32:5432",
                    f"{TENANTS}:8888",
                    f"{SPACE}proxy:8000",
                    f"{SPACE}proxy:8001",
                    f"{SPACE}tracking-ui:8090",
                ]
            ),
        ),
        "proxy-traffic": (
            [f"{SPACE}hub:8001"],
            sorted([f"{TENANTS}:8888", f"{SPACE}hub:8081", f"{SPACE}tracking-ui:8090"]),
        ),
        "viewer-traffic": (
            [f"{SPACE}hub:8090", f"{SPACE}proxy:8090"],
            sorted([*API, f"{SPACE}hub:8081", "spillway: mlflow:5000"]),
        ),
    }


def test_peers_without_a_name_are_tenants_and_nobody_else():
    engine = recorded(one)

    for name, policy in engine.of("NetworkPolicy").items():
        sides = (*policy["spec"]["ingress"], *policy["spec"]["egress"])
        for peer in (p for rule in sides for p in (*rule.get("from", ()), *rule.get("to", ()))):
            if (space := peer.get("namespaceSelector")) and not peer["podSelector"]:
                assert space == {"matchLabels": {"spillway.dev/tenant": "true"}}, name


def test_with_a_node_port_everybody_but_pods_may_come_to_the_proxy_and_nowhere_else():
    engine = recorded(open_to_nodes)

    incoming, _ = ways(open_to_nodes)["proxy-traffic"]
    assert incoming == sorted([f"{SPACE}hub:8001", "0.0.0.0/0…:8000"])
    blocks = [
        p["ipBlock"]
        for rule in engine.named("jupyterhub-proxy-traffic")["spec"]["ingress"]
        for p in rule["from"]
        if "ipBlock" in p
    ]
    assert blocks == [{"cidr": "0.0.0.0/0", "except": [PODS]}]
    services = engine.of("Service")
    public = {n: s["spec"]["type"] for n, s in services.items() if s["spec"]["type"] != "ClusterIP"}
    assert public == {"jupyterhub-proxy-service": "NodePort"}
    (port,) = services["jupyterhub-proxy-service"]["spec"]["ports"]
    assert (port["nodePort"], port["targetPort"]) == (30080, "http")


def test_without_a_node_port_no_service_leaves_the_cluster():
    assert {s["spec"]["type"] for s in recorded(one).of("Service").values()} == {"ClusterIP"}


def test_a_node_port_without_the_pods_network_is_refused(engine):
    with pytest.raises(ValueError, match="node_port needs pod_network"):
        builders.jupyterhub(node_port=30080)


def test_the_provider_is_asked_at_its_own_port_and_never_link_local(engine, resolve):
    login = hub.Login(provider="oidc", issuer="https://id.example.com:8443/realms/ds")
    resolve(lambda: builders.jupyterhub(login=login).urn)

    (rule,) = (
        r
        for r in engine.named("jupyterhub-hub-traffic")["spec"]["egress"]
        if any(p.get("ipBlock", {}).get("cidr") == "0.0.0.0/0" for p in r["to"])
    )
    assert {p["port"] for p in rule["ports"]} == {443, 8443}
    assert rule["to"][0]["ipBlock"]["except"] == [network.LINK_LOCAL]


def test_where_there_is_no_provider_the_hub_calls_nobody_outside():
    _, outgoing = ways(in_dev)["hub-traffic"]

    assert not [way for way in outgoing if way.startswith("0.0.0.0/0")]


# -- secrets --------------------------------------------------------------------------------------


def test_each_part_has_the_secrets_it_needs_and_no_other():
    engine = recorded(one)
    content = {n: s["stringData"]["value"] for n, s in engine.of("Secret").items()}

    assert {name: set(values) for name, values in content.items()} == {
        "jupyterhub-hub-keys": {
            "HUB_DATABASE_URL",
            "HUB_COOKIE_SECRET",
            "HUB_CRYPT_KEY",
            "PROXY_TOKEN",
            "VIEWER_TOKEN",
            "METRICS_TOKEN",
            "LOGIN_SECRET",
        },
        "jupyterhub-proxy-keys": {"PROXY_TOKEN"},
        "jupyterhub-viewer-keys": {"JUPYTERHUB_API_TOKEN", "VIEWER_COOKIE_SECRET"},
    }
    assert all(is_rpc_secret(s["stringData"]) for s in engine.of("Secret").values())
    hubs = content["jupyterhub-hub-keys"]
    assert hubs["PROXY_TOKEN"] == content["jupyterhub-proxy-keys"]["PROXY_TOKEN"]
    assert hubs["VIEWER_TOKEN"] == content["jupyterhub-viewer-keys"]["JUPYTERHUB_API_TOKEN"]
    assert len(set(hubs.values())) == len(hubs), "no secret opens two doors"
    assert hubs["HUB_DATABASE_URL"].startswith("postgresql+psycopg://")
    assert hubs["LOGIN_SECRET"] == "hunter2login"


def test_the_password_everybody_shares_is_made_where_there_is_no_provider(engine, resolve):
    def built():
        made = builders.jupyterhub(login=hub.Login(provider="dummy"), login_secret=None)
        assert made.password is not None
        return pulumi.Output.all(made.password, made.password.is_secret())

    text, secret = resolve(built)
    assert secret is True
    assert engine.named("jupyterhub-hub-keys")["stringData"]["value"]["LOGIN_SECRET"] == text
    assert builders.jupyterhub("other").password is None


def test_keys_are_locked_as_the_stack_says(engine, resolve):
    resolve(lambda: builders.jupyterhub(protect=False).urn)

    kept = {engine.requests[name].protect for name in engine.of("RandomPassword")}
    assert kept == {False}
    locked = recorded(one)
    assert {locked.requests[name].protect for name in locked.of("RandomPassword")} == {True}


# -- what the hub is told -------------------------------------------------------------------------


@pytest.mark.parametrize("build", [one, in_dev, in_a_cloud, open_to_nodes])
def test_nothing_secret_is_in_what_the_hub_is_told(build):
    told = recorded(build).named("jupyterhub-told")

    assert not is_rpc_secret(told["data"])
    assert "hunter2" not in document(recorded(build))


def test_the_hub_understands_what_it_is_told():
    told = hub_told.parse(document(recorded(one)))

    assert told.hub == "http://jupyterhub-hub.spillway.svc:8081"
    assert told.proxy_api == "http://jupyterhub-proxy-api.spillway.svc:8001"
    assert told.viewer == "http://jupyterhub-tracking-ui.spillway.svc:8090"
    assert told.login.hosted_domain == "example.com"
    assert told.servers.start_seconds == 300
    assert told.profiles["gpu-l4"].accelerator == "l4"
    team = told.tenants["vision"]
    assert (team.namespace, team.secret) == ("vision", "storage")
    assert team.environment == {
        "SPILLWAY_STORAGE": "s3://tenant-vision",
        "AWS_ENDPOINT_URL_S3": "http://object-store.spillway.svc:9000",
    }
    assert told.places(["Ada@Example.com"], []) == ["vision"]


def test_the_addresses_it_is_told_are_those_of_services_that_exist():
    engine = recorded(one)

    told = hub_told.parse(document(engine))
    services = {
        f"http://{s['metadata']['name']}.spillway.svc:{s['spec']['ports'][0]['port']:.0f}"
        for s in engine.of("Service").values()
    }
    assert {told.hub, told.proxy_api, told.viewer} <= services


def test_in_a_cloud_a_server_carries_what_its_login_needs_as_kubernetes_spells_it():
    team = hub_told.parse(document(recorded(in_a_cloud))).tenants["vision"]

    assert team.secret is None
    assert team.volumes == [{"name": "login", "configMap": {"name": "login", "defaultMode": 0o444}}]
    assert team.mounts == [{"name": "login", "mountPath": "/var/run/login", "readOnly": True}]
    assert team.environment["GOOGLE_APPLICATION_CREDENTIALS"] == "/var/run/login/config.json"


def test_a_change_of_what_it_is_told_is_a_new_pod():
    volumes = {v["name"]: v for v in pod(recorded(one), "hub")["volumes"]}

    assert volumes["told"]["configMap"]["name"] == "jupyterhub-told"
    assert "name" not in recorded(one).named("jupyterhub-told")["metadata"]


def test_the_document_is_one_for_people_to_read():
    assert json.loads(document(recorded(one)))
    assert "\n" in document(recorded(one))


# -- images on every node -------------------------------------------------------------------------


def pulled():
    return builders.puller(images=["notebook:1", "spark:1"]).urn


def test_the_puller_holds_every_image_on_any_node_and_calls_nobody():
    (daemon,) = recorded(pulled).of("DaemonSet").values()

    template = daemon["spec"]["template"]
    assert [c["image"] for c in template["spec"]["containers"]] == ["notebook:1", "spark:1"]
    assert template["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert template["metadata"]["labels"]["spillway.dev/dns"] == "denied"
    assert template["spec"]["automountServiceAccountToken"] is False
    assert daemon["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    for held in template["spec"]["containers"]:
        assert held["resources"]["requests"] == {"cpu": "1m", "memory": "4Mi"}


def test_without_images_to_keep_there_is_no_puller(engine, resolve):
    resolve(lambda: builders.jupyterhub(pull=()).urn)

    assert engine.of("DaemonSet") == {}
