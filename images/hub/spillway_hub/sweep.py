"""Stops the servers of people who may not have them any more: of teams they were taken out of.

Runs beside the hub as its service. Whoever still logs in is checked there; this is for those whose
servers run on while nobody looks at them.
"""

import logging
import os
import time
from typing import Any

import requests
from urllib3.util import Retry

from spillway_hub.login import GROUPS, NAMES
from spillway_hub.told import Told, told

API = "http://127.0.0.1:8081/hub/api"
EVERY = 60
TIMEOUT = 30
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
    answer = session.get(f"{API}/users", params={"state": "active"}, timeout=TIMEOUT)
    answer.raise_for_status()
    for user in answer.json():
        for server in out_of_place(user, known):
            log.info("stopping %s of %s, who is not in that team any more", server, user["name"])
            url = f"{API}/users/{user['name']}/servers/{server}"
            session.delete(url, timeout=TIMEOUT).raise_for_status()


def out_of_place(user: dict[str, Any], known: Told) -> list[str]:
    """Names of servers of this user that run in a team that is not his."""
    state = user.get("auth_state") or {}
    own = known.places(state.get(NAMES) or [user["name"]], state.get(GROUPS) or ())
    return [
        name
        for name, server in (user.get("servers") or {}).items()
        if (server.get("user_options") or {}).get("tenant") not in own
    ]


if __name__ == "__main__":
    main()
