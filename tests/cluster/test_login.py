"""Logging in at a provider of OpenID Connect: who gets in where, and when he is out again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from oidc.provider import CLIENT, PASSWORD, Provider
from person import Person, told
from testbed import NARROW, OTHER, TENANT, Testbed, until

PORT = 9480
SECRET = "spillway:loginClientSecret"
DOMAIN = "example.com"
RAW = ("Traceback", "HTTPClientError", "ConnectionRefused")
CHECKED = 60
"""Seconds after which the hub asks the provider again: ``auth_refresh_age``."""
SWEPT = 60
TEAMS: dict[str, dict[str, Any]] = {
    TENANT: {
        "members": ["ann@example.com", "una@example.com", "eve@example.com", "group:seers"],
        "admins": ["group:leads"],
    },
    OTHER: {"members": ["group:talkers"]},
    NARROW: {"members": ["tim@example.com"]},
}
GROUPS = {
    "ann": [],
    "eve": [],
    "gus": ["seers"],
    "rex": ["seers"],
    "lea": ["leads"],
    "two": ["seers", "talkers"],
    "una": [],
    "nob": ["others"],
}


def mail(who: str) -> str:
    return f"{who}@{DOMAIN}"


@pytest.fixture(scope="module")
def file(bed: Testbed) -> Iterator[Path]:
    with bed.changed() as file:
        yield file


@pytest.fixture(scope="module")
def provider(
    bed: Testbed, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    """The company's login, and a stack that uses it."""
    accounts: dict[str, dict[str, Any]] = {
        who: {"email": mail(who), "email_verified": who != "una", "groups": groups}
        for who, groups in GROUPS.items()
    }
    provider = Provider(
        address=bed.layout.gateway,
        port=PORT,
        callback=f"{bed.hub}/hub/oauth_callback",
        folder=tmp_path_factory.mktemp("provider"),
        accounts=accounts,
    )
    provider.start()
    try:
        bed.pulumi("config", "set", "--secret", SECRET, provider.secret)
        write(file, provider, TEAMS)
        bed.apply()
        bed.whole()
        yield provider
    finally:
        provider.stop()


def write(file: Path, provider: Provider, teams: dict[str, dict[str, Any]]) -> None:
    document = yaml.safe_load(file.read_text())
    config = document["config"]
    config["spillway:login"] = {"provider": "oidc", "issuer": provider.issuer, "clientId": CLIENT}
    for name, people in teams.items():
        tenant = config["spillway:tenants"][name]
        tenant.pop("admins", None)
        tenant.update(people)
    file.write_text(yaml.safe_dump(document))


def come(bed: Testbed, who: str) -> tuple[Person, requests.Response]:
    """Log in by the provider's form; the answer is the page one ends on."""
    person = Person(bed.hub, mail(who))
    form = person.page("/hub/oauth_login")
    assert form.status_code == 200, form.text
    return person, sign(person, form.url, who)


def sign(person: Person, url: str, who: str, **words: Any) -> requests.Response:
    data = {"login": who, "password": PASSWORD}
    return person.session.post(url, data=data, timeout=30, **words)


def inside(bed: Testbed, who: str) -> Person:
    person, answer = come(bed, who)
    assert answer.status_code == 200, told(answer)
    return person


def running(bed: Testbed, who: str, **options: Any) -> Person:
    """Somebody with a server."""
    person = inside(bed, who)
    answer = person.start(**{"profile": "small", **options})
    assert answer.status_code in (201, 202), told(answer)
    person.ready()
    return person


def refused(answer: requests.Response, status: int, words: str) -> None:
    assert answer.status_code == status, told(answer)
    assert words in answer.text
    assert not [raw for raw in RAW if raw in answer.text]


def pods(bed: Testbed, namespace: str) -> dict[str, str]:
    """Who has a server there, and the pod's uid."""
    return {
        pod["metadata"]["annotations"]["hub.jupyter.org/username"]: pod["metadata"]["uid"]
        for pod in bed.get("pods", "-n", namespace, "-l", "spillway.dev/role=notebook")
        if "deletionTimestamp" not in pod["metadata"]
    }


@pytest.mark.usefixtures("provider")
def test_members_by_address_and_by_group_work_in_their_team(bed: Testbed) -> None:
    for who in ("ann", "gus"):
        person = running(bed, who)
        assert person.run("import os; print(os.environ['SPILLWAY_TENANT'])") == f"{TENANT}\n"
    assert {mail("ann"), mail("gus")} <= set(pods(bed, TENANT))


@pytest.mark.usefixtures("provider")
def test_an_admin_of_a_team_sees_and_stops_its_servers_but_enters_none(bed: Testbed) -> None:
    other = running(bed, "two", tenant=OTHER)
    lea = inside(bed, "lea")
    seen = {user["name"] for user in lea.api("GET", "/users").json()}
    assert mail("ann") in seen
    page = lea.page(f"/user/{mail('ann')}/lab")
    assert page.status_code == 403, page.text
    ann = inside(bed, "ann")
    assert ann.page(f"{ann.home}lab").status_code == 200
    assert lea.api("DELETE", f"/users/{mail('ann')}/server").status_code in (202, 204)
    ann.gone()
    assert ann.api("DELETE", f"/users/{mail('gus')}/server").status_code in (403, 404)
    assert other.server() is not None
    other.end()


@pytest.mark.usefixtures("provider")
def test_somebody_in_two_teams_chooses(bed: Testbed) -> None:
    person = inside(bed, "two")
    page = person.choices()
    for team in (TENANT, OTHER):
        assert f'value="{team}"' in page
    assert person.pick("small", OTHER).status_code == 200
    person.ready()
    assert mail("two") in pods(bed, OTHER)
    assert mail("two") not in pods(bed, TENANT)
    assert person.run("import os; print(os.environ['MLFLOW_WORKSPACE'])") == f"{OTHER}\n"
    person.end()


@pytest.mark.usefixtures("provider")
def test_an_address_that_is_not_verified_is_refused(bed: Testbed) -> None:
    person, answer = come(bed, "una")
    refused(answer, 403, "una@example.com is not a verified e-mail address")
    assert person.api("GET", "/user").status_code == 403


@pytest.mark.usefixtures("provider")
def test_somebody_in_no_team_is_told_as_whom_he_is_logged_in(bed: Testbed) -> None:
    person, answer = come(bed, "nob")
    refused(answer, 403, "You are logged in as nob@example.com, but no team of this platform")
    assert "Ask the administrator of your team" in answer.text
    assert person.api("GET", "/user").status_code == 403


def test_a_group_that_is_taken_away_ends_session_server_and_tokens(
    bed: Testbed, provider: Provider
) -> None:
    rex, gus = running(bed, "rex"), inside(bed, "gus")
    with_token = {"Authorization": f"token {token(bed, rex)}"}
    me = f"{bed.hub}/hub/api/user"
    assert requests.get(me, headers=with_token, timeout=30).status_code == 200
    old = rex.session.cookies.copy()
    provider.accounts["rex"]["groups"] = []
    provider.tell()

    def out() -> bool | None:
        answer = rex.page("/hub/home", allow_redirects=False)
        return (
            True if answer.status_code == 302 and "/login" in answer.headers["Location"] else None
        )

    until(out, CHECKED + 30, "the session is over")
    until(lambda: True if mail("rex") not in pods(bed, TENANT) else None, 40, "its server")
    assert requests.get(me, headers=with_token, timeout=30).status_code == 403
    rex.session.cookies = old
    assert rex.api("GET", "/user").status_code == 403
    _, answer = come(bed, "rex")
    refused(answer, 403, "no team of this platform")
    assert gus.server() is not None


def token(bed: Testbed, person: Person) -> str:
    """What the person's server knows the hub by."""
    return person.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])").strip()


def test_whoever_is_taken_out_of_the_stack_file_loses_his_server(
    bed: Testbed, file: Path, provider: Provider
) -> None:
    running(bed, "eve")
    before = pods(bed, TENANT)
    assert {mail("eve"), mail("gus")} <= set(before)
    members = [one for one in TEAMS[TENANT]["members"] if one != mail("eve")]
    write(file, provider, {TENANT: {**TEAMS[TENANT], "members": members}})
    bed.apply()
    bed.whole()
    until(lambda: True if mail("eve") not in pods(bed, TENANT) else None, SWEPT + 40, "swept")
    assert pods(bed, TENANT)[mail("gus")] == before[mail("gus")]
    gus = inside(bed, "gus")
    assert gus.run("print('goes on')") == "goes on\n"


def test_while_the_provider_is_away_those_inside_work_and_others_are_told(
    bed: Testbed, provider: Provider
) -> None:
    gus = inside(bed, "gus")
    gus.end()
    late = Person(bed.hub, mail("ann"))
    back = sign(late, late.page("/hub/oauth_login").url, "ann", allow_redirects=False)
    while not back.headers["Location"].startswith(provider.callback):
        back = late.session.get(back.headers["Location"], timeout=30, allow_redirects=False)
    provider.stop()
    refused(late.session.get(back.headers["Location"], timeout=60), 503, "cannot reach")
    # A start asks the provider whatever the age of the last answer.
    assert gus.start(profile="small").status_code in (201, 202)
    gus.ready()
    (hub,) = bed.pods("jupyterhub", "hub")
    bed.kubectl("delete", "pod", hub, "-n", "spillway", "--grace-period=0", "--force")
    bed.whole()
    assert gus.run("print('goes on')") == "goes on\n"
    refused(Person(bed.hub, mail("ann")).page("/hub/oauth_login"), 503, "cannot reach")


def test_a_wrong_client_secret_is_told_in_words(bed: Testbed, provider: Provider) -> None:
    provider.stop()
    provider.secret, right = "not what the stack has", provider.secret
    provider.start()
    _, answer = come(bed, "ann")
    refused(answer, 503, "refused this platform&#39;s client id or secret")
    provider.stop()
    provider.secret = right
    provider.start()
    assert come(bed, "ann")[1].status_code == 200
