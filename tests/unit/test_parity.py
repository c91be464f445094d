"""Both clouds offer the same: every shape, every output, and the same platform on top."""

import inspect
import os
import subprocess
import sys
from functools import cache

import builders
import pulumi
import pytest
from recording import recorded, recording, settle

from components import aws, gcp, shapes
from infra import stack

SHAPES = ("Network", "Database", "ObjectStore", "Identity", "Registry")
CLOUDS = {"prod": aws, "prod-gcp": gcp}
ONLY_ON_GCP = {"kubernetes:core/v1:ConfigMap identity-login"}
"""Google's clients want a file that says where the token is; AWS' read variables."""


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
    assert len(components("prod", "aws")) == len(SHAPES) + 2


def test_kubernetes_objects_are_the_same_but_for_what_a_client_reads():
    one, other = (
        {r for r in typed(name) if r.startswith("kubernetes:")} for name in ("prod", "prod-gcp")
    )

    assert other - one == ONLY_ON_GCP
    assert one - other == set()


@pytest.mark.parametrize(
    ("name", "database"), [("prod", "10.64.0.0/16"), ("prod-gcp", "10.97.0.0/20")]
)
def test_the_server_reaches_its_database_and_the_clouds_api_and_nothing_else(name, database):
    rules = planned(name).named("mlflow-traffic")["spec"]["egress"]

    reached = [(r["to"][0]["ipBlock"]["cidr"], r["ports"][0]["port"]) for r in rules]
    assert reached == [(database, 5432), ("0.0.0.0/0", 443)]


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
