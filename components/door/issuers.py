"""Who signs a certificate: an ACME server, an authority of the cluster's own, or nobody."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.labels import DNS_LABEL, labels, metadata

APP = "front-door"
GROUP = "cert-manager.io"
API = f"{GROUP}/v1"
CERTIFICATE = "front-door-certificate"
"""Secret with the certificate, in the gateway's namespace, where Istio looks for it."""
TITLE = "Spillway's own authority"
TEN_YEARS, NINETY_DAYS, THIRTY_DAYS = "87600h", "2160h", "720h"


@dataclass(frozen=True, kw_only=True)
class Acme:
    """A public authority that proves over HTTP that the names lead here."""

    server: str
    email: str
    authority: str | None = None
    """Certificates (PEM) by which the server itself is known, if no public authority signed its."""


@dataclass(frozen=True, kw_only=True)
class OwnAuthority:
    """An authority made in the cluster; browsers trust it once somebody installs it."""


@dataclass(frozen=True, kw_only=True)
class GivenSecret:
    """A Secret of type kubernetes.io/tls that is in the gateway's namespace already."""

    name: str


Signer = Acme | OwnAuthority | GivenSecret


@dataclass(frozen=True, kw_only=True)
class CertificatesArgs:
    """For which names, and by whom."""

    namespace: pulumi.Input[str]
    hosts: Sequence[pulumi.Input[str]]
    signer: Signer
    secret: str = CERTIFICATE
    """The Secret it is written to, unless it is there; the Certificate is called so, too."""


class Certificates(pulumi.ComponentResource):
    """The Secret that a server shows, made and renewed by cert-manager."""

    secret: str
    """Its name."""

    def __init__(
        self, name: str, args: CertificatesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:Certificates", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        if isinstance(args.signer, GivenSecret):
            self.secret = args.signer.name
        else:
            issuer = self._acme(args.signer) if isinstance(args.signer, Acme) else self._own()
            names: dict[str, object] = {"dnsNames": list(args.hosts)}
            self._certificate(args.secret, issuer, names, NINETY_DAYS)
            self.secret = args.secret
        self.register_outputs({"secret": self.secret})

    def _acme(self, signer: Acme) -> "Issuer":
        # Nobody serves the class: the way to the answers is ``components.door.plain``.
        solver = {
            "ingressClassName": self._name,
            "serviceType": "ClusterIP",
            "podTemplate": {"metadata": {"labels": {DNS_LABEL: "denied"}}},
        }
        server: dict[str, object] = {
            "server": signer.server,
            "email": signer.email,
            "privateKeySecretRef": {"name": f"{self._name}-acme-account"},
            "solvers": [{"http01": {"ingress": solver}}],
        }
        if signer.authority:
            server["caBundle"] = base64.b64encode(signer.authority.encode()).decode()
        return self._issuer("acme", {"acme": server})

    def _own(self) -> "Issuer":
        itself, authority = self._issuer("itself", {"selfSigned": {}}), f"{self._name}-authority"
        root = self._certificate(authority, itself, {"isCA": True, "commonName": TITLE}, TEN_YEARS)
        return self._issuer("own", {"ca": {"secretName": authority}}, [root])

    def _issuer(
        self, kind: str, spec: dict[str, object], after: Sequence[pulumi.Resource] = ()
    ) -> "Issuer":
        name, marks = f"{self._name}-{kind}", labels(APP, self._name, "issuer")
        resource = k8s.apiextensions.CustomResource(
            f"{name}-issuer",
            api_version=API,
            kind="Issuer",
            # Certificates name it.
            metadata=metadata(self._args.namespace, marks, name),
            spec=spec,
            opts=pulumi.ResourceOptions.merge(
                self._child,
                pulumi.ResourceOptions(depends_on=list(after), delete_before_replace=True),
            ),
        )
        return Issuer(name=name, resource=resource)

    def _certificate(
        self, secret: str, issuer: "Issuer", subject: dict[str, object], duration: str
    ) -> k8s.apiextensions.CustomResource:
        return k8s.apiextensions.CustomResource(
            f"{self._name}-{secret}",
            api_version=API,
            kind="Certificate",
            # Webhooks name it, to be given its authority.
            metadata=metadata(self._args.namespace, labels(APP, self._name, "certificate"), secret),
            spec={
                "secretName": secret,
                "issuerRef": {"kind": "Issuer", "group": GROUP, "name": issuer.name},
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "duration": duration,
                "renewBefore": THIRTY_DAYS,
                **subject,
            },
            opts=pulumi.ResourceOptions.merge(
                self._child,
                pulumi.ResourceOptions(depends_on=[issuer.resource], delete_before_replace=True),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """Who signs in the cluster."""

    name: str
    resource: pulumi.Resource
