"""The whole program of a stack file, without a cluster."""

import base64
import json
import os

import builders
import pulumi
import pytest
from recording import recorded
from wrong_configs import AUTHORITY

from infra import charts, stack
from infra.images import content_tag

GOLDEN = builders.ROOT / "tests" / "unit" / "golden"


def run(resolve, stack_name: str = "dev", **changes: str) -> None:
    config = {**builders.stack_config(stack_name), **changes}
    pulumi.runtime.set_all_config(config, [])
    resolve(stack.assemble)


def listed(engine) -> list[str]:
    pairs = [(urn.split("::")[2].rpartition("$")[2], urn.split("::")[3]) for urn in engine.urns]
    return sorted(f"{typ} {name}" for typ, name in pairs if typ != "pulumi:pulumi:Stack")


@pytest.mark.parametrize("name", ["dev", "prod", "prod-gcp"])
def test_a_stack_file_makes_exactly_the_committed_list_of_resources(name, engine, resolve):
    run(resolve, name)

    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text("\n".join(listed(engine)) + "\n")
    assert listed(engine) == golden.read_text().splitlines(), "UPDATE_GOLDEN=1 rewrites the list"


def dev():
    pulumi.runtime.set_all_config(builders.stack_config("dev"), [])
    return stack.assemble()


def test_every_object_goes_through_the_explicit_provider():
    engine = recorded(dev)

    objects = [r.name for r in engine.children()]
    assert objects
    assert {engine.requests[name].provider.split("::")[-2] for name in objects} == {"cluster"}


def test_images_come_from_the_registry_with_the_tag_of_their_content(engine, resolve):
    run(resolve, **{"spillway:images": '{"registry": "registry.example.com/ds"}'})

    server = engine.named("mlflow-server")["spec"]["template"]["spec"]["containers"][0]
    assert server["image"] == f"registry.example.com/ds/mlflow:{content_tag('mlflow')}"


@pytest.mark.parametrize(("protect", "expected"), [("true", True), ("false", False)])
def test_protect_covers_the_namespace_the_volumes_and_every_key(protect, expected, engine, resolve):
    run(resolve, **{"spillway:protect": protect})

    precious = {"Namespace", "PersistentVolumeClaim", "RandomPassword"}
    kinds = {r.name: r.typ.rpartition(":")[2] for r in engine.resources}
    marked = {name: engine.requests[name].protect for name, kind in kinds.items()}
    assert {kinds[n] for n, kept in marked.items() if kept} == (precious if expected else set())
    assert all(marked[n] is expected for n, kind in kinds.items() if kind in precious)


def test_new_certificates_in_the_kubeconfig_replace_nothing():
    assert recorded(dev).named("cluster")["clusterIdentifier"] == "dev"


def test_another_context_is_another_cluster(engine, resolve):
    run(
        resolve, **{"spillway:cluster": '{"context": "onprem", "network": {"pods": "10.1.0.0/16"}}'}
    )

    inputs = engine.named("cluster")
    assert (inputs["context"], inputs["clusterIdentifier"]) == ("onprem", "onprem")


@pytest.mark.parametrize(
    ("said", "revision"),
    [({}, charts.release("istiod").replace(".", "-")), ({"revision": "next"}, "next")],
)
def test_the_gateway_listens_to_the_control_plane_of_this_version(said, revision, engine, resolve):
    door = json.loads(builders.stack_config("prod")["spillway:frontDoor"])

    run(resolve, "prod", **{"spillway:frontDoor": json.dumps({**door, **said})})

    mesh, gateway = (engine.named(n)["values"] for n in ("mesh-istiod", "front-door-release"))
    assert mesh["revision"] == gateway["revision"] == revision
    injection = {"name": "injection", "configMap": {"name": f"istio-sidecar-injector-{revision}"}}
    assert injection in mesh["volumes"]


def test_a_companys_own_acme_server_is_believed_and_called_at_its_port(engine, resolve):
    door = json.loads(builders.stack_config("prod")["spillway:frontDoor"])
    own = {"server": "https://ca.example.com:9000/acme/directory", "authority": AUTHORITY}

    run(resolve, "prod", **{"spillway:frontDoor": json.dumps({**door, **own})})

    server = engine.named("front-door-acme-issuer")["spec"]["acme"]
    assert server["server"] == own["server"]
    assert base64.b64decode(server["caBundle"]).decode() == AUTHORITY
    world, _ = engine.named("cert-manager-acme")["spec"]["egress"]
    assert [port["port"] for port in world["ports"]] == [80, 9000]
