"""Kueue as a process of the host, in the place of the pods that its chart asks for.

What the chart applied stays the source: configuration, rights of its service account, webhooks.
Only what cannot be the same for a process of the host is another: addresses, and who makes
certificates.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rig.control_plane import ControlPlane
from rig.errors import RigError
from rig.kube import items
from rig.node import pki
from rig.simulation import accounts
from rig.simulation.ports import answers, free_port
from rig.simulation.stages import PLAYED, QUEUE_LABEL

NAMESPACE = "kueue-system"
CONFIG_KEY = "controller_manager_config.yaml"
GROUP = "kueue.x-k8s.io"
AUTHORITY = "kueue-ca"
"""The name by which Kueue knows the authority that it would make."""
_LABELS = f"?labelSelector={'%3D'.join(QUEUE_LABEL)}"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_HOOKS = tuple(f"{_ADMISSION}/{kind}webhookconfigurations" for kind in ("mutating", "validating"))
_RIGHTS = (
    {"verb": "list", "group": GROUP, "resource": "workloads"},
    {"verb": "get", "resource": "secrets", "namespace": NAMESPACE},
)
AS_EVER = 10
"""Seconds that deciding and starting a pod may take, however fast the trace goes by."""
_TIMES = ("timeout", "recoveryTimeout")
_SECONDS = ("backoffBaseSeconds", "backoffMaxSeconds")
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What of the chart there is."""

    config: dict[str, Any]
    deployment: dict[str, Any]
    hooks: dict[str, dict[str, Any]]
    """Webhook configurations, by path."""
    definitions: dict[str, dict[str, Any]]
    """Definitions that are converted by a webhook, by path."""

    @property
    def container(self) -> dict[str, Any]:
        """The manager's."""
        return self.deployment["spec"]["template"]["spec"]["containers"][0]

    @property
    def account(self) -> str:
        """As whom the pods would speak to the API server."""
        name = self.deployment["spec"]["template"]["spec"]["serviceAccountName"]
        return accounts.user(NAMESPACE, name)

    @property
    def service(self) -> str:
        """Of the webhooks."""
        return self.deployment["metadata"]["name"].removesuffix("-controller-manager") + (
            "-webhook-service"
        )

    @property
    def gates(self) -> dict[str, bool]:
        """Feature gates: of the command line, or else of the file; Kueue refuses both at once."""
        given = [a for a in self.container.get("args", ()) if a.startswith("--feature-gates=")]
        pairs = [p.split("=") for a in given for p in a.partition("=")[2].split(",") if p]
        return {**self.config.get("featureGates", {}), **{k: v == "true" for k, v in pairs}}


class Queue:
    """Between the chart's objects and the process."""

    def __init__(self, plane: ControlPlane, factor: float = 1) -> None:
        """``factor`` is how much faster than the world the queue's own times go by."""
        self._plane = plane
        self._factor = factor
        self._api = plane.api
        self._ports = {name: free_port() for name in ("webhook", "health", "metrics")}
        self._folder = plane.folder / "pki" / "queue"

    def applied(self) -> Applied | None:
        """All that is needed; None while some of it is missing."""
        configs = self._items(f"/api/v1/namespaces/{NAMESPACE}/configmaps")
        texts = [c["data"][CONFIG_KEY] for c in configs if CONFIG_KEY in c.get("data", {})]
        deployments = self._items(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments{_LABELS}")
        hooks = {
            f"{kind}/{found['metadata']['name']}": found
            for kind in _HOOKS
            for found in self._items(f"{kind}{_LABELS}")
        }
        known = [d for d in self._items(_DEFINITIONS) if d["spec"]["group"] == GROUP]
        converted = [d for d in known if d["spec"]["conversion"]["strategy"] == "Webhook"]
        missing = _defined() - {d["metadata"]["name"] for d in known}
        if missing or not (texts and deployments and len(hooks) >= len(_HOOKS)):
            return None
        applied = Applied(
            config=yaml.safe_load(texts[0]),
            deployment=deployments[0],
            hooks=hooks,
            definitions={f"{_DEFINITIONS}/{d['metadata']['name']}": d for d in converted},
        )
        return applied if all(self._may(applied.account, right) for right in _RIGHTS) else None

    def prepare(self, applied: Applied, program: Path) -> list[str]:
        """Point the cluster at the process; return its command line."""
        self._certify(applied)
        for path, found in applied.hooks.items():
            for hook in found["webhooks"]:
                hook["clientConfig"] = self._client(_path(hook["clientConfig"]))
            self._api.merge(path, {"webhooks": found["webhooks"]})
        for path, found in applied.definitions.items():
            webhook = found["spec"]["conversion"]["webhook"]
            client = self._client(_path(webhook["clientConfig"]))
            change = {"webhook": {"clientConfig": {"service": None, **client}}}
            self._api.merge(path, {"spec": {"conversion": change}})
        config = self._folder / "config.yaml"
        config.write_text(yaml.safe_dump(self._config(applied)))
        kubeconfig = accounts.kubeconfig(self._plane, "queue-manager", applied.account)
        verbose = [a for a in applied.container.get("args", ()) if a.startswith("--zap-")]
        return [str(program), f"--config={config}", f"--kubeconfig={kubeconfig}", *verbose]

    def admits(self) -> bool | None:
        """True once it is ready and an object of its own passes its webhooks."""
        if not answers(f"http://127.0.0.1:{self._ports['health']}/readyz"):
            return None
        flavor = {
            "apiVersion": f"{GROUP}/v1beta2",
            "kind": "ResourceFlavor",
            "metadata": {"generateName": "is-it-there-"},
            "spec": {},
        }
        try:
            self._api.create(f"/apis/{GROUP}/v1beta2/resourceflavors?dryRun=All", flavor)
        except RigError:
            return None
        return True

    def tell_ready(self) -> None:
        """Let the pods that the process stands for become Ready."""
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        change = {"metadata": {"annotations": {PLAYED: "true"}}}
        for pod in self._items(f"{pods}{_LABELS}"):
            self._api.merge(f"{pods}/{pod['metadata']['name']}", change)

    def _may(self, account: str, right: dict[str, str]) -> bool:
        """Whether the chart's bindings are there, of the cluster and of the namespace."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": account, "resourceAttributes": right},
        }
        answer = self._api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return answer["status"]["allowed"]

    def _items(self, path: str) -> list[dict[str, Any]]:
        return items(self._api.get(path))

    def _config(self, applied: Applied) -> dict[str, Any]:
        """The chart's, with what a process of the host cannot have as in a pod."""
        ours = {
            "namespace": NAMESPACE,
            "health": {"healthProbeBindAddress": self._address("health")},
            "metrics": {
                **applied.config.get("metrics", {}),
                "bindAddress": self._address("metrics"),
            },
            "webhook": {
                "host": "127.0.0.1",
                "port": self._ports["webhook"],
                "certDir": str(self._folder),
            },
            "leaderElection": {"leaderElect": False},
            # It finds the certificates that it would make; without, it wants some below /etc.
            "internalCertManagement": {
                "enable": True,
                "webhookServiceName": applied.service,
                "webhookSecretName": _secret(applied),
            },
            # A server of its own, at a port of its own, for an API that is left out.
            "featureGates": {**applied.gates, "VisibilityOnDemand": False},
        }
        return {**faster(applied.config, self._factor), **ours}

    def _certify(self, applied: Applied) -> None:
        """Certificates in a folder for the process, and in the Secret where it looks for them."""
        names = [f"{applied.service}.{NAMESPACE}.svc", "127.0.0.1"]
        pki.issue(
            self._folder, {}, {"tls": (applied.service, names)}, authority=AUTHORITY, pkcs1=True
        )
        files = ("ca.crt", "ca.key", "tls.crt", "tls.key")
        data = {name: _encoded(self._folder / name) for name in files}
        secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets"
        secret = _secret(applied)
        if self._api.get(f"{secrets}/{secret}") is None:
            self._api.create(secrets, {"metadata": {"name": secret}, "data": data})
        else:
            self._api.merge(f"{secrets}/{secret}", {"data": data})

    def _client(self, path: str) -> dict[str, str]:
        url = f"https://{self._address('webhook')}{path}"
        return {"url": url, "caBundle": _encoded(self._folder / "ca.crt")}

    def _address(self, name: str) -> str:
        return f"127.0.0.1:{self._ports[name]}"


def faster(config: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Kueue's configuration with its times divided: until pods must be ready, until the next try.

    Else work that finds no machine would hold its place for a day of the trace.
    """
    waits: dict[str, Any] = config.get("waitForPodsReady") or {}
    again: dict[str, Any] = waits.get("requeuingStrategy") or {}
    if factor == 1 or not waits:
        return dict(config)
    shorter = {key: _divided(waits[key], factor) for key in _TIMES if key in waits}
    seconds = {key: max(1, round(again[key] / factor)) for key in _SECONDS if key in again}
    changed = {**waits, **shorter, "requeuingStrategy": {**again, **seconds}}
    return {**config, "waitForPodsReady": changed}


def _divided(duration: str, factor: float) -> str:
    return f"{float(duration.removesuffix('s')) / factor + AS_EVER:g}s"


def _defined() -> set[str]:
    """Names of all of Kueue's definitions."""
    from infra.queues import DEFINITIONS  # noqa: PLC0415 - the SDK takes a second to import

    return {f"{kind}.{GROUP}" for kind in DEFINITIONS}


def _secret(applied: Applied) -> str:
    return applied.service.removesuffix("-service") + "-server-cert"


def _path(client: dict[str, Any]) -> str:
    """Of a webhook: as in the chart, or as it was pointed here before."""
    if service := client.get("service"):
        return service["path"]
    return "/" + client["url"].split("/", 3)[3]


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
