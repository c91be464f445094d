"""The hub's modules that need its packages, on stand-ins for what they use of those.

Only the hub's image has the packages. What the real ones do with this code is in
tests/cluster/test_login.py; here is what the code itself decides.
"""

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import hub_code  # noqa: F401 - the folder of the hub's modules


class HTTPError(Exception):
    """Tornado's, as far as it is raised here."""

    def __init__(self, status_code: int = 500) -> None:
        super().__init__(status_code)
        self.status_code = status_code


class HTTPClientError(Exception):
    """What Tornado's client raises."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class SpawnException(Exception):
    """JupyterHub's."""

    def __init__(self, message: str, *, reason: str, status_code: int) -> None:
        super().__init__(message)


class ApiException(Exception):
    """What the API server refuses."""

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(status, reason)
        self.status, self.reason, self.body = status, reason, ""


class Authenticator:
    """What a provider says comes from ``says``: a value, or an exception."""

    def __init__(self, says: Any = None) -> None:
        self.says = says
        self.log = SimpleNamespace(warning=lambda *_: None, error=lambda *_: None)
        self.db = SimpleNamespace(delete=lambda token: token.deleted.append(token), commit=_nothing)
        self.login_service = "your company's login"

    def _answer(self) -> Any:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def run_post_auth_hook(self, handler: Any, auth_model: Any) -> Any:
        return auth_model

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> Any:
        return self._answer()

    async def authenticate(self, handler: Any, data: Any = None, **_: Any) -> Any:
        return self._answer()

    async def update_auth_model(self, auth_model: Any) -> Any:
        return auth_model


class GenericOAuthenticator(Authenticator):
    authorize_url = token_url = userdata_url = ""
    user_auth_state_key = "oauth_user"
    username_claim = "email"

    async def token_to_user(self, token_info: Any) -> Any:
        return {"asked": self.userdata_url}


CLIENTS: dict[str, Any] = {}
"""Of the API server, by kind."""


class KubeSpawner:
    """What the cluster says of the pod comes from ``happens``: a step of progress, or seconds."""

    namespace, pod_name, start_timeout = "vision", "notebook-ada", 1800

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.log = SimpleNamespace(warning=lambda text, *of: self.warnings.append(text % of))
        self.user_options = {"profile": "gpu-l4", "tenant": "vision"}
        self.pod_reflector = SimpleNamespace(pods={})
        self.events: list[Any] = []
        self.happens: list[Any] = []

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        for one in self.happens:
            if isinstance(one, dict):
                yield one
            else:
                await asyncio.sleep(one)

    async def _start(self) -> str:
        await asyncio.sleep(sum(one for one in self.happens if not isinstance(one, dict)))
        return "http://10.42.0.7:8888"


class OAuthLoginHandler:
    def get(self) -> None:
        self.sent = True


def _nothing() -> None:
    pass


def _modules() -> dict[str, dict[str, Any]]:
    provider = type("Provider", (Authenticator,), {})
    objects = ("EnvVar", "EnvVarSource", "ObjectMeta", "Secret", "SecretKeySelector")
    kubernetes = {f"V1{name}": SimpleNamespace for name in objects}
    return {
        "jupyterhub": {},
        "jupyterhub.auth": {"Authenticator": Authenticator, "DummyAuthenticator": Authenticator},
        "jupyterhub.spawner": {"SpawnException": SpawnException},
        "kubernetes_asyncio": {},
        "kubernetes_asyncio.client": {**kubernetes, "ApiException": ApiException},
        "kubespawner": {"KubeSpawner": KubeSpawner},
        "kubespawner.clients": {"shared_client": lambda kind: CLIENTS[kind]},
        "sqlalchemy": {},
        "sqlalchemy.orm": {"object_session": lambda _: None},
        "jupyterhub.orm": {"new_token": lambda: "new"},
        "oauthenticator": {},
        "oauthenticator.generic": {"GenericOAuthenticator": GenericOAuthenticator},
        "oauthenticator.github": {"GitHubOAuthenticator": provider},
        "oauthenticator.google": {"GoogleOAuthenticator": provider},
        "oauthenticator.oauth2": {"OAuthLoginHandler": OAuthLoginHandler},
        "tornado": {"web": SimpleNamespace(HTTPError=HTTPError)},
        "tornado.web": {"HTTPError": HTTPError},
        "tornado.httpclient": {"HTTPClientError": HTTPClientError},
        "traitlets": {"Unicode": lambda **_: ""},
    }


@contextmanager
def _installed() -> Iterator[None]:
    given = {}
    for name, members in _modules().items():
        module = ModuleType(name)
        vars(module).update(members)
        given[name] = module
    before = {name: sys.modules.get(name) for name in given}
    sys.modules.update(given)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


with _installed():
    login = importlib.import_module("spillway_hub.login")
    sweep = importlib.import_module("spillway_hub.sweep")
    spawner = importlib.import_module("spillway_hub.spawner")


@dataclass
class Server:
    """Of somebody, as the hub has it."""

    name: str
    active: bool = True
    pending: str | None = None
    _log_name: str = ""


@dataclass
class User:
    """Somebody whom the hub knows."""

    name: str
    state: dict[str, Any] | None = None
    groups: list[str] = field(default_factory=list[str])
    spawners: dict[str, Server] = field(default_factory=dict[str, Server])
    stopped: list[str] = field(default_factory=list[str])
    deleted: list[Any] = field(default_factory=list[Any])

    def __post_init__(self) -> None:
        tokens = [SimpleNamespace(name=n, deleted=self.deleted) for n in ("browser", "server")]
        self.orm_user = SimpleNamespace(cookie_id="old", api_tokens=tokens)

    async def get_auth_state(self) -> dict[str, Any] | None:
        return self.state

    async def save_auth_state(self, state: dict[str, Any]) -> None:
        self.state = state

    def sync_groups(self, groups: list[str]) -> None:
        self.groups = groups

    async def stop(self, name: str) -> None:
        # Tokens must be worth nothing by the time a server is told to stop.
        assert len(self.deleted) == len(self.orm_user.api_tokens)
        self.stopped.append(name)
