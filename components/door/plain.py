"""Plain HTTP: every name leads to HTTPS, and its own authority may look for an answer there.

An ACME server looks for it at a path of the name, while cert-manager lets a pod of its own answer
(RFC 8555, section 8.3). The Ingress that cert-manager makes for each of them is nobody's business:
the way is made here, once for each name, and leads to nothing while there is no such pod.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import network
from components.door.routes import NETWORKING
from components.labels import AT_ONCE, labels, metadata

APP = "front-door"
TITLE = "plain"
HTTP, HTTP_POD = 80, 8080
"""Of the Service and of its pods: above 1024, so that nobody needs to be root."""
CHALLENGES = "/.well-known/acme-challenge/"
SOLVERS = {"acme.cert-manager.io/http01-solver": "true"}
"""Labels of the pods that answer."""
ANSWERS: network.Peer = {"pod_selector": {"match_labels": SOLVERS}}
"""Those pods, which are in the gateway's namespace."""
SOLVER_PORT = 8089
"""https://github.com/cert-manager/cert-manager/blob/v1.21.2/pkg/issuer/acme/http/http.go#L34"""


@dataclass(frozen=True, kw_only=True)
class PlainHttpArgs:
    """Of which names, and where HTTPS is."""

    namespace: pulumi.Input[str]
    """The gateway's; nobody else's routes count for plain HTTP."""
    chosen: dict[str, str]
    """Labels of the gateway's pods."""
    hosts: Sequence[str]
    https_port: int | None = None
    """Of the machines; without one it is HTTPS's own."""
    challenges: bool = False
    """Whether an ACME server asks."""
    ready: Sequence[pulumi.Resource] = ()
    """What knows these kinds of objects, and serves them."""


class PlainHttp(pulumi.ComponentResource):
    """Nothing is to be had in plain HTTP, but who comes by it finds the way."""

    def __init__(
        self, name: str, args: PlainHttpArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:PlainHttp", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        if args.challenges:
            self._fence()
        gateway = self._gateway()
        for host in args.hosts:
            self._routes(host, gateway)
        self.register_outputs({})

    def _fence(self) -> None:
        """Only the gateway calls those pods, and they call nobody."""
        args = self._args
        gateways: network.Peer = {"pod_selector": {"match_labels": args.chosen}}
        network.policy(
            f"{self._name}-answers",
            namespace=args.namespace,
            marks=labels(APP, self._name, "fence"),
            pods=SOLVERS,
            incoming=[network.ingress([gateways], SOLVER_PORT)],
            opts=self._child,
        )

    def _gateway(self) -> k8s.apiextensions.CustomResource:
        args = self._args
        return k8s.apiextensions.CustomResource(
            f"{self._name}-gateway",
            api_version=NETWORKING,
            kind="Gateway",
            # Routes name it.
            metadata=metadata(args.namespace, labels(APP, self._name, "gateway"), TITLE),
            spec={
                "selector": args.chosen,
                "servers": [
                    {
                        "port": {"number": HTTP, "name": "http", "protocol": "HTTP"},
                        # Of routes in this namespace, so that no tenant answers for a name.
                        "hosts": [f"./{host}" for host in args.hosts],
                    }
                ],
            },
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=list(args.ready), delete_before_replace=True
            ),
        )

    def _routes(self, host: str, gateway: pulumi.Resource) -> None:
        name = f"{self._name}-{host.partition('.')[0]}"
        redirect: dict[str, Any] = {"scheme": "https", "redirectCode": 301}
        if self._args.https_port:
            redirect["port"] = self._args.https_port
        k8s.apiextensions.CustomResource(
            name,
            api_version=NETWORKING,
            kind="VirtualService",
            metadata=metadata(self._args.namespace, labels(APP, name, "route")),
            spec={
                "hosts": [host],
                "gateways": [TITLE],
                "http": [
                    *([self._to_answers(name, host)] if self._args.challenges else []),
                    {"redirect": redirect},
                ],
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
        )

    def _to_answers(self, name: str, host: str) -> dict[str, Any]:
        namespace = self._args.namespace
        service = k8s.core.v1.Service(
            f"{name}-answers",
            metadata={
                **metadata(namespace, labels(APP, name, "answers")),
                "annotations": AT_ONCE,
            },
            spec={
                "selector": {**SOLVERS, "acme.cert-manager.io/http-domain": _label(host)},
                "ports": [{"name": "http", "port": SOLVER_PORT, "target_port": SOLVER_PORT}],
            },
            opts=self._child,
        )
        address = pulumi.Output.concat(service.metadata.name, ".", namespace, ".svc.cluster.local")
        return {
            "match": [{"uri": {"prefix": CHALLENGES}, "method": {"exact": "GET"}}],
            "route": [{"destination": {"host": address, "port": {"number": SOLVER_PORT}}}],
        }


def _label(host: str) -> str:
    """By which cert-manager knows pods that answer for a name.

    https://github.com/cert-manager/cert-manager/blob/v1.21.2/pkg/issuer/acme/http/pod.go#L36
    """
    return str(zlib.adler32(host.encode()))
