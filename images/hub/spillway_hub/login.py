"""Who somebody is, which teams he is in, and what happens when that changes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import requests
from jupyterhub.auth import Authenticator, DummyAuthenticator
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.google import GoogleOAuthenticator
from tornado import web
from tornado.httpclient import HTTPClientError

from spillway_hub.told import Login, told

GROUPS, NAMES = "spillway_groups", "spillway_names"
"""Where the authentication state keeps what the provider told of somebody."""
DISCOVERY = "/.well-known/openid-configuration"
REFUSED_CLIENT = (400, 401)
"""What token endpoints answer to a wrong client secret: RFC 6749, 5.2."""
TRIES = 5


class NoTeam(web.HTTPError):
    """Somebody the provider knows, and no team does."""

    def __init__(self, name: str) -> None:
        super().__init__(403)
        self.jupyterhub_message = (
            f"You are logged in as {name}, but no team of this platform has you as a member. "
            "Ask the administrator of your team to add you, then log in again."
        )


class TeamLogin(Authenticator):
    """Hub groups are teams, decided by the stack alone; whoever is in none stays outside."""

    async def run_post_auth_hook(self, handler: Any, auth_model: Any) -> Any:
        """Place somebody who has just logged in."""
        model = await super().run_post_auth_hook(handler, auth_model)
        placed = self._placed(model)
        if not placed["groups"]:
            raise NoTeam(model["name"])
        return placed

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        """Ask again who somebody is; whoever is in no team any more loses servers and tokens."""
        fresh = await super().refresh_user(user, handler, **kwargs)
        if fresh is not False:
            state = await user.get_auth_state()
            model = fresh if isinstance(fresh, dict) else {"name": user.name, "auth_state": state}
            placed = self._placed(model)
            if placed["groups"]:
                return placed
        await self._turn_out(user)
        return False

    async def _turn_out(self, user: Any) -> None:
        """A session may live on in a browser; what it could do ends here."""
        self.log.warning(
            "%s is in no team any more: servers are stopped, tokens deleted", user.name
        )
        for spawner in list(user.spawners.values()):
            if spawner.active and not spawner.pending:
                await user.stop(spawner.name)
        for token in list(user.orm_user.api_tokens):
            self.db.delete(token)
        self.db.commit()

    def _placed(self, model: dict[str, Any]) -> dict[str, Any]:
        state = dict(model.get("auth_state") or {})
        if model.get("groups") is not None:
            state[GROUPS] = list(model["groups"])
        state[NAMES] = [model["name"], *self.other_names(state)]
        groups = told().places(state[NAMES], state.get(GROUPS) or ())
        return {**model, "groups": groups, "auth_state": state}

    def other_names(self, state: dict[str, Any]) -> Sequence[str]:
        """What else the stack file may call somebody."""
        del state
        return ()


class TeamOAuth(TeamLogin):
    """What the three providers have in common."""

    async def authenticate(self, handler: Any, data: Any = None, **kwargs: Any) -> Any:
        """Say in plain words when it is the platform's own secret that is wrong."""
        try:
            return await super().authenticate(handler, data, **kwargs)
        except HTTPClientError as error:
            if error.code not in REFUSED_CLIENT:
                raise
            self.log.error("the provider refused this hub: %s", error)
            refusal = web.HTTPError(500)
            refusal.jupyterhub_message = (
                f"{self.login_service} refused this platform's client id or secret. Its operators "
                "must set spillway:login.clientId and spillway:loginClientSecret anew."
            )
            raise refusal from error


class TeamDummy(TeamLogin, DummyAuthenticator):
    """One password for all, in the stack dev."""


class TeamGoogle(TeamOAuth, GoogleOAuthenticator):
    """Google accounts."""


class TeamGitHub(TeamOAuth, GitHubOAuthenticator):
    """GitHub accounts; teams may know them by e-mail address."""

    def other_names(self, state: dict[str, Any]) -> Sequence[str]:
        """The address, which GitHub tells only when it is verified."""
        mail = (state.get("github_user") or {}).get("email")
        return [mail] if mail else []


class TeamOidc(TeamOAuth, GenericOAuthenticator):
    """Any provider that describes itself."""

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """An address that nobody verified is no name."""
        model = await super().update_auth_model(auth_model)
        claims = (model.get("auth_state") or {}).get(self.user_auth_state_key) or {}
        if self.username_claim == "email" and claims.get("email_verified") is False:
            refusal = web.HTTPError(403)
            refusal.jupyterhub_message = (
                f"{model['name']} is not a verified e-mail address at {self.login_service}: "
                "verify it there, then log in again."
            )
            raise refusal
        return model


def configure(c: Any, login: Login, secret: str) -> None:
    """Set up the one provider of this stack."""
    c.Authenticator.allow_all = True  # whoever is in a team; see TeamLogin
    c.Authenticator.manage_groups = True
    c.Authenticator.enable_auth_state = True
    c.Authenticator.refresh_pre_spawn = True
    c.Authenticator.auth_refresh_age = 60
    c.Authenticator.delete_invalid_users = False
    {"dummy": _dummy, "google": _google, "github": _github, "oidc": _oidc}[login.provider](
        c, login, secret
    )


def _dummy(c: Any, _: Login, secret: str) -> None:
    c.JupyterHub.authenticator_class = TeamDummy
    c.DummyAuthenticator.password = secret


def _client(c: Any, login: Login, secret: str) -> None:
    c.OAuthenticator.client_id = login.client_id
    c.OAuthenticator.client_secret = secret


def _google(c: Any, login: Login, secret: str) -> None:
    _client(c, login, secret)
    c.JupyterHub.authenticator_class = TeamGoogle
    c.GoogleOAuthenticator.hosted_domain = [login.hosted_domain] if login.hosted_domain else []
    # Teams list addresses.
    c.GoogleOAuthenticator.strip_domain = False


def _github(c: Any, login: Login, secret: str) -> None:
    _client(c, login, secret)
    c.JupyterHub.authenticator_class = TeamGitHub
    c.GitHubOAuthenticator.scope = ["read:org", "user:email"]
    c.GitHubOAuthenticator.populate_teams_in_auth_state = True
    c.GitHubOAuthenticator.auth_state_groups_key = github_groups
    if login.organizations:
        c.GitHubOAuthenticator.allowed_organizations = set(login.organizations)
        c.Authenticator.allow_all = False


def github_groups(state: dict[str, Any]) -> set[str]:
    """``organization:team`` for each, as the stack file writes them."""
    return {f"{team['organization']['login']}:{team['slug']}" for team in state.get("teams") or ()}


def _oidc(c: Any, login: Login, secret: str) -> None:
    _client(c, login, secret)
    c.JupyterHub.authenticator_class = TeamOidc
    found = discover(str(login.issuer))
    c.GenericOAuthenticator.authorize_url = found["authorization_endpoint"]
    c.GenericOAuthenticator.token_url = found["token_endpoint"]
    c.GenericOAuthenticator.userdata_url = found["userinfo_endpoint"]
    c.GenericOAuthenticator.username_claim = login.username_claim
    c.GenericOAuthenticator.scope = list(login.scopes)
    c.GenericOAuthenticator.enable_pkce = True
    c.GenericOAuthenticator.login_service = "your company's login"
    claim = login.groups_claim
    c.GenericOAuthenticator.auth_state_groups_key = lambda state: set(
        (state.get("oauth_user") or {}).get(claim) or ()
    )


def discover(issuer: str) -> dict[str, Any]:
    """What an OpenID provider says of itself; the pod ends, and starts again, if it says nothing.

    https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
    """
    url = issuer.rstrip("/") + DISCOVERY
    for attempt in range(1, TRIES + 1):
        try:
            answer = requests.get(url, timeout=10)
            answer.raise_for_status()
            return answer.json()
        except requests.RequestException as error:
            if attempt == TRIES:
                raise SystemExit(
                    f"spillway:login.issuer is {issuer}, but {url} does not describe a "
                    f"provider: {error}"
                ) from error
            time.sleep(attempt)
    raise AssertionError
