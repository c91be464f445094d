"""Shows people the experiments of their teams: the tracking server's own pages, behind the login.

The tracking server believes only tokens of the cluster. This takes who somebody is from the hub,
and asks in the name of the team's account; a browser never holds a token of the cluster.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from kubernetes_asyncio import client, config
from tornado import web
from tornado.httpserver import HTTPServer

from spillway_hub.told import ADMINS

PREFIX = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/services/experiments/")
TRACKING = os.environ.get("MLFLOW_TRACKING_URI", "")
PORT = 8090
ACCOUNT = "notebook"
WORKSPACE = "X-MLFLOW-WORKSPACE"
LIST = "/mlflow/workspaces"
ONE = re.compile(rf"{LIST}/([^/]+)$")
REMEMBERED = "spillway-team"
"""Cookie with the team somebody looked at last."""
TOKEN_SECONDS = 600
"""The shortest that Kubernetes gives."""
HANDED_ON = (
    "Accept", "Accept-Language", "Content-Type", "Range", "If-None-Match", "If-Modified-Since",
)  # fmt: skip
HANDED_BACK = (
    "Content-Type", "Content-Disposition", "Content-Range", "Accept-Ranges", "ETag",
    "Last-Modified", "Cache-Control", "X-Content-Type-Options",
)  # fmt: skip
LARGEST = 64 * 2**30
CHUNKS = 16
"""Pieces of an upload that wait in memory."""
log = logging.getLogger("viewer")


class Tokens:
    """Tokens of the teams' accounts, each used for most of its life."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._kept: dict[str, tuple[float, str]] = {}

    async def of(self, team: str) -> str:
        """A token with which the tracking server knows this team."""
        until, token = self._kept.get(team, (0.0, ""))
        if time.monotonic() < until:
            return token
        body = client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(expiration_seconds=TOKEN_SECONDS, audiences=[])
        )
        made = await self._api.create_namespaced_service_account_token(ACCOUNT, team, body)
        self._kept[team] = (time.monotonic() + TOKEN_SECONDS / 2, made.status.token)
        return made.status.token


@web.stream_request_body
class Experiments(HubOAuthenticated, web.RequestHandler):
    """Every page and call, handed on for the team that is looked at."""

    def initialize(self, tokens: Tokens, session: aiohttp.ClientSession) -> None:
        """Shared by all requests."""
        self.tokens, self.session = tokens, session
        self._sent: asyncio.Queue[bytes | None] = asyncio.Queue(CHUNKS)

    def check_xsrf_cookie(self) -> None:
        """Other sites' pages may not write; tokens in forms are nothing MLflow's pages know."""
        if self.request.method in ("GET", "HEAD", "OPTIONS"):
            return
        origin = self.request.headers.get("Origin")
        if origin is None or urlsplit(origin).netloc != self.request.host:
            raise web.HTTPError(403, "only this platform's own pages may change experiments")

    async def prepare(self) -> None:
        """Before a body arrives: who is it, and for which team."""
        self.request.connection.set_max_body_size(LARGEST)
        user = self.get_current_user()
        if user is None:
            if self.request.method != "GET":
                raise web.HTTPError(403, "log in first")
            self.redirect(self.get_login_url())
            return
        own = own_teams(user)
        self.team = self._team(own)
        if self.request.method == "GET" and self.request.path.endswith(LIST):
            # The server would list the one that the token is for.
            self.finish({"workspaces": [{"name": team} for team in own]})
            return
        self.answer = asyncio.ensure_future(self._ask())

    def _team(self, own: list[str]) -> str:
        if not own:
            raise web.HTTPError(403, "you are in no team of this platform")
        one = ONE.search(self.request.path)
        asked = (
            self.request.headers.get(WORKSPACE)
            or self.get_argument("workspace", None)
            or (one and one[1])
        )
        if asked:
            if asked not in own:
                raise web.HTTPError(403, f"you are not in team {asked}")
            if asked != self.get_cookie(REMEMBERED):
                self.set_cookie(REMEMBERED, asked, path=PREFIX, httponly=True, samesite="Lax")
            return asked
        remembered = self.get_cookie(REMEMBERED)
        return remembered if remembered in own else own[0]

    async def data_received(self, chunk: bytes) -> None:
        """A piece of an upload."""
        await self._sent.put(chunk)

    async def _body(self) -> AsyncIterator[bytes]:
        while (chunk := await self._sent.get()) is not None:
            yield chunk

    async def _ask(self) -> aiohttp.ClientResponse:
        headers = {n: self.request.headers[n] for n in HANDED_ON if n in self.request.headers}
        headers["Authorization"] = f"Bearer {await self.tokens.of(self.team)}"
        headers[WORKSPACE] = self.team
        body = None
        if self.request.method not in ("GET", "HEAD", "OPTIONS"):
            body = self._body()
            if length := self.request.headers.get("Content-Length"):
                # In chunks, the tracking server would find the body empty.
                headers["Content-Length"] = length
        path = self.request.uri.removeprefix(PREFIX.rstrip("/"))
        return await self.session.request(
            self.request.method, TRACKING + path, headers=headers, data=body, allow_redirects=False
        )

    async def _hand_on(self, _: str = "") -> None:
        await self._sent.put(None)
        async with await self.answer as answer:
            self.set_status(answer.status, answer.reason)
            for name in HANDED_BACK:
                if name in answer.headers:
                    self.set_header(name, answer.headers[name])
            async for chunk in answer.content.iter_chunked(2**16):
                self.write(chunk)
                await self.flush()

    get = post = put = patch = delete = head = _hand_on

    def on_connection_close(self) -> None:
        """The browser has gone."""
        if hasattr(self, "answer"):
            self.answer.cancel()


class Health(web.RequestHandler):
    """For the kubelet."""

    def get(self) -> None:
        """Alive."""
        self.write("ok")


def own_teams(user: dict[str, Any]) -> list[str]:
    """The teams of somebody as the hub tells them."""
    return [group for group in user.get("groups") or () if not group.endswith(ADMINS)]


async def main() -> None:
    """Serve until the pod ends."""
    logging.basicConfig(level=logging.INFO)
    config.load_incluster_config()
    timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=300)
    async with (
        client.ApiClient() as api,
        aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
    ):
        shared = {"tokens": Tokens(client.CoreV1Api(api)), "session": session}
        app = web.Application(
            [
                (r"/health", Health),
                (rf"{PREFIX}oauth_callback", HubOAuthCallbackHandler),
                (rf"{PREFIX}(.*)", Experiments, shared),
            ],
            cookie_secret=os.environ["VIEWER_COOKIE_SECRET"],
        )
        server = HTTPServer(app, max_body_size=LARGEST, xheaders=True)
        server.listen(PORT)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
