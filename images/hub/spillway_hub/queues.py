"""Asks Kueue about a team's work: one call for a server that waits, and one a team for all of them.

The hub may do so in tenants' namespaces where the stack has a queue (components/tenant_roles.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from spillway_hub.profiles import in_bytes
from spillway_hub.waiting import GPU

GROUP, VERSION = "kueue.x-k8s.io", "v1beta2"
LOCAL_QUEUE = "default"
FRESH = 5.0
"""Seconds for which all servers share one answer about who uses what."""
PATIENCE = 5
"""Seconds for one answer."""


class Queues:
    """All teams' queues, as one hub asks about them."""

    def __init__(self) -> None:
        self._used: Mapping[str, Mapping[str, int]] = {}
        self._asked = float("-inf")

    async def workloads(self, api: Any, namespace: str) -> Sequence[Mapping[str, Any]]:
        """Everything that waits or runs there; what a cache of the API server has will do."""
        found = await api.list_namespaced_custom_object(
            GROUP, VERSION, namespace, "workloads", resource_version="0", _request_timeout=PATIENCE
        )
        return found["items"]

    async def used(self, api: Any, namespaces: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        """GPUs in use, by namespace and pool."""
        if time.monotonic() - self._asked > FRESH:
            answers = await asyncio.gather(*(self._of(api, name) for name in namespaces))
            self._used = dict(zip(namespaces, answers, strict=True))
            self._asked = time.monotonic()
        return self._used

    async def _of(self, api: Any, namespace: str) -> Mapping[str, int]:
        queue = await api.get_namespaced_custom_object(
            GROUP, VERSION, namespace, "localqueues", LOCAL_QUEUE, _request_timeout=PATIENCE
        )
        flavors = (queue.get("status") or {}).get("flavorsReservation") or ()
        return {
            flavor["name"]: in_bytes(str(resource.get("total", 0)))
            for flavor in flavors
            for resource in flavor["resources"]
            if resource["name"] == GPU
        }
