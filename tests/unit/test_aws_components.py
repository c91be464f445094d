"""What every component of AWS promises."""

import inspect
import warnings
from functools import cache
from pathlib import Path

import pulumi
import pytest
from aws_builders import BUILDERS
from recording import recorded

from components import aws, shapes

each_token = pytest.mark.parametrize("token", BUILDERS)
PRECIOUS = {
    "Network": {"network-vpc", "network-vpn", *(f"network-eu-central-1{z}" for z in "abc")},
    "Database": {"database-instance", "database-key"},
    "ObjectStore": {"object-store-bucket"},
    "Identity": {"identity-issuer-bucket"},
    "Registry": {"registry-mlflow", "registry-postgres"},
    "BurstNodes": {"nodes-join"},
    "BurstPool": set(),
}


def kind(resource) -> str:
    return resource.typ.rpartition(":")[2]


@cache
def one(token: str):
    return recorded(lambda: BUILDERS[token]().urn)


def made(token: str, engine) -> list:
    """What the component made itself, without the components it was given."""
    return [
        r
        for r in engine.resources
        if r.custom and f"{token}::" in engine.requests[r.name].parent.replace("$", "::")
    ]


@each_token
def test_outputs_are_exactly_those_of_the_shape(token, engine, resolve, monkeypatch):
    registered = {}
    original = pulumi.ComponentResource.register_outputs

    def record(self, outputs):
        registered[type(self)] = set(outputs)
        return original(self, outputs)

    monkeypatch.setattr(pulumi.ComponentResource, "register_outputs", record)
    resolve(lambda: BUILDERS[token]().urn)

    component = getattr(aws, token.rpartition(":")[2])
    wanted = set(inspect.get_annotations(getattr(shapes, component.__name__)))
    assert registered[component] == wanted
    assert set(inspect.get_annotations(component)) == wanted


@each_token
def test_the_token_is_the_one_that_users_have_in_their_state(token, engine, resolve):
    resolve(lambda: BUILDERS[token]().urn)

    assert any(f"{token}::" in urn for urn in engine.urns)


@each_token
def test_two_instances_fit_in_one_stack(token):
    engine = recorded(lambda: [BUILDERS[token]("one").urn, BUILDERS[token]("two").urn])

    own = [r for r in engine.resources if r.custom]
    assert len({r.name for r in own}) == len(own)
    assert all(r.name.startswith(("one-", "two-")) for r in own)
    for fixed in ("name", "identifier", "bucket"):
        taken = [
            (r.typ, r.inputs[fixed])
            for r in own
            if fixed in r.inputs and not r.inputs[fixed].endswith("-id")
        ]
        assert len(set(taken)) == len(taken)


@each_token
def test_nothing_is_deprecated(token):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        recorded.__wrapped__(lambda: BUILDERS[token]().urn)


@each_token
def test_what_cannot_come_back_is_protected_unless_the_caller_says_otherwise(token):
    def protected(engine):
        return {r.name for r in made(token, engine) if engine.requests[r.name].protect}

    assert protected(one(token)) == PRECIOUS[token.rpartition(":")[2]]
    if PRECIOUS[token.rpartition(":")[2]]:
        assert protected(recorded(lambda: BUILDERS[token](protect=False).urn)) == set()


@each_token
def test_names_that_are_fixed_are_free_before_they_are_taken_again(token):
    engine = one(token)

    for r in made(token, engine):
        named = r.inputs.get({"Bucket": "bucket"}.get(kind(r), "name"))
        if named:
            assert engine.requests[r.name].deleteBeforeReplace, r.name


def test_only_components_of_aws_import_its_sdk():
    root = Path(__file__).resolve().parents[2]
    users = {
        str(path.relative_to(root).parent)
        for folder in ("components", "infra")
        for path in (root / folder).rglob("*.py")
        if "pulumi_aws" in path.read_text()
    }
    assert users <= {"components/aws", "infra"}, "infra has the providers"
