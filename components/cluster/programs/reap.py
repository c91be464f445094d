# pyright: basic
"""Deletes nodes of the cloud whose machines are gone: nobody else does.

The autoscaler ends machines and leaves their nodes behind, which hold pods of DaemonSets, keep
volumes, and count as broken. Runs every few minutes in a pod, with nothing but Python's own
library. A node that is Ready again in the instant before stays.
"""

import argparse
import datetime
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
NOT_FOUND, CONFLICT = 404, 409
TIMEOUT = 30


class Api:
    """The API server, as the pod's own account."""

    def __init__(self, server: str, token_file: str, ca_file: str) -> None:
        self._server = server
        self._token = Path(token_file).read_text(encoding="utf-8").strip()
        self._tls = ssl.create_default_context(cafile=ca_file)

    def call(self, method: str, path: str, body: object = None) -> dict:
        """The answer; ``urllib.error.HTTPError`` for any refusal."""
        request = urllib.request.Request(  # noqa: S310 - https, by the arguments
            self._server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=self._tls) as answer:  # noqa: S310
            return json.load(answer)


def silent_for(node: dict, now: datetime.datetime) -> float:
    """Seconds since the node was Ready, or was made; 0 while it is Ready."""
    conditions = node.get("status", {}).get("conditions") or []
    ready = next((c for c in conditions if c["type"] == "Ready"), None)
    if ready and ready["status"] == "True":
        return 0
    since = (ready or {}).get("lastTransitionTime") or node["metadata"]["creationTimestamp"]
    return (now - datetime.datetime.fromisoformat(since)).total_seconds()


def reap(api: Api, selector: str, seconds: float) -> int:
    """Delete those that were silent for longer; the number of them."""
    nodes = api.call("GET", f"/api/v1/nodes?labelSelector={selector}")["items"]
    now = datetime.datetime.now(datetime.UTC)
    deleted = 0
    for node in nodes:
        silent = silent_for(node, now)
        if silent <= seconds:
            continue
        meta = node["metadata"]
        # As it was when it was looked at: its next sign of life is another version.
        same = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        try:
            api.call("DELETE", f"/api/v1/nodes/{meta['name']}", {"preconditions": same})
        except urllib.error.HTTPError as error:
            if error.code not in (NOT_FOUND, CONFLICT):
                raise
            print(f"{meta['name']} has changed: left alone")
            continue
        deleted += 1
        print(f"{meta['name']} deleted: not Ready for {silent / 60:.0f} minutes")
    print(f"{len(nodes)} nodes of the cloud, {deleted} deleted")
    return deleted


def main() -> None:
    """Look once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--selector", required=True, help="label selector, encoded for a URL")
    parser.add_argument("--seconds", type=float, required=True, help="without a sign of life")
    parser.add_argument("--server", default=None, help="of the API; in a pod it is known")
    parser.add_argument("--token-file", default=f"{MOUNT}/token")
    parser.add_argument("--ca-file", default=f"{MOUNT}/ca.crt")
    asked = parser.parse_args()
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{what}", "") for what in ("HOST", "PORT"))
    server = asked.server or f"https://{host}:{port}"
    try:
        reap(Api(server, asked.token_file, asked.ca_file), asked.selector, asked.seconds)
    except urllib.error.HTTPError as error:
        sys.exit(f"the API server refused: {error.code} {error.read().decode()[:500]}")


if __name__ == "__main__":
    main()
