"""Who may talk to whom, played through: a small judge applies the policies to pods."""

import builders
import pytest
from recording import recorded

NAMESPACE = "spillway"


def policies(engine):
    return [(p["metadata"]["namespace"], p["spec"]) for p in engine.of("NetworkPolicy").values()]


def matches(selector, marks) -> bool:
    if selector is None:
        return True
    wanted = selector.get("matchLabels", {})
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "NotIn"
        if marks.get(rule["key"]) in rule["values"]:
            return False
    return wanted.items() <= marks.items()


def peer_matches(peer, pod) -> bool:
    namespace, marks, namespace_marks = pod
    if "ipBlock" in peer:
        return False
    place = {"kubernetes.io/metadata.name": namespace, **namespace_marks}
    own = peer.get("namespaceSelector")
    return (own is not None and matches(own, place)) and matches(peer.get("podSelector"), marks)


def allowed(engine, source, target, port) -> bool:
    """True if no policy denies the connection: ingress of the target and egress of the source."""
    source, target = pod(engine, source), pod(engine, target)
    return _side(engine, "Ingress", target, source, port) and _side(
        engine, "Egress", source, target, port
    )


def _side(engine, direction, subject, other, port) -> bool:
    namespace, marks, _ = subject
    rules_key, peers_key = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    found = [
        spec
        for place, spec in policies(engine)
        if place == namespace
        and direction in spec["policyTypes"]
        and matches(spec["podSelector"], marks)
    ]
    return not found or any(
        any(peer_matches(peer, other) for peer in rule[peers_key])
        and ("ports" not in rule or port in [p["port"] for p in rule["ports"]])
        for spec in found
        for rule in spec.get(rules_key, [])
    )


def pod(engine, who):
    """A pod with the labels its workload really gives it; outsiders are written out."""
    if not isinstance(who, str):
        return who
    return (NAMESPACE, engine.named(who)["spec"]["template"]["metadata"]["labels"], {})


MLFLOW, MIGRATION = "mlflow-server", "mlflow-migration"
DATABASE, OWNER = "mlflow-db-server", "mlflow-db-owner"
STORE, BUCKET = "mlflow-s3-server", "mlflow-s3-bucket"
SCIENTIST = ("vision", {"app": "notebook"}, {"spillway.dev/mlflow-client": "true"})
STRANGER = ("other", {"app": "notebook"}, {})
NEIGHBOUR = (NAMESPACE, {"app": "intruder"}, {})
DNS = ("kube-system", {"k8s-app": "kube-dns"}, {})


def behind_a_fence():
    return [builders.namespace(namespace=NAMESPACE).urn, builders.mlflow().urn]


@pytest.fixture
def fenced():
    return recorded(behind_a_fence)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (SCIENTIST, MLFLOW, 5000),
        (MLFLOW, DATABASE, 5432),
        (MIGRATION, DATABASE, 5432),
        (OWNER, DATABASE, 5432),
        (MLFLOW, STORE, 7070),
        (BUCKET, STORE, 7070),
        (MLFLOW, DNS, 1053),
        (BUCKET, DNS, 53),
    ],
)
def test_what_must_talk_may_talk(source, target, port, fenced):
    assert allowed(fenced, source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (STRANGER, MLFLOW, 5000),
        (NEIGHBOUR, MLFLOW, 5000),
        (SCIENTIST, MLFLOW, 22),
        (SCIENTIST, MIGRATION, 5000),
        (SCIENTIST, DATABASE, 5432),
        (SCIENTIST, STORE, 7070),
        (NEIGHBOUR, DATABASE, 5432),
        (NEIGHBOUR, STORE, 7070),
        (MIGRATION, STORE, 7070),
        (BUCKET, DATABASE, 5432),
        (OWNER, STORE, 7070),
        (MLFLOW, STRANGER, 443),
        (DATABASE, STORE, 7070),
        (DATABASE, DNS, 53),
        (STORE, DNS, 53),
        (STORE, STRANGER, 443),
    ],
)
def test_all_else_is_denied(source, target, port, fenced):
    assert not allowed(fenced, source, target, port)


def traffic(engine):
    return engine.named("mlflow-traffic")["spec"]["ingress"][0]["from"]


def test_without_a_node_port_nobody_outside_the_cluster_may_call(fenced):
    assert not any("ipBlock" in peer for peer in traffic(fenced))


def test_a_node_port_lets_in_everyone_but_pods(engine, resolve):
    resolve(lambda: builders.mlflow(node_port=30500, pod_network="10.42.0.0/16").urn)

    blocks = [peer["ipBlock"] for peer in traffic(engine) if "ipBlock" in peer]
    assert blocks == [{"cidr": "0.0.0.0/0", "except": ["10.42.0.0/16"]}]


def test_the_namespace_refuses_pods_that_are_not_restricted(fenced):
    marks = fenced.named("platform-namespace")["metadata"]["labels"]

    assert marks["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_the_servers_are_behind_the_services(fenced):
    for service, server in (("mlflow-service", MLFLOW), ("mlflow-db-service", DATABASE)):
        chosen = fenced.named(service)["spec"]["selector"]
        everyone = (MLFLOW, MIGRATION, DATABASE, OWNER, STORE, BUCKET)
        behind = [who for who in everyone if chosen.items() <= pod(fenced, who)[1].items()]
        assert behind == [server]
