"""Who gets in, where, and when somebody is out again: what the hub's own code decides."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from hub_stand_ins import HTTPClientError, Server, User, login
from test_hub_code import known

NAMES, GROUPS, LAPSED = "spillway_names", "spillway_groups", "spillway_lapsed"
AT_HOME = {NAMES: ["eve"], GROUPS: ["vision"]}


@pytest.fixture(autouse=True)
def stack(monkeypatch):
    """Vision: ada, group Vision, admin Lin. Language: ada, alan, and leads as admins."""
    monkeypatch.setattr(login, "told", known)


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def model(name: str = "eve", groups: Any = None, **state: Any) -> dict[str, Any]:
    """What an authenticator says of somebody who has just logged in."""
    return {"name": name, "groups": groups, "auth_state": {"token": "t", **state}}


def placed(auth_model: dict[str, Any], kind: Any = None) -> dict[str, Any]:
    return run((kind or login.TeamLogin)().run_post_auth_hook(None, auth_model))


# -- logging in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "groups", "teams"),
    [
        ("eve", ["vision"], ["vision"]),
        ("eve", ["Vision", "other"], ["vision"]),
        ("eve", ["leads"], ["language", "language:admins"]),
        ("lin@example.com", [], ["vision", "vision:admins"]),
        ("ada@example.com", None, ["vision", "language"]),
        ("alan", {"vision"}, ["vision", "language"]),
    ],
)
def test_groups_of_the_provider_and_names_become_teams(name, groups, teams):
    made = placed(model(name, groups))

    assert made["groups"] == teams
    assert made["auth_state"][NAMES] == [name]
    assert made["auth_state"]["token"] == "t"


def test_the_providers_groups_are_remembered_and_are_never_the_hubs():
    made = placed(model("eve", ["vision", "language:admins", "staff"]))

    assert made["groups"] == ["vision"]
    assert made["auth_state"][GROUPS] == ["vision", "language:admins", "staff"]


@pytest.mark.parametrize("groups", [[], None, ["others"], ["vision:admins"]])
def test_whoever_is_in_no_team_is_refused_and_told_as_whom_he_came(groups):
    with pytest.raises(login.NoTeam) as error:
        placed(model("eve", groups))

    assert error.value.status_code == 403
    assert "logged in as eve, but no team" in error.value.jupyterhub_message


def test_a_new_login_forgets_that_the_last_one_had_lapsed():
    assert LAPSED not in placed(model("eve", ["vision"], **{LAPSED: 5.0}))["auth_state"]


def test_github_tells_an_address_by_which_a_team_may_know_somebody():
    made = placed(model("octocat", [], github_user={"email": "ada@example.com"}), login.TeamGitHub)

    assert made["groups"] == ["vision", "language"]
    for hidden in ({"email": None}, {}):
        with pytest.raises(login.NoTeam):
            placed(model("octocat", [], github_user=hidden), login.TeamGitHub)


def test_teams_of_github_are_called_organization_and_team():
    teams = [
        {"organization": {"login": "acme"}, "slug": "seers"},
        {"organization": {"login": "other"}, "slug": "seers"},
    ]

    assert login.github_groups({"teams": teams}) == {"acme:seers", "other:seers"}
    assert login.github_groups({}) == login.github_groups({"teams": None}) == set()


# -- unverified addresses -------------------------------------------------------------------------


def oidc(claims: dict[str, Any], claim: str = "email") -> Any:
    provider = login.TeamOidc()
    provider.username_claim = claim
    return run(provider.update_auth_model(model("ada@example.com", [], oauth_user=claims)))


@pytest.mark.parametrize("word", [False, "false"])
def test_an_address_that_nobody_verified_is_no_name(word):
    with pytest.raises(login.Stranger) as error:
        oidc({"email_verified": word})

    assert error.value.status_code == 403
    said = error.value.jupyterhub_message
    assert "ada@example.com is not a verified e-mail address at your company's login" in said


@pytest.mark.parametrize("claims", [{"email_verified": True}, {"email_verified": "true"}, {}])
def test_a_verified_address_is_and_so_is_one_of_a_provider_that_says_nothing(claims):
    assert oidc(claims)["name"] == "ada@example.com"


def test_who_is_not_called_by_his_address_need_not_have_it_verified():
    assert oidc({"email_verified": False}, "preferred_username")["name"] == "ada@example.com"


# -- asking again ---------------------------------------------------------------------------------


def asked_again(says: Any, user: User) -> Any:
    return run(login.TeamLogin(says).refresh_user(user))


def at_work(state: dict[str, Any] | None = None) -> User:
    """Somebody with three servers, one of which is starting."""
    servers = [Server("one"), Server("two", active=False), Server("three", pending="spawn")]
    return User(
        "eve", AT_HOME if state is None else state, ["vision"], {s.name: s for s in servers}
    )


def is_out(user: User) -> bool:
    """Sessions, tokens, groups and servers are gone, and what is remembered opens nothing."""
    gone = (user.groups, user.stopped, user.orm_user.cookie_id) == ([], ["one"], "new")
    return gone and len(user.deleted) == 2


def is_in(user: User) -> bool:
    kept = (user.groups, user.stopped, user.orm_user.cookie_id) == (["vision"], [], "old")
    return kept and user.deleted == []


def test_whoever_is_still_in_his_team_stays():
    user = at_work()

    fresh = asked_again(model("eve", ["vision"]), user)

    assert fresh["groups"] == ["vision"]
    assert is_in(user)


def test_a_new_group_is_a_new_team_without_another_login():
    assert asked_again(model("eve", ["vision", "leads"]), at_work())["groups"] == [
        "vision",
        "language",
        "language:admins",
    ]


@pytest.mark.parametrize("groups", [[], ["others"]])
def test_whoever_lost_his_last_group_loses_sessions_tokens_and_servers(groups):
    user = at_work()

    assert asked_again(model("eve", groups), user) is False
    assert is_out(user)
    assert user.state[GROUPS] == groups


def test_whoever_the_provider_now_refuses_is_out_and_in_no_team_for_the_sweeper_either():
    user = at_work({**AT_HOME, "token": "t"})

    assert asked_again(login.Stranger("not verified any more"), user) is False
    assert is_out(user)
    assert (user.state[NAMES], user.state[GROUPS]) == ([], [])


@pytest.mark.parametrize("error", [HTTPClientError(502), OSError("no route")])
def test_while_the_provider_is_away_the_stack_file_alone_decides(error, monkeypatch):
    user = at_work()
    fresh = asked_again(error, user)
    assert fresh["groups"] == ["vision"]
    assert is_in(user)

    tenants = json.loads(json.dumps({"language": {"members": ["someone"]}}))
    defaults = {"namespace": "l", "admins": [], "profiles": [], "notebook": "n", "spark": "s"}
    others = {name: {**defaults, **team} for name, team in tenants.items()}
    monkeypatch.setattr(login, "told", lambda: known(tenants=others))
    assert asked_again(error, user) is False
    assert is_out(user)


@pytest.mark.parametrize("says", [False, model("mallory", ["vision"])])
def test_a_token_that_has_run_out_or_is_of_somebody_else_needs_a_login_and_ends_no_server(says):
    user, began = at_work(), time.time()

    assert asked_again(says, user) is False

    assert is_in(user)
    assert user.state[LAPSED] >= began
    since = user.state[LAPSED]
    asked_again(says, user)
    assert user.state[LAPSED] == since, "counted from the first time"


def test_true_means_that_nothing_has_changed():
    user = at_work()

    assert asked_again(True, user)["groups"] == ["vision"]
    assert is_in(user)


def test_somebody_of_whom_nothing_is_known_is_placed_by_his_name():
    user = User("alan", None)

    assert asked_again(True, user)["groups"] == ["language"]


# -- trouble with the provider --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HTTPClientError(400), "refused this platform's client id or secret"),
        (HTTPClientError(401), "refused this platform's client id or secret"),
        (HTTPClientError(503), "cannot reach your company's login"),
        (OSError("refused"), "cannot reach your company's login"),
    ],
)
def test_a_login_that_fails_for_the_platforms_fault_says_so(error, words):
    with pytest.raises(login.Trouble) as told:
        run(login.TeamOAuth(error).authenticate(None))

    assert told.value.status_code == 503
    assert words in told.value.jupyterhub_message


def test_a_login_that_works_is_handed_on():
    assert run(login.TeamOAuth("somebody").authenticate(None)) == "somebody"


# -- where the provider is asked ------------------------------------------------------------------

ISSUER = "https://login.example.com/realms/main"
DESCRIBED = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/me",
}
FOUND = {
    "authorize_url": f"{ISSUER}/auth",
    "token_url": f"{ISSUER}/token",
    "userdata_url": f"{ISSUER}/me",
}


@pytest.fixture
def provider(monkeypatch):
    """What answers at the issuer: a status and a body, or an exception."""

    def answers(status: int = 200, body: Any = DESCRIBED, error: Exception | None = None) -> None:
        def get(url: str, timeout: float) -> requests.Response:
            assert url == f"{ISSUER}/.well-known/openid-configuration"
            if error:
                raise error
            answer = requests.Response()
            answer.status_code = status
            answer._content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return answer

        monkeypatch.setattr(requests, "get", get)

    return answers


@pytest.mark.parametrize("issuer", [ISSUER, f"{ISSUER}/"])
def test_a_provider_tells_where_it_is_asked(provider, issuer):
    provider()

    assert login.endpoints(issuer) == FOUND


@pytest.mark.parametrize(
    "away",
    [{"status": 502}, {"error": requests.ConnectionError("x")}, {"error": requests.Timeout("x")}],
)
def test_a_provider_that_is_away_may_come_back(provider, away):
    provider(**away)

    with pytest.raises(login.Unreachable):
        login.endpoints(ISSUER)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 404}, "does not describe a provider"),
        ({"body": b"<html>"}, "does not describe a provider"),
        ({"body": {**DESCRIBED, "issuer": "https://evil.example"}}, "of another issuer"),
        ({"body": {"issuer": ISSUER}}, "does not name its 'authorization_endpoint'"),
    ],
)
def test_what_is_no_provider_is_an_error_that_says_why(provider, answer, words):
    provider(**answer)

    with pytest.raises(login.NotAProvider, match=words):
        login.endpoints(ISSUER)


def test_a_provider_that_was_away_at_the_start_is_found_by_the_next_login(provider):
    team = login.TeamOidc()
    team.issuer = ISSUER
    provider(error=requests.ConnectionError("x"))
    with pytest.raises(login.Unreachable):
        run(team.find())

    provider()
    assert run(team.token_to_user({})) == {"asked": FOUND["userdata_url"]}
    provider(error=requests.ConnectionError("asked once more"))
    run(team.find())


def test_whoever_comes_while_it_is_away_is_told_in_words(provider):
    handler = login.OidcLogin()
    handler.authenticator = login.TeamOidc()
    handler.authenticator.issuer = ISSUER
    provider(status=503)
    with pytest.raises(login.Trouble):
        run(handler.get())
    provider()
    run(handler.get())
    assert handler.sent


# -- configuration --------------------------------------------------------------------------------


class Config(dict[str, Any]):
    """As traitlets has it: sections that come into being when they are written to."""

    def __getattr__(self, section: str) -> Any:
        return self.setdefault(section, SimpleNamespace())


def configured(provider: str, **told: Any) -> Config:
    c = Config()
    login.configure(c, SimpleNamespace(**{**vars(DEFAULTS), "provider": provider, **told}), "s3")
    return c


DEFAULTS = SimpleNamespace(
    client_id="spillway",
    hosted_domain=None,
    organizations=(),
    issuer=ISSUER,
    username_claim="email",
    groups_claim="roles",
    scopes=("openid",),
)


@pytest.mark.parametrize(
    ("name", "kind"), [("dummy", "TeamDummy"), ("google", "TeamGoogle"), ("github", "TeamGitHub")]
)
def test_every_login_asks_again_before_a_server_starts_and_tokens_are_no_way_around(name, kind):
    c = configured(name)

    assert c.JupyterHub.authenticator_class is getattr(login, kind)
    for trait in ("manage_groups", "enable_auth_state", "refresh_pre_spawn", "auth_refresh_strict"):
        assert getattr(c.Authenticator, trait) is True, trait
    assert c.Authenticator.auth_refresh_age == 60
    assert c.Authenticator.delete_invalid_users is False


def test_google_and_github_let_in_only_whom_the_stack_file_names():
    google = configured("google", hosted_domain="example.com")
    github = configured("github", organizations=("acme",))

    assert google.GoogleOAuthenticator.hosted_domain == ["example.com"]
    assert google.GoogleOAuthenticator.strip_domain is False
    assert github.GitHubOAuthenticator.allowed_organizations == {"acme"}
    assert github.Authenticator.allow_all is False
    assert configured("github").Authenticator.allow_all is True


def test_a_company_names_the_claims_in_which_it_tells_names_and_groups(provider):
    provider()

    c = configured("oidc", username_claim="upn")

    assert c.GenericOAuthenticator.username_claim == "upn"
    groups = c.GenericOAuthenticator.auth_state_groups_key
    assert groups({"oauth_user": {"roles": ["a", "b"], "groups": ["c"]}}) == {"a", "b"}
    assert groups({"oauth_user": {"roles": None}}) == groups({}) == set()
    assert vars(c.TeamOidc) == {"issuer": ISSUER, **FOUND}


def test_a_hub_starts_while_its_provider_is_away_and_not_with_what_is_none(provider, capsys):
    provider(error=requests.ConnectionError("x"))
    assert vars(configured("oidc").TeamOidc) == {"issuer": ISSUER}
    assert "cannot be reached" in capsys.readouterr().out

    provider(status=404)
    with pytest.raises(SystemExit, match=r"spillway:login.issuer: .* does not describe a provider"):
        configured("oidc")


@pytest.mark.parametrize(
    ("new", "before", "kept"),
    [
        ({"a": 1}, {"refresh_token": "r"}, {"a": 1, "refresh_token": "r"}),
        ({"refresh_token": "n"}, {"refresh_token": "r"}, {"refresh_token": "n"}),
        ({"a": 1}, None, {"a": 1}),
        (None, {"refresh_token": "r"}, None),
    ],
)
def test_what_renews_a_login_is_kept_when_it_is_not_given_again(new, before, kept):
    assert login.keep_renewal(None, {"auth_state": new}, before) == kept
