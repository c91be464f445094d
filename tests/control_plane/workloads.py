"""Objects the tests make, and what they wait for."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rig.control_plane.api import Api
from rig.node.machine import wait_for

SECONDS = 30
UNPRIVILEGED = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
"""Before a command: to itself it is a user with no capability who owns what root owned."""
_numbers = itertools.count()


def namespace(api: Api) -> str:
    """A namespace of the test's own, with the service account that its pods need."""
    name = f"test-{next(_numbers)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    wait_for(lambda: api.get(account), SECONDS, "the service account")
    return name


def template(resources: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": "nowhere.example/nothing:1"}
    container["resources"] = {"requests": resources or {"cpu": "100m"}}
    return {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container], **spec}}


def deployment(pod: dict[str, Any], selector: str = "x") -> dict[str, Any]:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": selector}}, "template": pod}
    return {"metadata": {"name": "x"}, "spec": spec}


def job() -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "spec": {"template": template(restartPolicy="Never")}}


def condition(thing: dict[str, Any] | None, kind: str) -> str | None:
    """Status of one of an object's conditions."""
    conditions = ((thing or {}).get("status") or {}).get("conditions") or []
    return next((c["status"] for c in conditions if c["type"] == kind), None)


def await_condition(api: Api, path: str, kind: str, status: str = "True") -> None:
    def met() -> bool | None:
        return condition(api.get(path), kind) == status or None

    wait_for(met, SECONDS, f"{path} {kind}={status}")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def await_death(pids: Mapping[str, int]) -> None:
    def gone() -> bool | None:
        return not any(alive(pid) for pid in pids.values()) or None

    wait_for(gone, 10, f"the end of {pids}")
