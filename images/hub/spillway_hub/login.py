"""Who somebody is, which teams he is in, and what happens when that changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import requests
from jupyterhub.auth import Authenticator, DummyAuthenticator
from jupyterhub.orm import new_token
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.google import GoogleOAuthenticator
from oauthenticator.oauth2 import OAuthLoginHandler
from tornado import web
from tornado.httpclient import HTTPClientError
from traitlets import Unicode

from spillway_hub.told import Login, told

GROUPS, NAMES = "spillway_groups", "spillway_names"
"""Where the authentication state keeps what the provider told of somebody."""
LAPSED = "spillway_lapsed"
"""Since when the provider has not confirmed somebody, who must log in again."""
DISCOVERY = "/.well-known/openid-configuration"
REFUSED_CLIENT = (400, 401)
"""What token endpoints answer to a wrong client secret: RFC 6749, 5.2."""
SERVER_ERROR = 500
ENDPOINTS = {
    "authorize_url": "authorization_endpoint",
    "token_url": "token_endpoint",
    "userdata_url": "userinfo_endpoint",
}
"""Of OAuthenticator, and what a provider calls them."""
UNVERIFIED = (False, "false")
"""The second is how some providers write it."""


class Stranger(web.HTTPError):
    """Somebody who may not come in; the text tells him why."""

    def __init__(self, message: str) -> None:
        super().__init__(403)
        self.jupyterhub_message = message


class NoTeam(Stranger):
    """Somebody the provider knows, and no team does."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"You are logged in as {name}, but no team of this platform has you as a member. "
            "Ask the administrator of your team to add you, then log in again."
        )


class Trouble(web.HTTPError):
    """A login that fails for no fault of the person's."""

    def __init__(self, message: str) -> None:
        super().__init__(503)
        self.jupyterhub_message = message


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
        state = await user.get_auth_state() or {}
        try:
            fresh = await super().refresh_user(user, handler, **kwargs)
        except Stranger:
            await self._turn_out(user, {**state, NAMES: [], GROUPS: []})
            return False
        except (HTTPClientError, OSError) as error:
            # Whoever was in stays in, if the stack file still has him.
            self.log.warning("cannot ask again who %s is: %s", user.name, error)
            fresh = True
        if fresh is False or (isinstance(fresh, dict) and fresh["name"] != user.name):
            # A token that has run out says nothing of a person: his servers go on for a while.
            await user.save_auth_state({LAPSED: time.time(), **state})
            return False
        model = fresh if isinstance(fresh, dict) else {"name": user.name, "auth_state": state}
        placed = self._placed(model)
        if placed["groups"]:
            return placed
        await self._turn_out(user, placed["auth_state"])
        return False

    async def _turn_out(self, user: Any, state: dict[str, Any]) -> None:
        """End every session and token first, then the servers."""
        self.log.warning("%s is in no team any more: tokens are deleted", user.name)
        user.sync_groups([])
        user.orm_user.cookie_id = new_token()
        for token in list(user.orm_user.api_tokens):
            self.db.delete(token)
        self.db.commit()
        await user.save_auth_state(state)
        for spawner in list(user.spawners.values()):
            if spawner.active and not spawner.pending:
                self.log.warning("stopping %s", spawner._log_name)
                await user.stop(spawner.name)

    def _placed(self, model: dict[str, Any]) -> dict[str, Any]:
        state = dict(model.get("auth_state") or {})
        state.pop(LAPSED, None)
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
        """Say in plain words when it is the platform's own secret, or the provider."""
        try:
            return await super().authenticate(handler, data, **kwargs)
        except (HTTPClientError, OSError) as error:
            code = getattr(error, "code", 0)
            self.log.error("the provider answered a login with: %s", error)
            if code in REFUSED_CLIENT:
                raise Trouble(
                    f"{self.login_service} refused this platform's client id or secret. Its "
                    "operators must set spillway:login.clientId and spillway:loginClientSecret "
                    "anew."
                ) from error
            raise self.away() from error

    def away(self) -> Trouble:
        """What somebody is told while nobody can log in."""
        return Trouble(
            f"This platform cannot reach {self.login_service} now, so nobody can log in. Those who "
            "are logged in can go on. Try again in a few minutes."
        )


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


class OidcLogin(OAuthLoginHandler):
    """The way to the provider."""

    async def get(self) -> None:
        """Send a browser there, once it is known where that is."""
        try:
            await self.authenticator.find()
        except Unreachable as error:
            raise self.authenticator.away() from error
        super().get()


class TeamOidc(TeamOAuth, GenericOAuthenticator):
    """Any provider that describes itself."""

    login_handler = OidcLogin
    issuer = Unicode(config=True)

    async def find(self) -> None:
        """Learn where the provider is asked, unless that was known when the hub started."""
        if self.authorize_url:
            return
        try:
            found = await asyncio.to_thread(endpoints, self.issuer)
        except NotAProvider as error:
            self.log.error("spillway:login.issuer: %s", error)
            raise Unreachable(str(error)) from error
        for name, url in found.items():
            setattr(self, name, url)

    async def token_to_user(self, token_info: dict[str, Any]) -> Any:
        """Know first whom to ask."""
        await self.find()
        return await super().token_to_user(token_info)

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """An address that nobody verified is no name."""
        model = await super().update_auth_model(auth_model)
        claims = (model.get("auth_state") or {}).get(self.user_auth_state_key) or {}
        if self.username_claim == "email" and claims.get("email_verified") in UNVERIFIED:
            raise Stranger(
                f"{model['name']} is not a verified e-mail address at {self.login_service}: "
                "verify it there, then log in again."
            )
        return model


def configure(c: Any, login: Login, secret: str) -> None:
    """Set up the one provider of this stack."""
    c.Authenticator.allow_all = True  # whoever is in a team; see TeamLogin
    c.Authenticator.manage_groups = True
    c.Authenticator.enable_auth_state = True
    c.Authenticator.refresh_pre_spawn = True
    c.Authenticator.auth_refresh_age = 60
    # Tokens, a server's own too, are no way around the login.
    c.Authenticator.auth_refresh_strict = True
    c.Authenticator.delete_invalid_users = False
    c.Authenticator.reconcile_auth_state_hook = keep_renewal
    {"dummy": _dummy, "google": _google, "github": _github, "oidc": _oidc}[login.provider](
        c, login, secret
    )


def keep_renewal(_: Any, model: dict[str, Any], before: dict[str, Any] | None) -> Any:
    """What to renew a login with is given only once by some providers, at the first one."""
    state = model.get("auth_state")
    if state and not state.get("refresh_token") and (before or {}).get("refresh_token"):
        return {**state, "refresh_token": (before or {})["refresh_token"]}
    return state


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
    # Without it Google confirms nobody for longer than an hour.
    c.OAuthenticator.extra_authorize_params = {"access_type": "offline"}
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
    c.TeamOidc.issuer = str(login.issuer)
    try:
        described = endpoints(str(login.issuer))
    except Unreachable as error:
        # Those who are logged in can work meanwhile; new logins ask again.
        print(f"spillway:login.issuer: {error}", flush=True)
        described = {}
    except NotAProvider as error:
        raise SystemExit(f"spillway:login.issuer: {error}") from error
    for name, url in described.items():
        setattr(c.TeamOidc, name, url)
    c.GenericOAuthenticator.username_claim = login.username_claim
    c.GenericOAuthenticator.scope = list(login.scopes)
    c.GenericOAuthenticator.enable_pkce = True
    c.GenericOAuthenticator.login_service = "your company's login"
    claim = login.groups_claim
    c.GenericOAuthenticator.auth_state_groups_key = lambda state: set(
        (state.get("oauth_user") or {}).get(claim) or ()
    )


class Unreachable(OSError):
    """A provider that gives no answer now."""


class NotAProvider(ValueError):
    """Whoever answers there, it is no OpenID provider."""


def endpoints(issuer: str) -> dict[str, str]:
    """Where an OpenID provider says that it is asked.

    https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
    """
    url = issuer.rstrip("/") + DISCOVERY
    try:
        answer = requests.get(url, timeout=10)
        if answer.status_code >= SERVER_ERROR:
            raise Unreachable(f"{url} answers {answer.status_code}")
        answer.raise_for_status()
        described = answer.json()
    except (requests.ConnectionError, requests.Timeout) as error:
        raise Unreachable(f"{url} cannot be reached: {error}") from error
    except (requests.HTTPError, ValueError) as error:
        raise NotAProvider(f"{url} does not describe a provider: {error}") from error
    if str(described.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        raise NotAProvider(f"{url} is of another issuer: {described.get('issuer')}")
    try:
        return {trait: described[name] for trait, name in ENDPOINTS.items()}
    except KeyError as error:
        raise NotAProvider(f"{url} does not name its {error}") from error
