"""Why models do not answer, in their pods' own words: the engine only sees that it waits."""

import json
from collections.abc import Iterator
from typing import Any

from rig.errors import RigError
from rig.node.addons import Cluster

CHOSEN = "spillway.dev/role=model"
LONGEST = 300
"""Characters of what a container said at its end."""


def of_models(cluster: Cluster) -> list[str]:
    """A line for each container that keeps a model from answering; none if nobody can be asked."""
    words = ("get", "pods", "--all-namespaces", "-l", CHOSEN, "-o", "json")
    try:
        found = cluster.run(*words)
    except RigError:
        return []
    return unready(json.loads(found)["items"])


def unready(pods: list[dict[str, Any]]) -> list[str]:
    """What their containers say that wait or have failed."""
    return [line for pod in pods for line in _lines(pod)]


def _lines(pod: dict[str, Any]) -> Iterator[str]:
    status, meta = pod.get("status", {}), pod["metadata"]
    if "deletionTimestamp" in meta:
        return
    where = f"{meta['namespace']}/{meta['name']}"
    unscheduled = [
        condition["message"]
        for condition in status.get("conditions", ())
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    for message in unscheduled:
        yield f"{where}: {message}"
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind, ()):
            if reason := _reason(container):
                yield f"{where}, {container['name']}: {reason}"


def _reason(container: dict[str, Any]) -> str:
    """Its last end, which says more than that it waits for the next try."""
    ends = (container.get(state, {}).get("terminated") for state in ("lastState", "state"))
    failed = [end for end in ends if end and end.get("exitCode")]
    if failed:
        end = failed[-1]
        text = end.get("message") or end.get("reason") or ""
        said = text.strip().splitlines()[-1:] or [f"exit code {end['exitCode']}"]
        return said[0][:LONGEST]
    waiting = container.get("state", {}).get("waiting") or {}
    # A server waits so for what fetches its model, which has a line of its own.
    if waiting.get("reason") in {None, "PodInitializing"}:
        return ""
    return " ".join(filter(None, (waiting["reason"], waiting.get("message"))))[:LONGEST]
