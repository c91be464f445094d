"""The gateway: pods that everything from outside goes through, and what they listen to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import charts, network
from components.door.issuers import Acme, Certificates, CertificatesArgs, Signer
from components.door.plain import (
    ANSWERS,
    HTTP,
    HTTP_POD,
    SOLVER_PORT,
    PlainHttp,
    PlainHttpArgs,
)
from components.door.routes import NETWORKING, Route, virtual_service
from components.labels import AT_ONCE, labels, metadata
from components.namespace import FencedNamespace, FencedNamespaceArgs

APP = "front-door"
NAMESPACE = "front-door"
RELEASE = "istio-ingressgateway"
"""The chart makes the label ``istio: ingressgateway`` of it, by which Istio's own examples go."""
CHOSEN = {"istio": "ingressgateway"}
TITLE = "front-door"
HTTPS = 443
HTTPS_POD = 8443
STATISTICS = 15090
"""Port of the pods where Envoy says what it counted, at /stats/prometheus."""
UID = 1337
"""Of Istio's proxy."""
ADDRESS = {"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0]}"}
"""The annotation of a load balancer's Service: nothing is worth waiting for but its address."""
COUNTED = r"cluster\.outbound\|.*\.upstream_rq_(time|[1-5]xx)"
"""What is counted beyond Istio's own: for each server, so also for each version of a model."""


@dataclass(frozen=True, kw_only=True)
class FrontDoorArgs:
    """Which names, to whom, and signed by whom."""

    chart: Path
    """Folder of the official chart of gateways."""
    routes: Sequence[Route]
    """Names of the platform."""
    models: str
    """The name of all models, whose routes others make."""
    signer: Signer
    control_plane: network.Egress
    """The rule to reach the mesh's control plane."""
    revision: str
    """Which control plane tells the pods what to do; with another one they are made anew, one by
    one."""
    ready: Sequence[pulumi.Resource]
    """Mesh and certificates, which must be up."""
    pull_policy: str
    replicas: int = 2
    servers: Sequence[network.Egress] = ()
    """Rules to reach models' pods."""
    meters: Sequence[network.Peer] = ()
    """Pods that read what the gateway counted."""
    node_ports: tuple[int, int] | None = None
    """For HTTP and HTTPS, on every node; without them a load balancer is asked for."""
    namespace: str = NAMESPACE
    protect: bool = True


class FrontDoor(pulumi.ComponentResource):
    """One gateway for all names: TLS, and plain HTTP only to say so."""

    certificate: str
    """The Secret with its certificate, and with that of the authority, if it has one."""
    namespace: pulumi.Output[str]

    def __init__(
        self, name: str, args: FrontDoorArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:FrontDoor", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        fenced = FencedNamespace(
            name, FencedNamespaceArgs(namespace=args.namespace, protect=args.protect), self._child
        )
        self.namespace = fenced.namespace
        certificates = Certificates(
            name,
            CertificatesArgs(
                namespace=self.namespace,
                hosts=self._hosts,
                signer=args.signer,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.ready)),
        )
        self.certificate = certificates.secret
        fence = self._fence()
        pods = charts.render(
            f"{name}-release",
            release=RELEASE,
            folder=args.chart,
            namespace=self.namespace,
            values=self._values(),
            # The control plane fills in the image when the pod is made.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.ready, fence]),
        )
        self._plain_http(pods)
        gateway = self._gateway(pods)
        for route in args.routes:
            virtual_service(
                f"{name}-{route.host.partition('.')[0]}",
                route,
                f"{args.namespace}/{TITLE}",
                pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
            )
        self.register_outputs({"certificate": self.certificate, "namespace": self.namespace})

    @property
    def _hosts(self) -> list[str]:
        return [*(route.host for route in self._args.routes), self._args.models]

    @property
    def _asked(self) -> bool:
        """Whether an ACME server looks for answers here."""
        return isinstance(self._args.signer, Acme)

    def _values(self) -> dict[str, Any]:
        args = self._args
        ports: list[dict[str, Any]] = [
            {"name": "http", "port": HTTP, "protocol": "TCP", "targetPort": HTTP_POD},
            {"name": "https", "port": HTTPS, "protocol": "TCP", "targetPort": HTTPS_POD},
        ]
        if args.node_ports:
            for port, number in zip(ports, args.node_ports, strict=True):
                port["nodePort"] = number
        return {
            "revision": args.revision,
            "replicaCount": args.replicas,
            "autoscaling": {"enabled": False},
            "podDisruptionBudget": {"maxUnavailable": 1},
            "podAnnotations": {"sidecar.istio.io/statsInclusionRegexps": COUNTED},
            "imagePullPolicy": args.pull_policy,
            "service": {
                "type": "NodePort" if args.node_ports else "LoadBalancer",
                "annotations": AT_ONCE if args.node_ports else ADDRESS,
                "ports": ports,
            },
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": UID,
                "runAsGroup": UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "resources": {
                "requests": {"cpu": "100m", "memory": "128Mi"},
                "limits": {"memory": "512Mi"},
            },
        }

    def _fence(self) -> k8s.networking.v1.NetworkPolicy:
        args = self._args
        return network.policy(
            f"{self._name}-traffic",
            namespace=self.namespace,
            marks=labels(APP, self._name, "fence"),
            pods=CHOSEN,
            incoming=[
                {"ports": [{"protocol": "TCP", "port": port} for port in (HTTP_POD, HTTPS_POD)]},
                *([network.ingress(args.meters, STATISTICS)] if args.meters else []),
            ],
            outgoing=[
                args.control_plane,
                *(network.egress([route.pods], route.target_port) for route in args.routes),
                *args.servers,
                *([network.egress([ANSWERS], SOLVER_PORT)] if self._asked else []),
            ],
            opts=self._child,
        )

    def _plain_http(self, pods: pulumi.Resource) -> None:
        args = self._args
        PlainHttp(
            f"{self._name}-plain",
            PlainHttpArgs(
                namespace=self.namespace,
                chosen=CHOSEN,
                hosts=self._hosts,
                https_port=args.node_ports[1] if args.node_ports else None,
                challenges=self._asked,
                ready=[pods, *args.ready],
            ),
            self._child,
        )

    def _gateway(self, pods: pulumi.Resource) -> k8s.apiextensions.CustomResource:
        args = self._args
        # A name's routes count only where its Service is: no tenant can take the hub's.
        own = [pulumi.Output.concat(route.namespace, "/", route.host) for route in args.routes]
        # Models are in tenants' namespaces, where the serving operator writes their routes.
        hosts = [*own, f"*/{args.models}"]
        return k8s.apiextensions.CustomResource(
            f"{self._name}-gateway",
            api_version=NETWORKING,
            kind="Gateway",
            metadata=metadata(self.namespace, labels(APP, self._name, "gateway"), TITLE),
            spec={
                "selector": CHOSEN,
                "servers": [
                    {
                        "port": {"number": HTTPS, "name": "https", "protocol": "HTTPS"},
                        "hosts": hosts,
                        "tls": {
                            "mode": "SIMPLE",
                            "credentialName": self.certificate,
                            "minProtocolVersion": "TLSV1_2",
                        },
                    },
                ],
            },
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[pods, *args.ready], delete_before_replace=True
            ),
        )


def gateway_pods() -> network.Peer:
    """The pods of the front door."""
    return network.pods_in(NAMESPACE, CHOSEN)
