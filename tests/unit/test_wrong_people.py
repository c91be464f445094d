"""Mistakes about people: one for each rule of infra/people_rules.py and infra/people.py."""

from typing import Any

import pulumi
import pytest
from test_wrong_config import mistaken
from wrong_configs import SECRET_TEXT, WrongProd

from infra import settings, stack
from infra.secret_rules import REHEARSED

OIDC = {"provider": "oidc", "clientId": "spillway", "issuer": "https://id.example.com/realms/ds"}
GITHUB = {"provider": "github", "clientId": "spillway"}
IN_CLUSTER = {"cloud": "none", "cluster.network.pods": None}

WRONG = [
    # --- who says who somebody is
    WrongProd(
        "a provider nobody knows",
        {"login.provider": "gogle"},
        "login.provider",
        '"gogle"',
        "one of google, github, oidc; dummy",
    ),
    WrongProd(
        "one password for all where it matters",
        {"login": {"provider": "dummy"}},
        "login.provider",
        '"dummy"',
        "google, github or oidc: the dummy login is for the stack dev alone",
    ),
    WrongProd(
        "no client id",
        {"login.clientId": None},
        "login.clientId",
        "null",
        "the client id that google gave you",
    ),
    WrongProd(
        "no client secret",
        {"loginClientSecret": None},
        "loginClientSecret",
        "null",
        "pulumi config set --secret spillway:loginClientSecret",
    ),
    WrongProd(
        "a client secret in plain text",
        {"loginClientSecret": SECRET_TEXT},
        "loginClientSecret",
        "[secret]",
        "pulumi config set --secret spillway:loginClientSecret",
    ),
    WrongProd(
        "no issuer",
        {"login": {"provider": "oidc", "clientId": "spillway"}},
        "login.issuer",
        "null",
        "an https URL: the provider is oidc",
    ),
    WrongProd(
        "an issuer without TLS",
        {"login": {**OIDC, "issuer": "http://id.example.com"}},
        "login.issuer",
        '"http://id.example.com"',
        "https outside of the stack dev",
    ),
    WrongProd(
        "an issuer without a scheme",
        {"login": {**OIDC, "issuer": "id.example.com"}},
        "login.issuer",
        '"id.example.com"',
        "an https URL",
    ),
    WrongProd(
        "a domain for GitHub",
        {"login": {**GITHUB, "hostedDomain": "example.com"}},
        "login.hostedDomain",
        '"example.com"',
        "left out: it is for google only",
    ),
    WrongProd(
        "organizations for Google",
        {"login.organizations": ["example"]},
        "login.organizations",
        '["example"]',
        "left out: it is for github only",
    ),
    WrongProd(
        "an issuer for Google",
        {"login.issuer": "https://accounts.google.com"},
        "login.issuer",
        '"https://accounts.google.com"',
        "left out: it is for oidc only",
    ),
    WrongProd(
        "a misspelt key of the login",
        {"login.hostDomain": "example.com"},
        "login.hostDomain",
        "",
        "nearest known key: spillway:login.hostedDomain",
    ),
    # --- who is in which team
    WrongProd("nobody who could log in", {"tenants": {}}, "tenants", "{}", "at least one team"),
    WrongProd(
        "a team of nobody",
        {"tenants.vision": {}},
        "tenants.vision.members",
        "[]",
        "a list of at least one",
    ),
    WrongProd(
        "a plain name for Google",
        {"tenants.vision.members": ["alice"]},
        "tenants.vision.members[0]",
        '"alice"',
        "an e-mail address.",
    ),
    WrongProd(
        "a group for Google",
        {"tenants.vision.admins": ["lead@example.com", "group:leads"]},
        "tenants.vision.admins[1]",
        '"group:leads"',
        "an e-mail address: google tells nothing of groups here",
    ),
    WrongProd(
        "a plain name where people are addresses",
        {"login": OIDC, "tenants.vision.members": ["alice"]},
        "tenants.vision.members[0]",
        '"alice"',
        "an e-mail address, or group:NAME",
    ),
    WrongProd(
        "half an address",
        {"tenants.vision.members": ["alice@example"]},
        "tenants.vision.members[0]",
        '"alice@example"',
        "a list of e-mail addresses, group:NAME",
    ),
    # --- what they may choose
    WrongProd(
        "a profile nobody offers",
        {"tenants.vision.profiles": ["small", "gpu-l40"]},
        "tenants.vision.profiles[1]",
        '"gpu-l40"',
        "one of small, large, spark, gpu-a100, gpu-l4 (nearest: gpu-l4)",
    ),
    WrongProd(
        "fewer cores than a profile",
        {"tenants.vision.quota.cpu": 3},
        "tenants.vision.quota.cpu",
        "3",
        "at least 4 cores, the size of the profile large",
    ),
    WrongProd(
        "less memory than a profile",
        {"tenants.vision.quota.memory": "8Gi"},
        "tenants.vision.quota.memory",
        '"8Gi"',
        "at least 16Gi, the size of the profile large",
    ),
    WrongProd(
        "a GPU profile without a GPU",
        {"tenants.vision.profiles": ["gpu-l4"], "tenants.vision.quota.gpu": {"onprem": 4}},
        "tenants.vision.quota.gpu.burst",
        "0",
        "at least 1 for the profile gpu-l4",
    ),
    WrongProd(
        "a size of no profile",
        {"notebooks.sizes": {"medium": {"cpu": 2}}},
        "notebooks.sizes.medium",
        '"medium"',
        "one of small, large, spark, gpu",
    ),
    WrongProd(
        "a profile without a core",
        {"notebooks.sizes": {"small": {"cpu": 0}}},
        "notebooks.sizes.small.cpu",
        "0",
        "a number from 0.1 to 256",
    ),
    WrongProd(
        "a package without a version",
        {"tenants.vision.requirements": ["polars==1.35.2", "pandas"]},
        "tenants.vision.requirements[1]",
        '"pandas"',
        "a list of exact versions",
    ),
    WrongProd(
        "a package that is an option of pip",
        {"tenants.vision.requirements": ["--index-url=https://evil.example.com"]},
        "tenants.vision.requirements[0]",
        "--index-url",
        "a list of exact versions",
    ),
    WrongProd(
        "an image without a tag",
        {"tenants.vision.image": "registry.example.com:5000/vision"},
        "tenants.vision.image",
        "registry.example.com:5000/vision",
        "an image with its tag or digest",
    ),
    # --- the hub
    WrongProd(
        "a port without the pods' network",
        {**IN_CLUSTER, "notebooks.nodePort": 30080},
        "notebooks.nodePort",
        "30080",
        "spillway:cluster.network.pods",
    ),
    WrongProd(
        "the tracking server's port",
        {"mlflow.nodePort": 30500, "notebooks.nodePort": 30500},
        "notebooks.nodePort",
        "30500",
        "another port than spillway:mlflow.nodePort",
    ),
    WrongProd(
        "a port below the range",
        {"notebooks.nodePort": 8000},
        "notebooks.nodePort",
        "8000",
        "a whole number from 30000 to 32767",
    ),
    WrongProd(
        "a home without a unit",
        {"notebooks.homeSize": "10"},
        "notebooks.homeSize",
        '"10"',
        "a Kubernetes quantity of at least 1Gi",
    ),
    WrongProd(
        "servers that never end",
        {"notebooks.idle": {"serverMinutes": 0}},
        "notebooks.idle.serverMinutes",
        "0",
        "a whole number from 1 to 100000",
    ),
]


@pytest.fixture(autouse=True)
def in_prod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: w.name)
def test_a_mistake_about_people_is_one_line_before_the_first_resource(wrong, engine, resolve):
    pulumi.runtime.set_all_config(mistaken(wrong), [])
    with pytest.raises(pulumi.RunError) as refused:
        resolve(stack.assemble)

    error = str(refused.value)
    assert "\n" not in error
    assert error.startswith(f"spillway:{wrong.key} ")
    assert wrong.value in error
    assert wrong.allowed in error
    assert error.endswith("Fix it in Pulumi.prod.yaml.")
    assert SECRET_TEXT not in error
    assert engine.resources == []


def test_the_names_of_mistakes_are_unique():
    assert len({wrong.name for wrong in WRONG}) == len(WRONG)


def loaded(changes: dict[str, Any], secret: tuple[str, ...] = ()) -> settings.Settings:
    pulumi.runtime.set_all_config(mistaken(WrongProd("", changes, "", "", "")), list(secret))
    return settings.load()


@pytest.mark.parametrize(
    "changes",
    [
        {"login": OIDC, "tenants.vision.members": ["group:vision"]},
        {"login": {**OIDC, "usernameClaim": "sub"}, "tenants.vision.members": ["alice"]},
        {"login": GITHUB, "tenants.vision.members": ["alice", "group:example:vision"]},
        {"tenants.vision.profiles": ["small"], "tenants.vision.quota.cpu": 1},
        {"tenants.vision.image": "registry.example.com:5000/vision:7"},
        {"tenants.vision.requirements": ["polars[gpu]==1.35.2", "a-b_c.d==1!2.0+cu12"]},
        {"tenants.vision.quota.gpu": {}},
    ],
    ids=str,
)
def test_what_looks_like_a_mistake_and_is_none(changes, engine):
    assert loaded(changes).login is not None


def test_an_encrypted_client_secret_is_kept_secret(engine, resolve):
    key = "spillway:loginClientSecret"
    read = loaded({"loginClientSecret": "hunter2"}, (key,))

    assert "hunter2" not in repr(read)
    assert resolve(lambda: settings.encrypted(read.login_client_secret).is_secret()) is True


def test_a_rehearsals_client_secret_is_the_one_that_may_stand_in_plain_text(engine):
    secret = loaded({}).login_client_secret

    assert secret is not None
    assert secret.get_secret_value() == REHEARSED


def test_in_dev_anybody_may_be_anybody_and_an_issuer_may_be_plain(engine, monkeypatch):
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")

    assert loaded({"login": {"provider": "dummy"}}).login
    assert loaded({"login": {**OIDC, "issuer": "http://10.90.0.1:9090/realm"}}).login


def test_the_gate_reads_a_stack_file_without_its_secrets(tmp_path):
    text = (settings.ROOT / "Pulumi.prod.yaml").read_text()
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(f"{text}  spillway:loginClientSecret: {{secure: v1:abc}}\n")

    assert settings.read(settings.ROOT / "Pulumi.prod.yaml").login
    assert settings.read(file).login_client_secret is None
