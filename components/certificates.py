"""cert-manager: certificates that are made and renewed in the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import charts, network
from components.labels import AT_ONCE, labels
from components.namespace import FencedNamespace, FencedNamespaceArgs

APP = "cert-manager"
NAMESPACE = "cert-manager"
WEBHOOK_PORT = 10250
PARTS = ("controller", "webhook", "cainjector")
HTTPS: network.Egress = {
    "to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": [network.LINK_LOCAL]}}],
    "ports": [{"protocol": "TCP", "port": port} for port in (80, 443)],
}
"""To an ACME server, and to what it checks, both anywhere."""


@dataclass(frozen=True, kw_only=True)
class CertManagerArgs:
    """Where its manifests and images are from."""

    chart: Path
    """Folder of its official chart."""
    images: Mapping[str, pulumi.Input[str]]
    """Repository and tag of each of ``PARTS``."""
    pull_policy: str
    api_server: network.Egress
    nodes: str | None = None
    """CIDR of the machines that the API server calls webhooks from."""
    acme: bool = False
    """Whether it may call the world."""
    namespace: str = NAMESPACE
    protect: bool = True


class CertManager(pulumi.ComponentResource):
    """Makes Secrets with certificates for what asks for them, and renews them in time."""

    def __init__(
        self, name: str, args: CertManagerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:CertManager", name, None, opts)
        self._name, self._args = name, args
        child = pulumi.ResourceOptions(parent=self)
        fenced = FencedNamespace(
            name, FencedNamespaceArgs(namespace=args.namespace, protect=args.protect), child
        )
        self._namespace = fenced.namespace
        fence = self._fence()
        self._ready = charts.render(
            f"{name}-release",
            release="cert-manager",
            folder=args.chart,
            namespace=self._namespace,
            values=self._values(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[fenced, fence]),
        )
        self.register_outputs({})

    @property
    def ready(self) -> pulumi.Resource:
        """What certificates depend on: definitions and webhook are up."""
        return self._ready

    def _values(self) -> dict[str, Any]:
        args = self._args
        pulled = {"pullPolicy": args.pull_policy}

        def part(name: str) -> dict[str, Any]:
            image = pulumi.Output.from_input(args.images[name]).apply(_reference)
            return {
                "image": {**pulled, "repository": image[0], "tag": image[1]},
                "serviceAnnotations": AT_ONCE,
            }

        return {
            # They stay when the rest goes: without them every certificate is gone.
            "crds": {"enabled": True, "keep": True},
            "global": {"leaderElection": {"namespace": args.namespace}},
            **part("controller"),
            "webhook": part("webhook"),
            "cainjector": part("cainjector"),
            # Runs once after an installation by helm, to ask whether that went well.
            "startupapicheck": {"enabled": False},
            "serviceAccount": {"create": True},
        }

    def _fence(self) -> k8s.networking.v1.NetworkPolicy:
        args = self._args
        return network.policy(
            f"{self._name}-traffic",
            namespace=self._namespace,
            marks=labels(APP, self._name, "fence"),
            pods={},
            incoming=[charts.from_api_server(args.nodes, WEBHOOK_PORT)],
            outgoing=[args.api_server, *([HTTPS] if args.acme else [])],
            opts=pulumi.ResourceOptions(parent=self),
        )


def _reference(image: str) -> tuple[str, str]:
    repository, _, tag = image.rpartition(":")
    return repository, tag
