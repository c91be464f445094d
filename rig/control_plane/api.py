"""The API server by HTTPS, as its administrator: for set-up and tests; programs use kubectl."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from rig.errors import RigError

NOT_FOUND = 404


class Api:
    """Requests to one API server; ``stem`` is the certificate and key without their suffixes."""

    def __init__(self, port: int, stem: Path) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=stem.with_name("ca.crt"))
        self._context.load_cert_chain(stem.with_suffix(".crt"), stem.with_suffix(".key"))

    def get(self, path: str) -> Any:
        """What is there; None when it is not. Raises OSError when nobody answers."""
        return self._request("GET", path, None)

    def only(self, path: str) -> Any:
        """The one object of the collection ``path``; an error where there are others or none."""
        found = self.get(path)["items"]
        if len(found) != 1:
            raise RigError(f"{len(found)} objects at {path}, not one")
        return found[0]

    def create(self, path: str, document: dict[str, Any]) -> Any:
        """Make an object in the collection ``path``."""
        return self._request("POST", path, document)

    def merge(self, path: str, document: dict[str, Any]) -> Any:
        """Change an object's fields."""
        return self._request("PATCH", path, document)

    def delete(self, path: str) -> Any:
        """Delete an object."""
        return self._request("DELETE", path, None)

    def ready(self) -> bool | None:
        """True once the server's own readiness check succeeds; None before."""
        try:
            return True if self.get("/readyz") is not None else None
        except (OSError, http.client.HTTPException, RigError):
            return None

    def _request(self, method: str, path: str, document: dict[str, Any] | None) -> Any:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=30, context=self._context
        )
        try:
            body = None if document is None else json.dumps(document)
            kind = "merge-patch+json" if method == "PATCH" else "json"
            connection.request(method, path, body, {"Content-Type": f"application/{kind}"})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if method == "GET" and response.status == NOT_FOUND:
            return None
        json_type = response.getheader("Content-Type", "").startswith("application/json")
        answer = json.loads(text) if json_type else text
        if response.status >= http.client.BAD_REQUEST:
            reason = answer.get("message", text) if isinstance(answer, dict) else text
            raise RigError(f"{method} {path}: {reason}")
        return answer
