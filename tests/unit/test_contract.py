"""What every component promises, checked once for all of them."""

import dataclasses
import importlib
import inspect
import pkgutil
from functools import cache
from typing import get_type_hints

import aws_builders
import builders
import builders_gcp
import pulumi
import pytest
from builders import BUILDERS
from pulumi.runtime.rpc import is_rpc_secret
from recording import recorded, recording, settle

import components
from components import aws, gcp, onprem, shapes
from components.batch import BatchScoring
from components.cluster.autoscaler import Autoscaler
from components.cluster.onprem import OnpremNodes
from components.cluster.reaper import NodeReaper
from components.cluster.spend_guard import SpendGuard
from components.door.access import ModelAccess
from components.door.issuers import Certificates
from components.door.meter import RequestMeter
from components.door.plain import PlainHttp
from components.guard import Guard
from components.hub.proxy import Proxy
from components.hub.puller import Puller
from components.hub.viewer import Viewer
from components.model import ModelDeployment
from components.tenant_roles import TenantRoles

LABELS = {
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
}


def all_components() -> list[type[pulumi.ComponentResource]]:
    found = {}
    for module in pkgutil.walk_packages(components.__path__, "components."):
        for value in vars(importlib.import_module(module.name)).values():
            # Not isinstance: it would load every module of an SDK that loads them lazily.
            if issubclass(type(value), type) and issubclass(value, pulumi.ComponentResource):
                found[value.__module__, value.__name__] = value
    return [c for (module, _), c in sorted(found.items()) if module.startswith("components")]


SHAPES = (
    "Network",
    "Database",
    "ObjectStore",
    "Identity",
    "Registry",
    "BurstNodes",
    "BurstPool",
)
COMPONENTS = all_components()
STATELESS = (
    BatchScoring,
    Certificates,
    Guard,
    ModelAccess,
    ModelDeployment,
    PlainHttp,
    RequestMeter,
    TenantRoles,
    Proxy,
    Viewer,
    Puller,
    SpendGuard,
    Autoscaler,
    NodeReaper,
    OnpremNodes,
    aws.BurstPool,
    gcp.BurstPool,
)
each_component = pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.__name__)


@cache
def one(token: str):
    return recorded(lambda: BUILDERS[token]().urn)


@cache
def two(token: str):
    return recorded(lambda: [BUILDERS[token]("one").urn, BUILDERS[token]("two").urn])


ALL = {**BUILDERS, **builders.PARTS, **aws_builders.BUILDERS, **builders_gcp.BUILDERS}
each_token = pytest.mark.parametrize("token", BUILDERS)
any_token = pytest.mark.parametrize("token", ALL)


def declared(component: type) -> set[str]:
    return {n for n in inspect.get_annotations(component) if not n.startswith("_")}


def test_every_component_has_one_known_token():
    made = {}
    for token, build in ALL.items():
        with recording() as engine:
            built = []
            settle(lambda build=build, built=built: built.append(build()) or built[0].urn)
            made[token] = type(built[0])
            assert f"{token}::" in next(u for u in engine.urns if u.endswith(f"::{built[0]._name}"))

    assert sorted(made.values(), key=str) == sorted(COMPONENTS, key=str)


@any_token
def test_outputs_registered_are_those_the_class_declares(token, engine, resolve, monkeypatch):
    registered = []
    original = pulumi.ComponentResource.register_outputs

    def record(self, outputs):
        registered.append((type(self), set(outputs)))
        return original(self, outputs)

    monkeypatch.setattr(pulumi.ComponentResource, "register_outputs", record)
    resolve(lambda: ALL[token]().urn)

    assert registered
    assert all(outputs == declared(component) for component, outputs in registered)


@each_component
def test_arguments_are_one_frozen_keyword_only_dataclass(component):
    args = get_type_hints(component.__init__)["args"]

    assert list(inspect.signature(component).parameters) == ["name", "args", "opts"]
    assert args.__name__ == f"{component.__name__}Args"
    assert args.__dataclass_params__.frozen
    assert all(f.kw_only for f in dataclasses.fields(args))


@each_component
def test_what_holds_data_is_protected_unless_the_caller_says_otherwise(component):
    fields = {f.name: f for f in dataclasses.fields(get_type_hints(component.__init__)["args"])}

    if component not in STATELESS:
        assert fields["protect"].default is True


@pytest.mark.parametrize("token", sorted(set(builders.PARTS) - {"spillway:cluster:Queue"}))
def test_what_cannot_be_protected_holds_no_data(token):
    engine = recorded(lambda: builders.PARTS[token]().urn)

    made = {r.typ.rpartition(":")[2] for r in engine.resources}
    assert not made & {"PersistentVolumeClaim", "Namespace", "RandomPassword", "StatefulSet"}


@pytest.mark.parametrize(
    ("cloud", "name"),
    [
        *((onprem, name) for name in ("Database", "ObjectStore")),
        *((cloud, name) for cloud in (aws, gcp) for name in SHAPES),
    ],
)
def test_a_cloud_offers_all_its_shape_asks_for(cloud, name):
    component, shape = getattr(cloud, name), getattr(shapes, name)
    assert declared(component) == declared(shape)
    offered = {n for n, v in inspect.getmembers(shape) if isinstance(v, property)}
    assert all(isinstance(getattr(component, name), property) for name in offered)
    methods = {n for n, v in vars(shape).items() if inspect.isfunction(v) and n[0] != "_"}
    for method in methods:
        wanted, given = (inspect.signature(getattr(c, method)) for c in (shape, component))
        assert list(given.parameters) == list(wanted.parameters)


@pytest.mark.parametrize(
    ("component", "shape", "method"),
    [
        *((cloud.Database, shapes.DatabaseServer, "another") for cloud in (onprem, aws, gcp)),
        (onprem.ObjectStore, shapes.Landlord, "storage"),
        *((cloud.Identity, shapes.Landlord, "storage") for cloud in (aws, gcp)),
    ],
)
def test_what_is_asked_of_any_cloud_is_asked_in_the_same_way(component, shape, method):
    wanted, given = (inspect.signature(getattr(c, method)) for c in (shape, component))
    assert list(given.parameters.values()) == [
        p.replace(annotation=given.parameters[n].annotation) for n, p in wanted.parameters.items()
    ]


@each_token
def test_every_child_carries_every_label(token):
    engine = one(token)

    assert engine.children()
    for child in engine.children():
        assert child.inputs["metadata"]["labels"].keys() >= LABELS, child.name
        assert all(len(value) <= 63 for value in child.inputs["metadata"]["labels"].values())


@each_token
def test_pods_carry_the_labels_of_what_makes_them(token):
    engine = one(token)

    for kind in ("Deployment", "StatefulSet", "Job", "DaemonSet"):
        for name, inputs in engine.of(kind).items():
            pod = inputs["spec"]["template"]["metadata"]["labels"]
            assert pod.items() >= inputs["metadata"]["labels"].items(), name
            chosen = inputs["spec"].get("selector", {}).get("matchLabels", {})
            assert chosen.items() <= pod.items(), name


@each_token
def test_two_instances_fit_in_one_stack_each_with_its_own_children(token):
    engine = two(token)

    children = engine.children()
    places = [(c.typ, c.inputs["metadata"].get("namespace")) for c in children]
    names = [
        (*place, c.inputs["metadata"].get("name"))
        for place, c in zip(places, children, strict=True)
    ]
    fixed = [name for name in names if name[2]]
    assert len({c.name for c in children}) == len(children)
    assert len(fixed) == len(set(fixed))
    assert all(c.name.startswith(("one-", "two-")) for c in children)
    parents = {engine.requests[c.name].parent.rpartition("::")[2] for c in children}
    assert all(parent.startswith(("one", "two")) for parent in parents)


@each_token
def test_selectors_of_two_instances_never_pick_each_others_pods(token):
    engine = two(token)

    pods = {
        name: inputs["spec"]["template"]["metadata"]["labels"]
        for kind in ("Deployment", "StatefulSet", "Job", "DaemonSet")
        for name, inputs in engine.of(kind).items()
    }
    for name, service in engine.of("Service").items():
        chosen = service["spec"]["selector"].items()
        assert len([p for p, labels in pods.items() if chosen <= labels.items()]) == 1, name


def test_named_objects_are_deleted_before_they_are_replaced():
    engine = recorded(builders.everything)

    named = [c.name for c in engine.children() if c.inputs["metadata"].get("name")]
    assert named
    assert all(engine.requests[name].deleteBeforeReplace for name in named)


def test_jobs_secrets_and_config_maps_get_a_new_name_with_new_content():
    engine = recorded(builders.everything)

    for kind in ("Job", "Secret", "ConfigMap"):
        assert engine.of(kind)
        named = {n for n, inputs in engine.of(kind).items() if "name" in inputs["metadata"]}
        # Its name is in the programs of people, whose pods are not the stack's to roll.
        assert named <= {"vision-storage"}


def test_secret_outputs_of_a_component_are_secret_in_state(engine, resolve):
    def flags():
        db, store = builders.database(), builders.object_store()
        return [output.is_secret() for output in [db.url, *store.credentials.values()]]

    assert resolve(flags) == [True] * 3
    assert all(is_rpc_secret(s["stringData"]) for s in engine.of("Secret").values())
