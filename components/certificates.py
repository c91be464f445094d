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
SOLVER = "acmesolver"
"""What answers an ACME server: a pod for each question, made by the controller."""
CONTROLLER = {"app.kubernetes.io/name": "cert-manager", "app.kubernetes.io/component": "controller"}
HTTP = 80


@dataclass(frozen=True, kw_only=True)
class AcmeTraffic:
    """Whom cert-manager calls when an ACME server signs."""

    port: int
    """Of the server, which may be anywhere."""
    door: network.Egress
    """The rule to reach the pods that answer plain HTTP: it looks for its own answer before it lets
    the server look, and a load balancer's address may lead to the pods without leaving."""


@dataclass(frozen=True, kw_only=True)
class CertManagerArgs:
    """Where its manifests and images are from."""

    chart: Path
    """Folder of its official chart."""
    images: Mapping[str, pulumi.Input[str]]
    """Repository and tag of each of ``PARTS``, and of the ``SOLVER``."""
    pull_policy: str
    api_server: network.Egress
    nodes: str | None = None
    """CIDR of the machines that the API server calls webhooks from."""
    acme: AcmeTraffic | None = None
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
        if args.acme:
            self._let_out(args.acme)
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

        def image(name: str) -> dict[str, Any]:
            found = pulumi.Output.from_input(args.images[name]).apply(_reference)
            return {**pulled, "repository": found[0], "tag": found[1]}

        def part(name: str) -> dict[str, Any]:
            return {"image": image(name), "serviceAnnotations": AT_ONCE}

        return {
            # They stay when the rest goes: without them every certificate is gone.
            "crds": {"enabled": True, "keep": True},
            "global": {"leaderElection": {"namespace": args.namespace}},
            **part("controller"),
            "webhook": part("webhook"),
            "cainjector": part("cainjector"),
            SOLVER: {"image": image(SOLVER)},
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
            outgoing=[args.api_server],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _let_out(self, acme: AcmeTraffic) -> None:
        world: network.Egress = {
            "to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": [network.LINK_LOCAL]}}],
            "ports": [{"protocol": "TCP", "port": port} for port in (HTTP, acme.port)],
        }
        network.policy(
            f"{self._name}-acme",
            namespace=self._namespace,
            marks=labels(APP, self._name, "fence"),
            pods=CONTROLLER,
            outgoing=[world, acme.door],
            opts=pulumi.ResourceOptions(parent=self),
        )


def _reference(image: str) -> tuple[str, str]:
    repository, _, tag = image.rpartition(":")
    return repository, tag
