"""Stops the servers of people who may not have them any more: of teams they were taken out of.

Runs beside the hub as its service. Whoever still logs in is checked there; this is for those whose
servers run on while nobody looks at them.
"""

import logging
import os
import time
from typing import Any
from urllib.parse import quote

import requests
from urllib3.util import Retry

from spillway_hub.login import GROUPS, LAPSED, NAMES
from spillway_hub.told import Told, told

API = "http://127.0.0.1:8081/hub/api"
EVERY = 60
TIMEOUT = 30
FORGOTTEN = 3 * 24 * 3600
"""Seconds that servers run on whose owner the provider does not confirm: over a weekend."""
log = logging.getLogger("sweeper")


def main() -> None:
    """Look once a minute."""
    logging.basicConfig(level=logging.INFO, format="sweeper: %(message)s")
    session = requests.Session()
    session.headers["Authorization"] = f"token {os.environ['JUPYTERHUB_API_TOKEN']}"
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(5, backoff_factor=1)))
    while True:
        try:
            sweep(session, told())
        except requests.RequestException as error:
            log.warning("could not ask the hub: %s", error)
        time.sleep(EVERY)


def sweep(session: requests.Session, known: Told) -> None:
    """Stop every server whose team is not among its owner's."""
    for name in _ask(session, "GET", "?state=active"):
        # Only asked for one by one, the hub tells what the provider said of somebody.
        path = f"/{quote(name['name'], safe='')}"
        user = _ask(session, "GET", path)
        for server in out_of_place(user, known):
            log.info("stopping %r of %s, who is not in that team any more", server, user["name"])
            try:
                _ask(session, "DELETE", f"{path}/servers/{quote(server, safe='')}")
            except requests.RequestException as error:
                log.warning("could not stop it: %s", error)


def _ask(session: requests.Session, method: str, path: str) -> Any:
    answer = session.request(method, f"{API}/users{path}", timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def out_of_place(user: dict[str, Any], known: Told, now: float | None = None) -> list[str]:
    """Names of servers of this user that run in a team that is not his."""
    state = user.get("auth_state") or {}
    own = known.places(state.get(NAMES, [user["name"]]), state.get(GROUPS) or ())
    lapsed = state.get(LAPSED)
    if lapsed is not None and (now or time.time()) - lapsed > FORGOTTEN:
        own = []
    return [
        name
        for name, server in (user.get("servers") or {}).items()
        if (server.get("user_options") or {}).get("tenant") not in own
    ]


if __name__ == "__main__":
    main()
