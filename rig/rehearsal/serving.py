"""Stand-ins for the operators of models, where no pod does anything.

What they say in a real cluster, so that the engine's waits for it end: cert-manager puts its
authority into webhooks, and Seldon's operator says which versions of a model answer.
"""

import base64
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from components.door.called import INJECTED
from rig.control_plane.api import Api
from rig.errors import RigError

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
MODELS = "/apis/machinelearning.seldon.io/v1/seldondeployments"
AUTHORITY = base64.b64encode(b"of a rehearsal, signs nothing").decode()
SECONDS = 1.0
"""Between two looks: operators are told of changes, and take longer to act on them."""


class Operators:
    """They look and say, in the background, while the ``with`` block runs."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Operators":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended.wait(SECONDS):
            # What went away meanwhile, or is just being written, is for the next look.
            with suppress(OSError, HTTPException, RigError):
                for path, change in (*self._webhooks(), *self._models()):
                    self._api.merge(path, change)

    def _webhooks(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for found in self._found(WEBHOOKS):
            hooks = found.get("webhooks", [])
            asked = INJECTED in found["metadata"].get("annotations", {})
            if asked and not all(hook["clientConfig"].get("caBundle") for hook in hooks):
                for hook in hooks:
                    hook["clientConfig"]["caBundle"] = AUTHORITY
                yield f"{WEBHOOKS}/{found['metadata']['name']}", {"webhooks": hooks}

    def _models(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for found in self._found(MODELS):
            said = status(found)
            if found.get("status", {}).get("deploymentStatus") != said["deploymentStatus"]:
                meta = found["metadata"]
                group, kind = MODELS.rsplit("/", 1)
                path = f"{group}/namespaces/{meta['namespace']}/{kind}/{meta['name']}/status"
                # A version that is gone is taken out; merging alone would keep it.
                gone = found.get("status", {}).get("deploymentStatus", {}).keys()
                said["deploymentStatus"] = {**dict.fromkeys(gone), **said["deploymentStatus"]}
                yield path, {"status": said}

    def _found(self, path: str) -> list[dict[str, Any]]:
        return (self._api.get(path) or {}).get("items", [])


def status(model: dict[str, Any]) -> dict[str, Any]:
    """That every server of every version answers."""
    name = model["spec"]["name"]
    servers = {
        f"{name}-{predictor['name']}-{at}-{part['metadata']['name']}": predictor.get("replicas", 1)
        for predictor in model["spec"]["predictors"]
        for at, part in enumerate(predictor["componentSpecs"])
    }
    return {
        "state": "Available",
        "deploymentStatus": {
            server: {"replicas": count, "availableReplicas": count}
            for server, count in servers.items()
        },
    }
