"""What every component of Google Cloud promises: names, labels, outputs, secrets."""

import inspect
import json
import re
from functools import cache

import builders_gcp
import pulumi
import pytest
from builders_gcp import BUILDERS
from pulumi.runtime.rpc import is_rpc_secret
from recording import recorded

from components import shapes
from components.gcp import names

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL = re.compile(r"[a-z0-9_-]{0,63}")
RANDOM = len("-1234567")
LONG = "a-name-as-long-as-components-may-have-it"
IDS = {
    "accountId": 30,
    "secretId": 255,
    "workloadIdentityPoolId": 32,
    "repositoryId": 63,
    "roleId": 64,
}
"""https://cloud.google.com/iam/docs/reference/rest/v1/projects.roles and the like."""
NAMED_BY_US = {"ManagedFolder", "Database", "User"}
NAMELESS = {
    "Account",
    "Connection",
    "IAMCustomRole",
    "IAMMember",
    "ManagedFolderIamMember",
    "NetworkPeeringRoutesConfig",
    "Repository",
    "RepositoryIamMember",
    "Secret",
    "SecretIamMember",
    "SecretVersion",
    "WorkloadIdentityPool",
    "WorkloadIdentityPoolProvider",
}
"""Have no name to choose, or an id instead."""

each = pytest.mark.parametrize("token", BUILDERS)


@cache
def one(token, name):
    return recorded(lambda: BUILDERS[token](name).urn)


@cache
def two(token):
    return recorded(lambda: [BUILDERS[token]("one").urn, BUILDERS[token]("two").urn])


def of_google(engine):
    return [r for r in engine.resources if r.typ.startswith("gcp:")]


def kind(resource):
    return resource.typ.rpartition(":")[2]


def test_the_long_name_is_as_long_as_it_may_be():
    assert len(LONG) == names.LONGEST


@each
def test_names_that_pulumi_makes_fit_even_for_long_components(token):
    for resource in of_google(one(token, LONG)):
        if "name" in resource.inputs or kind(resource) in NAMELESS:
            continue
        assert len(resource.name) + RANDOM <= 63, resource.name
        assert NAME.fullmatch(resource.name), resource.name


@each
def test_names_of_ours_fit_even_for_long_components(token):
    engine = one(token, LONG)

    for resource in of_google(engine):
        for key, limit in IDS.items():
            if key in resource.inputs and kind(resource) != "SecretVersion":
                value = resource.inputs[key]
                assert 4 <= len(value) <= limit, value
                allowed = r"[a-z][a-z0-9_]*" if key == "roleId" else NAME
                assert re.fullmatch(allowed, value), value
        if "name" in resource.inputs:
            assert kind(resource) in NAMED_BY_US, resource.name


@each
@pytest.mark.parametrize("name", [LONG + "x", "Upper", "9lives", "under_score", ""])
def test_a_name_that_google_would_refuse_later_is_refused_at_once(token, name, engine):
    with pytest.raises(ValueError, match="cannot name a component on Google Cloud"):
        BUILDERS[token](name)


def test_names_that_people_know_differ_wherever_stacks_do(engine, monkeypatch):
    made = {}
    for stack in ("prod", "prod-gcp", "Prod", "pr.od", "pr-od", "p" * 80, "p" * 81):
        monkeypatch.setattr(pulumi, "get_stack", lambda stack=stack: stack)
        made[stack] = names.known("registry")

    assert made["prod"] == "spillway-prod-registry"
    assert len(set(made.values())) == len(made)
    assert all(NAME.fullmatch(name) and len(name) <= 63 for name in made.values())


@pytest.mark.parametrize("stack", ["prod", "Prod.EU", "org/prod", "ü", "p" * 100])
def test_labels_fit_whatever_a_stack_is_called(stack, engine, monkeypatch):
    monkeypatch.setattr(pulumi, "get_stack", lambda: stack)

    assert names.labels().keys() == {"project", "stack", "managed-by"}
    assert all(LABEL.fullmatch(value) for value in names.labels().values())


@each
def test_two_instances_fit_in_one_stack(token):
    engine = two(token)

    made = [r for r in engine.resources if not r.typ.startswith("spillway:")]
    assert len({r.name for r in made}) == len(made)
    assert all(r.name.startswith(("one-", "two-")) for r in made)
    known = [
        (key, value)
        for r in of_google(engine)
        for key, value in r.inputs.items()
        if key in {"secretId", "repositoryId"} and kind(r) in {"Secret", "Repository"}
    ]
    pools = [p["workloadIdentityPoolId"] for p in engine.of("WorkloadIdentityPool").values()]
    assert len(set(known)) == len(known)
    assert len(set(pools)) == len(pools)


@each
def test_outputs_are_those_of_the_shape_and_all_are_registered(token, engine, resolve, monkeypatch):
    registered = []
    original = pulumi.ComponentResource.register_outputs

    def record(self, outputs):
        registered.append((type(self), outputs))
        return original(self, outputs)

    monkeypatch.setattr(pulumi.ComponentResource, "register_outputs", record)
    resolve(lambda: BUILDERS[token]().urn)

    assert registered
    for component, outputs in registered:
        declared = inspect.get_annotations(component)
        assert (
            declared.keys() == inspect.get_annotations(getattr(shapes, component.__name__)).keys()
        )
        assert list(outputs) == list(declared)


@each
def test_every_child_hangs_below_its_component(token):
    engine = one(token, "it")

    assert engine.resources
    for resource in engine.resources:
        if not resource.typ.startswith("spillway:"):
            assert "spillway:gcp:" in engine.requests[resource.name].parent, resource.name


@each
def test_no_secret_is_in_plain_anywhere(token):
    engine = one(token, "it")

    def plain(value):
        if is_rpc_secret(value):
            return None
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    for resource in engine.resources:
        assert "hunter2" not in json.dumps(plain(resource.inputs)), resource.name


@each
def test_everything_is_in_the_project_that_is_named(token):
    engine = one(token, "it")

    for resource in of_google(engine):
        given = resource.inputs.get("project", builders_gcp.PROJECT)
        assert given == builders_gcp.PROJECT, resource.name


@each
def test_what_has_a_fixed_name_goes_before_another_takes_its_place(token):
    engine = one(token, "it")

    for kind in ("Secret", "Repository"):
        assert all(engine.requests[name].deleteBeforeReplace for name in engine.of(kind)), kind
