"""What the guard says to the API server; that it holds is in tests/cluster/test_attacker.py."""

import builders
import pulumi
import pytest
from recording import recorded

from components import shapes
from components.guard import audiences
from components.tenant import STORAGE
from components.tenant_roles import SPARK

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
GONE = ("UPDATE", "DELETE")


@pytest.fixture
def made():
    return recorded(lambda: builders.guard().urn)


def policies(engine):
    return {name: inputs["spec"] for name, inputs in engine.of(POLICY).items()}


def expressions(engine, name="guard-pods-policy"):
    return {v["message"]: v["expression"] for v in policies(engine)[name]["validations"]}


def test_a_guard_that_fails_lets_nothing_through(made):
    for name, spec in policies(made).items():
        assert spec["failurePolicy"] == "Fail", name


def test_every_policy_is_bound_to_the_namespaces_of_tenants_and_denies(made):
    bindings = [inputs["spec"] for inputs in made.of(BINDING).values()]

    assert sorted(b["policyName"] for b in bindings) == sorted(policies(made))
    for binding in bindings:
        assert binding["validationActions"] == ["Deny"]
        chosen = binding["matchResources"]["namespaceSelector"]["matchLabels"]
        assert chosen == {"spillway.dev/tenant": "true"}


def test_it_judges_the_accounts_of_the_namespace_and_neither_hub_nor_operators(made):
    for spec in policies(made).values():
        (condition,) = spec["matchConditions"]
        assert condition["expression"] == (
            "request.userInfo.username.startsWith("
            "'system:serviceaccount:' + request.namespace + ':')"
        )


def test_it_sees_every_way_to_make_change_or_delete(made):
    (pods,) = policies(made)["guard-pods-policy"]["matchConstraints"]["resourceRules"]
    (settings,) = policies(made)["guard-settings-policy"]["matchConstraints"]["resourceRules"]

    assert pods["operations"] == settings["operations"] == ["CREATE", *GONE]
    assert pods["resources"] == ["pods", "pods/ephemeralcontainers", "pods/resize"]
    assert settings["resources"] == ["configmaps"]


def test_all_that_an_account_may_make_or_delete_is_judged(made):
    written = {"create", "update", "patch", "delete", "deletecollection"}
    granted = {kind for rule in SPARK if written & set(rule.verbs) for kind in rule.resources}
    judged = {
        kind
        for spec in policies(made).values()
        for rule in spec["matchConstraints"]["resourceRules"]
        for kind in rule["resources"]
    }

    assert granted <= judged
    assert all(not {"update", "patch"} & set(rule.verbs) for rule in SPARK)


def test_every_refusal_names_the_field(made):
    fields = ("metadata.", "spec.", "pods are made")
    for policy in policies(made):
        for message, expression in expressions(made, policy).items():
            assert message.startswith(fields), message
            assert "\n" not in expression


def test_what_an_old_pod_carries_does_not_keep_it_from_being_deleted(made):
    for message, expression in expressions(made).items():
        if message.startswith("spec."):
            assert expression.startswith("request.operation != 'CREATE' || "), message


def test_one_secret_is_for_executors_and_containers_of_all_kinds_are_looked_at(made):
    found = [e for m, e in expressions(made).items() if m.startswith("spec.containers")]

    assert len(found) == 2
    for expression in found:
        assert expression.count(f".name == '{STORAGE}'") == 2
        assert "object.spec.containers.all(" in expression
        assert "object.spec.?initContainers.orValue([]).all(" in expression


def test_tokens_for_the_cloud_are_the_only_ones(made):
    (volumes,) = [e for m, e in expressions(made).items() if m.startswith("spec.volumes")]

    assert 'in ["sts.amazonaws.com"]' in volumes
    assert "secret" not in volumes.replace("serviceAccountToken", "")
    assert "persistentVolumeClaim" not in volumes


def test_the_cloud_a_token_is_for_is_read_off_a_login():
    token = {"audience": "sts.amazonaws.com", "path": "token"}
    sources = [{"service_account_token": token}, {"config_map": {"name": "x"}}]
    volumes = [{"name": "cloud", "projected": {"sources": sources}}, {"name": "tmp"}]

    assert audiences(shapes.Login(volumes=volumes)) == ["sts.amazonaws.com"]
    assert audiences(shapes.Login()) == []


def test_each_cloud_is_named_once_however_many_tenants_it_has(engine, resolve):
    twice = [pulumi.Output.from_input("b"), "a", "b"]
    resolve(lambda: builders.Guard("guard", builders.GuardArgs(audiences=twice)).urn)

    assert any('in ["a", "b"]' in e for e in expressions(engine).values())


def test_without_a_cloud_there_is_no_token(engine, resolve):
    resolve(lambda: builders.Guard("guard", builders.GuardArgs()).urn)

    assert any("in []" in e for e in expressions(engine).values())


# -- models that teams deploy by themselves -------------------------------------------------------


def test_a_teams_own_deployment_is_judged_when_it_is_made_and_when_it_changes(made):
    (deployments,) = policies(made)["guard-models-policy"]["matchConstraints"]["resourceRules"]

    assert deployments["operations"] == ["CREATE", "UPDATE"]
    assert deployments["resources"] == ["seldondeployments"]
    # An older version of the kind would be a way around a rule for the newest.
    assert deployments["apiVersions"] == ["*"]


@pytest.mark.parametrize(
    "place",
    [
        "serviceAccountName",
        "nodeName",
        "priorityClassName",
        "tolerations",
        "volumes",
        "containers.env",
        "containers.envFrom",
        "metadata.labels",
    ],
)
def test_of_a_models_pod_it_judges_each_place_by_which_it_could_be_something_else(made, place):
    rules = expressions(made, "guard-models-policy")

    assert [m for m in rules if f".{place}:" in m], rules.keys()
