"""Who may call which model: accounts of the tenant whose it is, with a token made for models.

A token is one that the cluster signs for a service account, for the audience that the name of the
models is: ``kubectl create token job -n vision --audience models.example.com``. Everything else on
that name is refused, and other names are left as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.door.plain import CHALLENGES, HTTP_POD
from components.labels import labels, metadata

APP = "front-door"
SECURITY = "security.istio.io/v1"
FILTER = "networking.istio.io/v1alpha3"
EXTENSIONS = "type.googleapis.com/envoy.extensions.filters.http"
ISSUER_KEYS = "https://kubernetes.default.svc/openid/v1/jwks"
DISCOVERY = "system:service-account-issuer-discovery"
BODY_BYTES = 10 * 2**20
"""Of a request to a model: reading 12 MB of JSON keeps a server busy for seconds."""
METHODS = ["GET", "POST"]
GRPC = [
    f"/inference.GRPCInferenceService/{call}"
    for call in ("ModelReady", "ModelMetadata", "ModelInfer", "ModelStreamInfer")
]
"""The V2 inference protocol; of which model, the headers ``namespace`` and ``seldon`` say. What
else the service has is for who runs the server: to unload its model, for one."""


@dataclass(frozen=True, kw_only=True)
class Open:
    """A model that anybody may call."""

    tenant: str
    model: str
    path: str
    """Where it is, behind the host."""


@dataclass(frozen=True, kw_only=True)
class ModelAccessArgs:
    """Whose tokens count, and for what."""

    namespace: pulumi.Input[str]
    """The gateway's."""
    chosen: Mapping[str, str]
    """Labels of the gateway's pods."""
    host: str
    """The name of all models; also the audience of tokens."""
    others: Sequence[str]
    """Names whose servers judge tokens themselves, of whatever kind."""
    issuer: str
    """The cluster's ``--service-account-issuer``."""
    jwks: str | None = None
    """Its public keys; without them the control plane asks the API server for them."""
    tenants: Sequence[str]
    anonymous: Sequence[Open] = ()
    """Models that anybody may call."""
    challenges: bool = False
    """Whether an ACME server looks for answers under the name, too."""
    ready: Sequence[pulumi.Resource] = ()
    """What knows these kinds of objects."""


class ModelAccess(pulumi.ComponentResource):
    """Refuses, at the gateway, whoever may not call a model."""

    def __init__(
        self, name: str, args: ModelAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:ModelAccess", name, None, opts)
        self._name, self._args = name, args
        self._marks = labels(APP, name, "access")
        self._hosts = [args.host, f"{args.host}:*"]
        if args.jwks is None:
            self._publish_keys()
        self._tokens()
        self._allow()
        self._deny()
        self._filters()
        self.register_outputs({})

    def _publish_keys(self) -> None:
        """The API server shows its public keys to the control plane, which has no account there."""
        k8s.rbac.v1.ClusterRoleBinding(
            f"{self._name}-keys",
            metadata={"labels": self._marks},
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": DISCOVERY,
            },
            subjects=[
                {
                    "api_group": "rbac.authorization.k8s.io",
                    "kind": "Group",
                    "name": "system:unauthenticated",
                }
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _tokens(self) -> None:
        args = self._args
        keys = {"jwks": args.jwks} if args.jwks else {"jwksUri": ISSUER_KEYS}
        rule: dict[str, Any] = {
            "issuer": args.issuer,
            "audiences": [args.host],
            # Not in the address, where logs would keep it.
            "fromHeaders": [{"name": "Authorization", "prefix": "Bearer "}],
            **keys,
        }
        self._object(
            "tokens", SECURITY, "RequestAuthentication", {**self._gateway, "jwtRules": [rule]}
        )

    def _allow(self) -> None:
        args = self._args
        # What is not listed is refused, so the other names are.
        rules: list[dict[str, Any]] = [{"to": [{"operation": {"notHosts": self._hosts}}]}]
        if args.challenges:
            operation = {"hosts": self._hosts, "methods": ["GET"], "paths": [f"{CHALLENGES}*"]}
            # In HTTPS there is nothing at that path.
            rules.append({"to": [{"operation": {**operation, "ports": [str(HTTP_POD)]}}]})
        for tenant in args.tenants:
            anybody = f"{args.issuer}/system:serviceaccount:{tenant}:*"
            own = {"from": [{"source": {"requestPrincipals": [anybody]}}]}
            rules += [
                own | self._models(f"/seldon/{tenant}/{{*}}/v2/models/{{**}}"),
                own | self._models(*GRPC) | {"when": [_header("namespace", tenant)]},
            ]
        for one in args.anonymous:
            which = [_header("namespace", one.tenant), _header("seldon", one.model)]
            rules += [
                self._models(f"{one.path}/{{**}}"),
                self._models(*GRPC) | {"when": which},
            ]
        self._object("allowed", SECURITY, "AuthorizationPolicy", {**self._gateway, "rules": rules})

    def _models(self, *paths: str) -> dict[str, Any]:
        operation = {"hosts": self._hosts, "methods": METHODS, "paths": list(paths)}
        return {"to": [{"operation": operation}]}

    def _deny(self) -> None:
        """By headers, and by a word anywhere in the path, the operator's routes know calls of gRPC.

        A path of one's own tenant with such headers would lead to a model of another one.
        """
        rule = {
            "to": [{"operation": {"hosts": self._hosts, "notPaths": GRPC}}],
            "when": [_header("seldon", "*")],
        }
        spec = {**self._gateway, "action": "DENY", "rules": [rule]}
        self._object("denied", SECURITY, "AuthorizationPolicy", spec)

    def _filters(self) -> None:
        args = self._args
        own = {"typed_per_filter_config": {"envoy.filters.http.buffer": _limit()}}
        untouched = {"typed_per_filter_config": {"envoy.filters.http.jwt_authn": _no_tokens()}}
        patches = [
            {
                "applyTo": "HTTP_FILTER",
                "match": {
                    "context": "GATEWAY",
                    "listener": {
                        "filterChain": {
                            "filter": {
                                "name": "envoy.filters.network.http_connection_manager",
                                "subFilter": {"name": "envoy.filters.http.router"},
                            }
                        }
                    },
                },
                # Behind those that refuse, so that nobody fills memory who may not call.
                "patch": {"operation": "INSERT_BEFORE", "value": _buffer()},
            },
            _on_host(args.host, own),
            *(_on_host(host, untouched) for host in args.others),
        ]
        spec = {"workloadSelector": {"labels": dict(args.chosen)}, "configPatches": patches}
        self._object("filters", FILTER, "EnvoyFilter", spec)

    @property
    def _gateway(self) -> dict[str, Any]:
        return {"selector": {"matchLabels": dict(self._args.chosen)}}

    def _object(self, what: str, api: str, kind: str, spec: dict[str, Any]) -> None:
        k8s.apiextensions.CustomResource(
            f"{self._name}-{what}",
            api_version=api,
            kind=kind,
            metadata=metadata(self._args.namespace, self._marks),
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self._args.ready)),
        )


def _header(name: str, value: str) -> dict[str, Any]:
    return {"key": f"request.headers[{name}]", "values": [value]}


def _buffer() -> dict[str, Any]:
    """Off, until a name turns it on: notebooks and artifacts may be as large as they like."""
    return {
        "name": "envoy.filters.http.buffer",
        "disabled": True,
        "typed_config": {
            "@type": f"{EXTENSIONS}.buffer.v3.Buffer",
            "max_request_bytes": BODY_BYTES,
        },
    }


def _limit() -> dict[str, Any]:
    return {
        "@type": f"{EXTENSIONS}.buffer.v3.BufferPerRoute",
        "buffer": {"max_request_bytes": BODY_BYTES},
    }


def _no_tokens() -> dict[str, Any]:
    return {"@type": f"{EXTENSIONS}.jwt_authn.v3.PerRouteConfig", "disabled": True}


def _on_host(host: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "applyTo": "VIRTUAL_HOST",
        "match": {"context": "GATEWAY", "routeConfiguration": {"vhost": {"name": f"{host}:443"}}},
        "patch": {"operation": "MERGE", "value": value},
    }
