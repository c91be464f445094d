"""Every denied connection stands next to an allowed one to the same server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from testbed import CLIENT_LABEL, NAMESPACE, Testbed, references, until

DATABASE, STORE, TRACKING, API = 5432, 7070, 5000, 443
FRIEND, STRANGER = "friend", "stranger"


def sleeper(name: str, namespace: str) -> dict:
    """A pod with a shell, which even the restricted standard lets in."""
    container = {
        "name": "shell",
        "image": references(["postgres"])["postgres"],
        "command": ["sleep", "3600"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": 999,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "containers": [container],
            "securityContext": security,
            "terminationGracePeriodSeconds": 0,
        },
    }


@pytest.fixture(scope="module")
def world(bed: Testbed) -> Iterator[Testbed]:
    """A namespace that may call MLflow, one that may not, and a stray pod in the platform's own."""
    key, _, value = CLIENT_LABEL.partition("=")
    spaces = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": FRIEND, "labels": {key: value}},
        },
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STRANGER}},
    ]
    pods = [sleeper(FRIEND, FRIEND), sleeper(STRANGER, STRANGER), sleeper("stray", NAMESPACE)]
    document = yaml.safe_dump_all([*spaces, *pods])
    bed.kubectl("apply", "-f", "-", given=document)
    for pod in pods:
        meta = pod["metadata"]
        where = ("-n", meta["namespace"], "--timeout=120s")
        bed.kubectl("wait", "--for=condition=Ready", f"pod/{meta['name']}", *where, timeout=130)
    yield bed
    bed.kubectl("delete", "-f", "-", "--wait=true", given=document, timeout=90)


def test_mlflow_answers_a_labelled_namespace_and_no_other(world: Testbed):
    mlflow = world.service("mlflow")

    assert world.connects(FRIEND, mlflow, TRACKING, FRIEND)
    assert not world.connects(STRANGER, mlflow, TRACKING, STRANGER)
    assert not world.connects("stray", mlflow, TRACKING)


def test_a_pod_cannot_reach_mlflow_round_its_policy_by_the_node_port(world: Testbed):
    node, _, port = world.url.removeprefix("http://").partition(":")

    assert not world.connects(STRANGER, node, int(port), STRANGER)


@pytest.mark.parametrize(("name", "port"), [("database", DATABASE), ("object-store", STORE)])
def test_only_mlflow_reaches_what_it_stores_into(world: Testbed, name, port):
    server = world.service(name)

    assert world.connects(world.pods("mlflow")[0], server, port)
    assert not world.connects(FRIEND, server, port, FRIEND)
    assert not world.connects(STRANGER, server, port, STRANGER)
    assert not world.connects("stray", server, port)


def test_pods_are_fenced_by_their_own_address_too(world: Testbed):
    pods = {p["metadata"]["name"]: p["status"]["podIP"] for p in world.get("pods")}
    address, caller = pods["database-0"], world.pods("mlflow")[0]

    assert world.connects(caller, address, DATABASE)
    assert not world.connects(STRANGER, address, DATABASE, STRANGER)


def test_only_mlflow_reaches_the_api_server_and_nobody_the_rest_of_the_cluster(world: Testbed):
    api = world.service("kubernetes", "default")
    metrics = world.service("metrics-server", "kube-system")

    assert world.connects(STRANGER, api, API, STRANGER)
    assert world.connects(STRANGER, metrics, API, STRANGER)
    servers = {app: world.pods(app)[0] for app in ("mlflow", "postgres", "object-store")}
    tries = [(app, to) for app in servers for to in (api, metrics)]
    with ThreadPoolExecutor() as beside:
        reached = beside.map(lambda t: world.connects(servers[t[0]], t[1], API), tries)
        found = dict(zip(tries, reached, strict=True))
    assert [which for which, open_ in found.items() if open_] == [("mlflow", api)]


def test_the_node_itself_is_closed_to_the_platforms_pods(world: Testbed):
    kubelet = 10250

    assert world.connects(STRANGER, world.layout.address, kubelet, STRANGER)
    assert not world.connects(world.pods("mlflow")[0], world.layout.address, kubelet)


def test_mlflow_looks_up_names_and_servers_that_call_nobody_do_not(world: Testbed):
    look_up = ("timeout", "3", "getent", "hosts", "database.spillway.svc.cluster.local")
    said = {
        app: world.execute(world.pods(app)[0], "sh", "-c", f"{' '.join(look_up)} || echo nothing")
        for app in ("mlflow", "postgres")
    }

    assert world.service("database") in said["mlflow"]
    assert said["postgres"].strip() == "nothing"


def test_it_is_the_policy_that_denies_and_a_change_of_it_works_at_once(world: Testbed):
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "everything", "namespace": NAMESPACE},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]},
    }
    database, text = world.service("database"), yaml.safe_dump(policy)

    def reached(wanted: bool) -> bool | None:
        return True if world.connects(STRANGER, database, DATABASE, STRANGER) is wanted else None

    world.kubectl("apply", "-f", "-", given=text)
    try:
        until(lambda: reached(True), 15, "an allowed connection")
    finally:
        world.kubectl("delete", "-f", "-", given=text)
    until(lambda: reached(False), 15, "a denied connection")
