"""What the front door does in plain HTTP, and how an ACME server gets its answers there."""

import base64

import builders
import pytest
from recording import recorded

from components import door
from components.certificates import AcmeTraffic
from components.door.plain import CHALLENGES, SOLVERS
from components.network import egress
from rig import images

ACME = door.Acme(server="https://acme.example.com:9000/dir", email="a@example.com")
OWN = door.OwnAuthority()


def plain_http(**changes):
    return recorded(lambda: builders.plain_http(**changes).urn)


def routes(host, **changes):
    made = plain_http(**changes).named(f"front-door-plain-{host}")["spec"]
    assert made["gateways"] == ["plain"]
    return made["http"]


def test_every_name_leads_to_https_and_nowhere_else():
    assert routes("hub", challenges=False) == [
        {"redirect": {"scheme": "https", "redirectCode": 301}}
    ]


def test_on_node_ports_the_way_leads_to_the_port_of_https():
    (only,) = routes("hub", challenges=False, https_port=30443)

    assert only["redirect"]["port"] == 30443


def test_an_acme_server_is_answered_by_the_pod_for_the_name():
    made = plain_http()
    first, second = made.named("front-door-plain-hub")["spec"]["http"]

    assert first["match"] == [{"uri": {"prefix": CHALLENGES}, "method": {"exact": "GET"}}]
    (way,) = first["route"]
    service = "front-door-plain-hub-answers"
    assert way["destination"]["host"] == f"{service}.front-door.svc.cluster.local"
    # Adler-32 of the name, as cert-manager marks its pods.
    assert made.named(service)["spec"]["selector"] == {
        "acme.cert-manager.io/http01-solver": "true",
        "acme.cert-manager.io/http-domain": "776209863",
    }
    assert "redirect" in second


def test_plain_http_takes_routes_from_its_own_namespace_alone():
    (server,) = plain_http().named("front-door-plain-gateway")["spec"]["servers"]

    assert server["hosts"] == ["./hub.example.com", "./models.example.com"]
    assert server["port"]["number"] == 80


def test_pods_that_answer_hear_the_gateway_alone_and_call_nobody():
    policy = plain_http().named("front-door-plain-answers")["spec"]

    assert policy["podSelector"]["matchLabels"] == SOLVERS
    (rule,) = policy["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": door.CHOSEN}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8089}]
    assert policy["egress"] == []


@pytest.mark.parametrize(("signer", "asked"), [(ACME, True), (OWN, False)])
def test_the_gateway_reaches_pods_that_answer_only_if_a_server_asks(signer, asked):
    made = recorded(lambda: builders.front_door(signer=signer).urn)

    ports = [r["ports"][0]["port"] for r in made.named("front-door-traffic")["spec"]["egress"]]
    assert (8089 in ports) is asked
    assert ("front-door-plain-answers" in made.of("NetworkPolicy")) is asked


def test_of_the_door_only_https_takes_routes_of_tenants():
    made = recorded(lambda: builders.front_door().urn)

    (server,) = made.named("front-door-gateway")["spec"]["servers"]
    assert server["port"]["protocol"] == "HTTPS"


def issuer(signer):
    made = recorded(lambda: builders.certificates(signer=signer).urn)
    return made.named("front-door-acme-issuer")["spec"]["acme"]


def test_cert_manager_opens_no_port_of_machines_for_an_answer():
    (solver,) = issuer(ACME)["solvers"]

    ingress = solver["http01"]["ingress"]
    assert ingress["serviceType"] == "ClusterIP"
    # Of a class that no controller serves, Istio's own among them.
    assert ingress["ingressClassName"] == "front-door"
    assert ingress["podTemplate"]["metadata"]["labels"] == {"spillway.dev/dns": "denied"}


def test_a_companys_own_server_is_known_by_the_authority_that_was_given():
    known = door.Acme(server=ACME.server, email=ACME.email, authority="certificates")

    assert "caBundle" not in issuer(ACME)
    assert base64.b64decode(issuer(known)["caBundle"]) == b"certificates"


def test_only_the_controller_of_cert_manager_calls_the_world_and_only_if_it_must():
    way = AcmeTraffic(port=9000, door=egress([door.gateway_pods()], 8080))
    asked = recorded(lambda: builders.cert_manager(acme=way).urn).of("NetworkPolicy")
    other = recorded(lambda: builders.cert_manager().urn).of("NetworkPolicy")

    assert "cert-manager-acme" not in other
    assert asked["cert-manager-traffic"] == other["cert-manager-traffic"]
    policy = asked["cert-manager-acme"]["spec"]
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "controller"
    world, gateways = policy["egress"]
    assert [port["port"] for port in world["ports"]] == [80, 9000]
    assert world["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]
    assert [port["port"] for port in gateways["ports"]] == [8080]


def test_what_answers_is_named_to_cert_manager():
    values = recorded(lambda: builders.cert_manager().urn).named("cert-manager-release")["values"]

    assert values["acmesolver"]["image"]["repository"] == "example.com/acmesolver"
    assert values["acmesolver"]["image"]["tag"] == "1"


@pytest.mark.parametrize("asked", [True, False])
def test_under_the_models_name_a_server_may_look_in_plain_http_and_nowhere_else(asked):
    made = recorded(lambda: builders.model_access(challenges=asked).urn)

    operations = [
        target["operation"]
        for rule in made.named("model-access-allowed")["spec"]["rules"]
        for target in rule["to"]
    ]
    found = [one for one in operations if f"{CHALLENGES}*" in one.get("paths", [])]
    assert len(found) == asked
    assert all(one["ports"] == ["8080"] and one["methods"] == ["GET"] for one in found)


def test_no_ingress_is_a_way_in():
    values = recorded(lambda: builders.mesh().urn).named("mesh-istiod")["values"]

    assert values["meshConfig"]["ingressControllerMode"] == "OFF"


BUILT = {"spillway:domain": "ds.example.com", "spillway:images": {"operators": "built"}}


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        (BUILT, True),
        ({**BUILT, "spillway:frontDoor": {"certificates": "acme"}}, True),
        ({**BUILT, "spillway:frontDoor": {"certificates": "own"}}, False),
        ({**BUILT, "spillway:images": {"operators": "official"}}, False),
        ({"spillway:images": {"operators": "built"}}, False),
    ],
    ids=["by default", "acme", "own", "official images", "no door"],
)
def test_what_answers_is_built_for_those_whom_a_server_asks(settings, needed):
    assert (set(images.challenged_images()) <= set(images.wanted(settings))) is needed
