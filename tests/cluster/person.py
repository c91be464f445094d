"""Somebody who uses the hub as a browser does: cookies, forms, and kernels over a websocket."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import websocket

TIMEOUT = 30
MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)


def told(answer: requests.Response) -> str:
    """What a page or an API says, on one line."""
    words = MARKUP.sub(" ", answer.text).split()
    return f"{answer.status_code} {answer.url} {' '.join(words)[:300]}"


class NotDone(AssertionError):
    """The hub, or a kernel, answered something else."""


@dataclass
class Person:
    """One browser of one person."""

    base: str
    """``http://host:port``"""
    name: str
    session: requests.Session = field(default_factory=requests.Session)

    # -- the hub ----------------------------------------------------------------------------------

    def log_in(self, password: str) -> requests.Response:
        """By the form; the answer is the page one ends on."""
        self.session.get(f"{self.base}/hub/login", timeout=TIMEOUT)
        form = {"username": self.name, "password": password, "_xsrf": self.xsrf()}
        return self.session.post(f"{self.base}/hub/login", data=form, timeout=TIMEOUT)

    def xsrf(self, path: str = "/hub/") -> str:
        """The token that forms below this path carry."""
        found = [c for c in self.session.cookies if c.name == "_xsrf" and path.startswith(c.path)]
        return max(found, key=lambda c: len(c.path)).value or "" if found else ""

    def page(self, path: str, **words: Any) -> requests.Response:
        return self.session.get(f"{self.base}{path}", timeout=TIMEOUT, **words)

    def api(self, method: str, path: str, **words: Any) -> requests.Response:
        """The hub's API, as its own pages call it."""
        headers = {"X-XSRFToken": self.xsrf(), "Referer": f"{self.base}/hub/home"}
        url = f"{self.base}/hub/api{path}"
        return self.session.request(method, url, headers=headers, timeout=TIMEOUT, **words)

    @property
    def slug(self) -> str:
        """The name in a URL."""
        return quote(self.name.lower(), safe="@~")

    def choices(self) -> str:
        """The page on which one picks a profile."""
        answer = self.page("/hub/spawn")
        assert answer.status_code == 200, told(answer)
        return answer.text

    def pick(self, profile: str, team: str | None = None) -> requests.Response:
        """Send that page's form."""
        form = {"profile": profile, "_xsrf": self.xsrf()}
        if team:
            form[f"profile-option-{profile}--tenant"] = team
        return self.session.post(
            f"{self.base}/hub/spawn",
            data=form,
            params={"_xsrf": self.xsrf()},
            timeout=TIMEOUT,
        )

    def start(self, server: str = "", **options: Any) -> requests.Response:
        """Ask for a server by the API."""
        return self.api("POST", self._server(server), json=options)

    def stop(self, server: str = "") -> requests.Response:
        return self.api("DELETE", self._server(server))

    def _server(self, server: str) -> str:
        own = f"/users/{self.slug}"
        return f"{own}/servers/{quote(server)}" if server else f"{own}/server"

    def servers(self) -> dict[str, dict[str, Any]]:
        """What the hub knows of those that run, start or stop."""
        answer = self.api("GET", f"/users/{self.slug}")
        assert answer.status_code == 200, told(answer)
        return answer.json()["servers"]

    def server(self, server: str = "") -> dict[str, Any] | None:
        """What the hub knows of it."""
        return self.servers().get(server)

    def ready(self, server: str = "", seconds: float = 120) -> dict[str, Any]:
        """Wait until the server is up."""
        ends = time.monotonic() + seconds
        while not ((state := self.server(server)) and state["ready"]):
            if time.monotonic() > ends:
                raise NotDone(f"{self.name}'s server is not ready in {seconds:.0f} s: {state}")
            time.sleep(0.2)
        return state

    def gone(self, server: str = "", seconds: float = 60) -> None:
        """Wait until the server is no more."""
        ends = time.monotonic() + seconds
        while self.server(server) is not None:
            if time.monotonic() > ends:
                raise NotDone(f"{self.name}'s server is not gone in {seconds:.0f} s")
            time.sleep(0.2)

    def end(self) -> None:
        """Stop whatever one has, and wait for it."""
        for server in self.servers():
            self.stop(server)
        for server in self.servers():
            self.gone(server)

    def progress(self, server: str = "") -> Iterator[dict[str, Any]]:
        """What the page says while one waits, until it is over."""
        with self.session.get(
            f"{self.base}/hub/api{self._server(server)}/progress", stream=True, timeout=180
        ) as answer:
            assert answer.status_code == 200, told(answer)
            for line in answer.iter_lines():
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    yield event
                    if event.get("ready") or event.get("failed"):
                        return

    # -- the server -------------------------------------------------------------------------------

    @property
    def home(self) -> str:
        """Path of one's first server."""
        return f"/user/{self.slug}/"

    def enter(self, server: str = "") -> str:
        """Open the server's page once, which logs this browser in there; its path."""
        path = f"{self.home}{quote(server)}/" if server else self.home
        answer = self.page(f"{path}lab")
        assert answer.status_code == 200, told(answer)
        return path

    def jupyter(self, method: str, path: str, api: str, **words: Any) -> requests.Response:
        """The API of one's server, as JupyterLab calls it."""
        headers = {"X-XSRFToken": self.xsrf(path), "Referer": f"{self.base}{path}lab"}
        url = f"{self.base}{path}api/{api}"
        return self.session.request(method, url, headers=headers, timeout=TIMEOUT, **words)

    def write(self, name: str, text: str, server: str = "") -> None:
        """A file into one's home."""
        path = self.enter(server)
        content = {"type": "file", "format": "text", "content": text}
        answer = self.jupyter("PUT", path, f"contents/{name}", json=content)
        assert answer.status_code in (200, 201), told(answer)

    def read(self, name: str, server: str = "") -> str:
        """A file of one's home."""
        answer = self.jupyter("GET", self.enter(server), f"contents/{name}")
        assert answer.status_code == 200, told(answer)
        return answer.json()["content"]

    def run(self, code: str, seconds: float = 120, server: str = "") -> str:
        """What a cell with this code prints in a kernel of its own."""
        kernel = self.kernel(server)
        try:
            return kernel.run(code, seconds)
        finally:
            kernel.end()

    def kernel(self, server: str = "") -> "Kernel":
        """A kernel that lives until one ends it, or nobody uses it."""
        path = self.enter(server)
        answer = self.jupyter("POST", path, "kernels", json={"name": "python3"})
        assert answer.status_code == 201, told(answer)
        return Kernel(self, path, answer.json()["id"])


@dataclass
class Kernel:
    """One of somebody's kernels, as a notebook's tab uses it."""

    person: Person
    path: str
    """Of the server it is in."""
    id: str

    def end(self) -> None:
        self.person.jupyter("DELETE", self.path, f"kernels/{self.id}")

    def run(self, code: str, seconds: float = 120) -> str:
        """What a cell with this code prints."""
        base, path, kernel = self.person.base, self.path, self.id
        host = urlsplit(base).netloc
        cookies = "; ".join(
            f"{c.name}={c.value}" for c in self.person.session.cookies if path.startswith(c.path)
        )
        channel = websocket.create_connection(
            f"ws://{host}{path}api/kernels/{kernel}/channels",
            cookie=cookies,
            origin=base,
            timeout=seconds,
        )
        mark = uuid.uuid4().hex
        header = {
            "msg_id": mark,
            "username": self.person.name,
            "session": mark,
            "msg_type": "execute_request",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "stop_on_error": True}
        channel.send(
            json.dumps(
                {
                    "header": header,
                    "parent_header": {},
                    "metadata": {},
                    "content": content,
                    "channel": "shell",
                }
            )
        )
        # They come on channels of their own, in either order: the reply says whether the cell
        # failed, and all that it printed is before "idle".
        awaited = {"reply", "idle"}
        printed, ends = "", time.monotonic() + seconds
        try:
            while time.monotonic() < ends:
                message = json.loads(channel.recv())
                if message.get("parent_header", {}).get("msg_id") != mark:
                    continue
                content = message["content"]
                if message["msg_type"] == "stream":
                    printed += content["text"]
                elif message["msg_type"] == "execute_reply":
                    if content["status"] != "ok":
                        raise NotDone(
                            f"{content.get('ename')}: {content.get('evalue')}\n"
                            + "\n".join(content.get("traceback") or [])
                            + printed
                        )
                    awaited.discard("reply")
                elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                    awaited.discard("idle")
                if not awaited:
                    return printed
        finally:
            channel.close()
        raise NotDone(f"the cell did not end in {seconds:.0f} s; it printed {printed!r}")
