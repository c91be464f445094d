"""Both clouds offer the same: every shape, every output, and the same platform on top."""

import dataclasses
import inspect
import os
import re
import subprocess
import sys
from functools import cache

import builders
import pulumi
import pytest
from recording import recorded, recording, settle

from components import aws, gcp, shapes
from components.cluster.nodes import BURST_TAINT
from infra import providers, stack
from infra.clouds import HUB, pick
from infra.settings import load

SHAPES = (
    "Network",
    "Database",
    "ObjectStore",
    "Identity",
    "Registry",
    "BurstNodes",
    "BurstPool",
)
CLOUDS = {"prod": aws, "prod-gcp": gcp}
ONLY_ON_GCP = re.compile(
    r"kubernetes:core/v1:ConfigMap (identity(-tenant-[a-z]+)?-login|autoscaler-cloud)"
)
"""Google's clients want a file in their namespace that says where the token is; AWS' read
variables. The autoscaler is told of the project in a file too."""

ONLY_ON_AWS = re.compile(r"kubernetes:\S+ database-jupyterhub-owner(-[a-z]+)?")
"""RDS has no API for databases: docs/decisions/0011-a-second-database.md."""


def program(name: str):
    pulumi.runtime.set_all_config(builders.stack_config(name), [])
    return stack.assemble()


@cache
def planned(name: str):
    return recorded({"prod": _prod, "prod-gcp": _prod_gcp}[name])


def _prod():
    return program("prod")


def _prod_gcp():
    return program("prod-gcp")


def typed(name: str) -> set[str]:
    return {
        f"{urn.split('::')[2].rpartition('$')[2]} {urn.split('::')[3]}"
        for urn in planned(name).urns
    }


def values(name: str) -> dict[str, object]:
    """Every output of every shape as the program of a stack file computes it."""
    found: dict[str, object] = {}
    with recording(), pytest.MonkeyPatch.context() as patch:

        def collect(self, outputs):
            if type(self).__name__ in SHAPES and type(self).__module__.startswith("components."):
                for key, value in outputs.items():
                    place = f"{type(self).__name__}.{key}"
                    pulumi.Output.from_input(value).apply(
                        lambda v, place=place: found.__setitem__(place, v)
                    )

        patch.setattr(pulumi.ComponentResource, "register_outputs", collect)
        settle(lambda: program(name))
    return found


@cache
def computed(name: str) -> dict[str, object]:
    return values(name)


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_output_of_every_shape_has_a_value(name, shape):
    for output in inspect.get_annotations(getattr(shapes, shape)):
        assert computed(name).get(f"{shape}.{output}"), f"{name}: {shape}.{output}"


def test_both_programs_compute_the_same_outputs_in_the_same_form():
    one, other = computed("prod"), computed("prod-gcp")

    assert one.keys() == other.keys()
    for place, value in one.items():
        assert type(value) is type(other[place]), place


def test_every_tenant_has_a_role_in_both_clouds():
    assert set(computed("prod")["Identity.roles"]) == {"vision", "language"}
    assert set(computed("prod-gcp")["Identity.roles"]) == {"vision", "language"}


def test_components_are_the_same_by_name_and_shape():
    def components(name: str, cloud: str) -> set[str]:
        own = {r for r in typed(name) if r.startswith("spillway:")}
        return {r.replace(f"spillway:{cloud}:", "spillway:cloud:") for r in own}

    assert components("prod", "aws") == components("prod-gcp", "gcp")
    assert len({c for c in components("prod", "aws") if ":cloud:" in c}) == len(SHAPES)


def test_kubernetes_objects_are_the_same_but_for_what_a_client_reads():
    one, other = (
        {r for r in typed(name) if r.startswith("kubernetes:")} for name in ("prod", "prod-gcp")
    )

    assert "kubernetes:core/v1:ConfigMap identity-login" in other - one
    assert [r for r in other - one if not ONLY_ON_GCP.fullmatch(r)] == []
    assert [r for r in one - other if not ONLY_ON_AWS.fullmatch(r)] == []


@pytest.mark.parametrize(
    ("name", "database"), [("prod", "10.64.0.0/16"), ("prod-gcp", "10.97.0.0/20")]
)
def test_the_server_reaches_its_database_and_the_apis_and_nothing_else(name, database):
    rules = planned(name).named("mlflow-traffic")["spec"]["egress"]

    reached = [(r["to"][0]["ipBlock"]["cidr"], *(p["port"] for p in r["ports"])) for r in rules]
    # The last is the cluster's own API server, which knows who calls.
    assert reached == [(database, 5432), ("0.0.0.0/0", 443), ("10.10.0.0/16", 443, 6443)]


@pytest.mark.parametrize("name", ["prod", "prod-gcp"])
def test_the_platform_itself_is_on_no_machine_of_a_cloud(name):
    engine = planned(name)
    tolerant = {
        made
        for kind in ("Deployment", "StatefulSet", "Job", "CronJob", "DaemonSet")
        for made, inputs in engine.of(kind).items()
        for one in pod_of(inputs).get("tolerations", ())
        if one.get("key", BURST_TAINT) == BURST_TAINT
    }

    # DaemonSets, which keep no machine from ending.
    assert tolerant == {"device-plugin-l4", "jupyterhub-puller-images"}


def pod_of(inputs):
    spec = inputs["spec"]
    return spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]


@pytest.mark.parametrize(("name", "other"), [("prod", "gcp:"), ("prod-gcp", "aws:")])
def test_nothing_of_the_other_cloud_is_in_the_plan(name, other):
    assert [r for r in typed(name) if r.startswith(other)] == []


@pytest.mark.parametrize(
    ("name", "imported"), [("dev", []), ("prod", ["pulumi_aws"]), ("prod-gcp", ["pulumi_gcp"])]
)
def test_only_the_sdk_of_the_chosen_cloud_is_imported(name, imported):
    code = f"""
import sys, builders, pulumi
from recording import recorded
from components.cluster.nodes import BURST_TAINT
from infra import stack
pulumi.runtime.set_all_config(builders.stack_config({name!r}), [])
recorded(lambda: (pulumi.runtime.set_all_config(builders.stack_config({name!r}), []),
                  stack.assemble())[1])
print([m for m in ("pulumi_aws", "pulumi_gcp") if m in sys.modules])
"""
    folders = os.pathsep.join(str(builders.ROOT / p) for p in ("", "tests", "tests/unit"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str(imported), done.stderr


ALL = ("dev", "prod", "prod-gcp")
TENANT, IMAGE = "vision", "registry.example.com/hub:1"


def asked(name: str):
    """What a stack asks of its foundation later: a tenant's storage, and the hub's database."""
    pulumi.runtime.set_all_config(builders.stack_config(name), [])
    settings = load()
    namespace = pulumi.Output.from_input(settings.namespace)
    cluster = providers.kubernetes(settings)
    foundation = pick(settings).build(settings, namespace, cluster)
    storage = foundation.landlord.storage(TENANT, pulumi.Output.from_input(TENANT))
    database = foundation.hub_database(pulumi.Output.from_input(IMAGE))
    return storage, database


def plain(part: object) -> dict[str, object]:
    return {k: v for k, v in vars(part).items() if k != "ready"}


@cache
def answered(name: str):
    with recording() as engine:
        storage, database, login = settle(lambda: _plain(name))
        return engine, storage, database, login


def _plain(name: str):
    storage, database = asked(name)
    given = plain(storage)
    return [given, plain(database), plain(given.pop("login"))]


@pytest.mark.parametrize("name", ALL)
def test_a_tenants_storage_says_where_it_is_and_how_to_reach_it(name):
    _, storage, _, login = answered(name)

    assert {f.name for f in dataclasses.fields(shapes.Storage)} == {*storage, "login", "ready"}
    scheme, _, place = storage["uri"].partition("://")
    assert scheme == ("gs" if name == "prod-gcp" else "s3")
    assert place.endswith(f"tenants/{TENANT}" if name != "dev" else f"tenant-{TENANT}")
    assert storage["environment"], "a client is told something"
    assert storage["egress"]
    # Keys in the cluster, an identity in a cloud; never both.
    assert bool(storage["credentials"]) is (name == "dev")
    for part in ("environment", "volumes", "mounts", "egress"):
        assert bool(login[part]) is (name != "dev"), part


@pytest.mark.parametrize("name", ALL)
def test_the_hubs_database_is_another_one_on_the_same_server(name):
    engine, _, database, _ = answered(name)

    assert {f.name for f in dataclasses.fields(shapes.GuestDatabase)} == {*database, "ready"}
    assert (database["database"], database["user"], database["port"]) == (HUB, HUB, 5432)
    assert database["url"].startswith(f"postgresql://{HUB}:hunter2database{HUB}")
    assert f"@{database['host']}:5432/{HUB}" in database["url"]
    assert ("?sslmode=require" in database["url"]) is (name != "dev")
    assert database["environment"] == {}, "the URL says it all"
    servers = [kind for kind in ("Instance", "DatabaseInstance", "StatefulSet") if engine.of(kind)]
    assert len(servers) == 1
    kept = {engine.requests[n].protect for n in engine.of("RandomPassword") if HUB in n}
    assert kept == {name != "dev"}, "as the file says"


@pytest.mark.parametrize("name", ALL)
def test_what_the_hub_and_a_tenant_need_goes_through_explicit_providers(name):
    engine = answered(name)[0]

    late = [c.name for c in engine.children() if HUB in c.name or TENANT in c.name]
    assert bool(late) is True
    assert {engine.requests[n].provider.split("::")[-2] for n in late} == {"cluster"}


def test_on_aws_the_pod_that_makes_the_hubs_database_is_the_one_that_may():
    engine = answered("prod")[0]

    (job,) = engine.of("Job").values()
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {e["name"]: e["value"] for e in container["env"]}
    role = engine.named("identity-database-jupyterhub-owner")["assumeRolePolicy"]
    assert container["image"] == IMAGE
    assert f"system:serviceaccount:spillway:{pod['serviceAccountName']}" in role
    assert variables["AWS_ROLE_ARN"].endswith("role/identity-database-jupyterhub-owner")
