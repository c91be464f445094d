"""Requests a second, for autoscalers: what is declared for their meter, and what it answers.

Its program runs here as in its pod, against a gateway and an API server that are played.
"""

from types import SimpleNamespace

import builders
import pytest
import yaml
from recording import recorded
from request_meter import (
    METRIC,
    PATH,
    Clock,
    asking,
    gateway,
    meter,
    page,
    pod,
    program,
    server,
)

from components.door.meter import PROGRAM
from rig.rehearsal.scenes import config_of


def made():
    return recorded(lambda: builders.request_meter().urn)


# -- what is declared -----------------------------------------------------------------------------


def test_it_may_list_pods_of_its_namespace_and_read_who_api_servers_are_and_nothing_else():
    engine = made()

    (role,) = engine.of("Role").values()
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    assert role["metadata"]["namespace"] == "front-door"
    assert not engine.of("ClusterRole")
    assert not engine.of("ClusterRoleBinding")
    proxies = engine.named("request-meter-proxies")
    assert proxies["metadata"]["namespace"] == "kube-system"
    assert proxies["roleRef"]["name"] == "extension-apiserver-authentication-reader"
    assert proxies["subjects"][0]["namespace"] == "front-door"


def test_it_is_called_by_the_api_server_and_calls_that_and_the_gateway():
    spec = made().named("request-meter-traffic")["spec"]

    (incoming,) = spec["ingress"]
    assert incoming["from"] == [{"ipBlock": {"cidr": builders.NODES}}]
    ports = made().named("request-meter-server")["spec"]["template"]["spec"]["containers"][0][
        "ports"
    ]
    assert {"name": "https", "containerPort": incoming["ports"][0]["port"]} in ports
    api, statistics = spec["egress"]
    assert api["to"] == [{"ipBlock": {"cidr": builders.NODES}}]
    assert statistics["ports"] == [{"protocol": "TCP", "port": 15090}]
    (peer,) = statistics["to"]
    assert peer["podSelector"]["matchLabels"] == {"istio": "ingressgateway"}
    labels = made().named("request-meter-server")["spec"]["template"]["metadata"]["labels"]
    assert labels["spillway.dev/dns"] == "denied"


def test_only_its_own_gateway_is_open_to_it():
    meters = [builders.door.meter_pods()]
    opened, closed = (
        recorded(lambda given=given: builders.front_door(meters=given).urn).named(
            "front-door-traffic"
        )["spec"]["ingress"]
        for given in (meters, [])
    )

    assert [rule for rule in opened if rule not in closed] == [
        {"from": meters_as_sent(), "ports": [{"protocol": "TCP", "port": 15090}]}
    ]


def meters_as_sent():
    labels = {
        "app.kubernetes.io/name": "request-meter",
        "app.kubernetes.io/instance": "request-meter",
        "app.kubernetes.io/component": "meter",
    }
    own = {"kubernetes.io/metadata.name": "front-door"}
    return [{"namespaceSelector": {"matchLabels": own}, "podSelector": {"matchLabels": labels}}]


def test_the_api_is_registered_last_and_goes_first_and_cert_manager_owns_its_authority():
    engine = made()
    request = engine.requests["request-meter-api"]
    depends = {urn.rpartition("::")[2] for urn in request.dependencies}

    assert {"request-meter-server", "request-meter-service"} <= depends
    assert list(request.ignoreChanges) == ["spec.caBundle"]
    registered = engine.named("request-meter-api")
    assert registered["metadata"]["name"] == "v1beta1.external.metrics.k8s.io"
    source = registered["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
    certificate = engine.named("request-meter-request-meter-certificate")
    assert source == f"front-door/{certificate['metadata']['name']}"
    service = registered["spec"]["service"]
    assert certificate["spec"]["dnsNames"] == [f"{service['name']}.{service['namespace']}.svc"]


def test_one_of_two_stays_and_all_that_it_needs_is_there_before_it():
    engine = made()

    deployment = engine.named("request-meter-server")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert engine.named("request-meter-budget")["spec"]["minAvailable"] == 1
    depends = {u.rpartition("::")[2] for u in engine.requests["request-meter-server"].dependencies}
    assert {
        "request-meter-proxies",
        "request-meter-gateways-binding",
        "request-meter-traffic",
    } <= depends
    assert any("certificate" in name for name in depends)


def test_the_program_takes_the_words_that_it_is_started_with():
    container = made().named("request-meter-server")["spec"]["template"]["spec"]["containers"][0]
    asked = program.parsed(container["args"])

    assert container["command"] == ["/opt/fetch/bin/python", f"/program/{PROGRAM.name}"]
    assert (asked.namespace, asked.selector) == ("front-door", "istio=ingressgateway")
    assert {p["name"]: p["containerPort"] for p in container["ports"]} == {
        "https": asked.https_port,
        "http": asked.http_port,
    }
    assert str(asked.certificate) in {m["mountPath"] for m in container["volumeMounts"]}
    assert asked.metric == METRIC


def test_a_rehearsal_where_nobody_counts_scales_by_processors(tmp_path):
    by_requests = {"maxReplicas": 4, "requestsPerSecond": 50, "calmSeconds": 60}
    models = {"iris": {"autoscaling": by_requests}, "wine": {"replicas": 2}}
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(yaml.safe_dump({"config": {"spillway:models": models}}))

    assert config_of(file)["spillway:models"] == {
        "iris": {"autoscaling": {"maxReplicas": 4, "calmSeconds": 60}},
        "wine": {"replicas": 2},
    }


# -- what is counted ------------------------------------------------------------------------------

A, B = (program.Version("vision", "iris", place) for place in "ab")


def test_requests_are_added_up_over_classes_and_ports_and_nothing_counts_twice():
    text = page({server("a"): {"2xx": 90, "5xx": 10}, server("a", port=9500): {"2xx": 7}})
    text += page({server("b"): {"2xx": 3}, server("a", "wine-red", "language"): {"4xx": 2}})
    text += 'envoy_cluster_upstream_rq{response_code="200",cluster_name="' + server("a") + '"} 90\n'
    text += page({"outbound|8000||jupyterhub-proxy.spillway.svc.cluster.local;": {"2xx": 5}})

    wine = program.Version("language", "wine-red", "a")
    assert program.counted(text) == {A: 107, B: 3, wine: 2}


def test_the_rate_is_that_of_all_pods_over_the_last_half_minute():
    clock, pages = Clock(), {"one": 1000, "two": 0}
    found = meter(clock, [pod("one"), pod("two")], lambda p: page({server("a"): pages[p.name]}))
    found.look()
    for _ in range(12):
        clock.now += 5
        pages = {"one": pages["one"] + 100, "two": pages["two"] + 50}
        found.look()
    assert found.rate(A) == pytest.approx(30)
    assert found.rate(B) == 0

    for _ in range(6):
        clock.now += 5
        found.look()
    assert found.rate(A) == 0, "what was before the window"


def test_a_gateway_that_began_to_count_anew_is_no_negative_number():
    clock, counts = Clock(), iter([1000, 1100, 40, 90])
    found = meter(clock, [pod("one")], lambda _: page({server("a"): next(counts)}))
    for _ in range(4):
        found.look()
        clock.now += 5

    assert found.rate(A) == pytest.approx((100 + 40 + 50) / 15)


def test_a_version_that_is_called_for_the_first_time_counts_from_nothing():
    clock, pages = Clock(), iter(["", page({server("a"): 50})])
    found = meter(clock, [pod("one")], lambda _: next(pages))
    found.look()
    clock.now += 5
    found.look()

    assert found.rate(A) == pytest.approx(10)


# -- what is not known is not said ----------------------------------------------------------------


def reading(clock, pods, silent):
    def read(of):
        if of.name in silent:
            raise OSError("no route")
        return page({server("a"): 100 * clock.now})

    return meter(clock, pods, read)


def looked(found, clock, times):
    for _ in range(times):
        found.look()
        clock.now += 5


def test_one_look_is_not_enough():
    clock = Clock()
    found = reading(clock, [pod("one")], set())
    assert not found.whole()

    looked(found, clock, 1)
    with pytest.raises(program.Unknown, match="not read twice"):
        found.rate(A)
    looked(found, clock, 1)
    assert found.rate(A) == pytest.approx(100)
    assert found.whole()


def test_a_gateway_that_cannot_be_read_is_no_zero_and_counts_again_when_it_answers():
    clock, silent = Clock(), set()
    found = reading(clock, [pod("one"), pod("two")], silent)
    looked(found, clock, 3)
    assert found.rate(A) == pytest.approx(200)

    silent.add("two")
    looked(found, clock, 3)
    with pytest.raises(program.Unknown, match="two of the gateway"):
        found.rate(A)
    silent.clear()
    looked(found, clock, 1)
    assert found.rate(A) == pytest.approx(200)


def test_a_new_gateway_is_waited_for_once_requests_come_in_by_it():
    clock, pods = Clock(), [pod("one")]
    found = reading(clock, pods, set())
    looked(found, clock, 2)
    pods.append(pod("two", ready=False))
    looked(found, clock, 1)
    assert found.rate(A) == pytest.approx(100)

    pods[1] = pod("three")
    looked(found, clock, 1)
    with pytest.raises(program.Unknown, match="three of the gateway"):
        found.rate(A)
    looked(found, clock, 1)
    assert found.rate(A) == pytest.approx(200)


@pytest.mark.parametrize("left", [[], [pod("two", ready=False)]], ids=["gone", "broken"])
def test_a_gateway_without_pods_that_answer_has_no_numbers(left):
    clock, pods = Clock(), [pod("one")]
    found = reading(clock, pods, {"two"})
    looked(found, clock, 2)
    pods[:] = left
    looked(found, clock, 1)

    with pytest.raises(program.Unknown, match="no pod of the gateway is ready"):
        found.rate(A)
    assert "one" not in found._samples, "it would be kept for ever"


def test_of_the_gateways_pods_those_count_by_which_requests_come_in():
    def listed(phase: str = "Running", ready: str = "True", **meta: str) -> dict:
        status = {"phase": phase, "podIP": "10.0.0.1"}
        status["conditions"] = [{"type": "Ready", "status": ready}]
        return {"metadata": {"uid": "one", "name": "one", **meta}, "status": status}

    def counts(pod: dict) -> list[bool]:
        api = SimpleNamespace(get=lambda _: {"items": [pod]})
        return [found.ready for found in program.pods_of(api, "front-door", "istio=x")]

    assert counts(listed()) == [True]
    assert counts(listed(ready="False")) == [False]
    assert counts(listed(deletionTimestamp="2026-11-23T13:00:00Z")) == [False]
    assert counts(listed(phase="Failed")) == []


def test_a_pod_that_goes_is_not_waited_for():
    clock, pods = Clock(), [pod("one"), pod("two")]
    silent: set[str] = set()
    found = reading(clock, pods, silent)
    looked(found, clock, 2)
    assert found.rate(A) == pytest.approx(200)

    pods[1] = pod("two", ready=False)
    silent.add("two")
    looked(found, clock, 3)
    assert found.rate(A) == pytest.approx(100)


def test_without_the_api_server_there_are_no_numbers():
    clock = Clock()
    found = reading(clock, [pod("one")], set())
    looked(found, clock, 2)
    clock.now += 60

    with pytest.raises(program.Unknown, match="API server"):
        found.rate(A)


# -- what it is asked -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        ("model=iris,place=a", {"model": "iris", "place": "a"}),
        ("model==iris,place=a", {"model": "iris", "place": "a"}),
        ("", {}),
    ],
)
def test_selectors_are_read_as_kubernetes_writes_them(selector, labels):
    assert program.selected(selector) == labels


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "model=iris",
        "model!=iris,place=a",
        "model in (iris),place=a",
        "model=,place=a",
        "model=iris,place=a,zone=b",
        "model=iris,model=wine,place=a",
    ],
)
def test_any_other_question_is_refused_and_not_guessed_at(selector):
    found = program.answer(reading(Clock(), [], set()), METRIC, f"{PATH}?labelSelector={selector}")

    assert (found.status, found.body["kind"]) == (400, "Status")


@pytest.mark.parametrize(
    "path",
    ["/apis", "/openapi/v2", "/openapi/v3", f"{PATH}s?labelSelector=model%3Diris", "/metrics"],
)
def test_what_is_not_there_is_not_found(path):
    found = program.answer(reading(Clock(), [], set()), METRIC, path)

    assert (found.status, found.body["reason"]) == (404, "NotFound")


# -- the whole of it, by HTTPS and HTTP -----------------------------------------------------------


def test_an_autoscaler_is_told_what_the_gateways_pods_have_counted(tmp_path):
    with asking(tmp_path) as world, gateway(world) as pages:
        pages.update({"127.0.0.1": page({server("a"): 1000}), "127.0.0.2": page({server("a"): 10})})
        world.look()
        pages.update({"127.0.0.1": page({server("a"): 1050}), "127.0.0.2": page({server("a"): 22})})
        world.look()

        status, body = world.ask(f"{PATH}?labelSelector=model%3Diris%2Cplace%3Da")
        assert status == 200, body
        (item,) = body["items"]
        assert body["kind"] == "ExternalMetricValueList"
        assert body["apiVersion"] == "external.metrics.k8s.io/v1beta1"
        assert item["metricName"] == METRIC
        assert item["metricLabels"] == {"model": "iris", "place": "a"}
        assert item["value"] == "12400m"
        assert item["timestamp"].endswith("Z")
        _, never = world.ask(f"{PATH}?labelSelector=model%3Diris%2Cplace%3Db")
        assert never["items"][0]["value"] == "0m"


def test_a_gateway_that_is_gone_is_a_503(tmp_path):
    question = f"{PATH}?labelSelector=model%3Diris%2Cplace%3Da"
    with asking(tmp_path) as world:
        with gateway(world) as pages:
            pages.update(dict.fromkeys(("127.0.0.1", "127.0.0.2"), page({server("a"): 1})))
            world.look()
            assert world.ask(question)[0] == 503
            world.look()
            assert world.ask(question)[0] == 200
        for _ in range(3):
            world.look()

        status, body = world.ask(question)
        assert (status, body["kind"], body["code"]) == (503, "Status", 503)
        assert "of the gateway was not read twice lately" in body["message"]


def test_the_api_says_what_is_in_it(tmp_path):
    with asking(tmp_path) as world:
        world.look()
        status, body = world.ask("/apis/external.metrics.k8s.io/v1beta1")

    assert (status, body["kind"]) == (200, "APIResourceList")
    (resource,) = body["resources"]
    assert (resource["name"], resource["namespaced"]) == (METRIC, True)
    # What could be listed and deleted, Kubernetes would do when a namespace goes.
    assert resource["verbs"] == ["get"]


ROOT = "/apis/external.metrics.k8s.io/v1beta1"
REFUSED = r"(?i)certificate|unknown.ca|alert|reset|closed|EOF"


def test_only_api_servers_are_answered(tmp_path):
    with asking(tmp_path) as world:
        world.look()
        assert world.ask(ROOT)[0] == 200

        for stranger in (None, world.stranger()):
            with pytest.raises(OSError, match=REFUSED):
                world.ask(ROOT, stranger)
        # Signed by the same authority, but for something else.
        assert world.ask(ROOT, world.client("admin"))[0] == 403
        assert world.ask(ROOT, world.client("front-proxy"))[0] == 200


def test_before_it_knows_who_may_ask_it_answers_nobody(tmp_path):
    with asking(tmp_path) as world, pytest.raises(OSError):  # noqa: PT011 - of many kinds
        world.ask(ROOT)


def test_where_the_authority_signs_nothing_else_any_of_its_names_is_an_api_server(tmp_path):
    with asking(tmp_path, names=[]) as world:
        world.look()

        assert world.ask(ROOT, world.client("aggregator"))[0] == 200


def test_nobody_is_an_api_server_without_a_certificate(tmp_path):
    with asking(tmp_path, names=[]) as world:
        world.look()

        assert world.trust.allows({"subject": [[("commonName", "any")]]})
        assert not world.trust.allows(None)
        assert not world.trust.allows({})


def test_certificates_that_follow_others_are_taken_in(tmp_path):
    with asking(tmp_path) as world:
        world.look()
        first = world.shown()
        world.renew()
        world.look()
        assert world.shown() != first

        other = world.other_proxies()
        world.look()
        assert world.ask(ROOT, other)[0] == 200
        with pytest.raises(OSError, match=REFUSED):
            world.ask(ROOT)


def test_it_is_ready_once_all_is_known_and_stays_ready(tmp_path):
    with asking(tmp_path) as world:
        assert world.probe("/healthz") == 200
        with gateway(world) as pages:
            pages.update(dict.fromkeys(("127.0.0.1", "127.0.0.2"), ""))
            world.look()
            assert world.probe("/readyz") == 503
            world.look()
            assert world.probe("/readyz") == 200
        for _ in range(3):
            world.look()
        assert world.probe("/readyz") == 200
        assert world.probe("/metrics") == 404


def test_it_runs_as_a_pod_runs_it_and_ends_when_it_is_told(tmp_path):
    with asking(tmp_path) as world, gateway(world) as pages:
        pages.update(dict.fromkeys(("127.0.0.1", "127.0.0.2"), page({server("a"): 1})))
        with world.process() as running:
            assert running.ready(20)
            assert running.ask(ROOT)[0] == 200
            running.told.terminate()
            assert running.told.wait(10) == 0
