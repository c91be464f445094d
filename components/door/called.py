"""What the API server calls, a webhook or a server of an API: found by a Service, and believed for
a certificate with the Service's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.door.issuers import Certificates, CertificatesArgs, OwnAuthority
from components.labels import AT_ONCE, metadata

INJECTED = "cert-manager.io/inject-ca-from"
"""Annotation of what tells the API server where to call: cert-manager writes the authority of this
certificate into its ``caBundle``, and renews it there."""
PORT = 443


@dataclass(frozen=True, kw_only=True)
class Called:
    """Where a component is called, and what it shows."""

    service: k8s.core.v1.Service
    certificate: Certificates
    source: pulumi.Output[str]
    """The value of ``INJECTED``."""


def called(  # noqa: PLR0913 - names are those that the objects have had from the first
    owner: pulumi.Resource,
    name: str,
    *,
    service: str,
    title: str,
    secret: str,
    namespace: pulumi.Input[str],
    marks: dict[str, str],
    pods: Mapping[str, str],
    ready: Sequence[pulumi.Resource],
) -> Called:
    """The Service of the pods' port ``https``, called ``title``, and its certificate."""
    made = k8s.core.v1.Service(
        service,
        # The certificate says this name.
        metadata={**metadata(namespace, marks, title), "annotations": AT_ONCE},
        spec={
            "selector": pods,
            "ports": [{"name": "https", "port": PORT, "target_port": "https"}],
        },
        opts=pulumi.ResourceOptions(parent=owner, delete_before_replace=True),
    )
    certificate = Certificates(
        name,
        CertificatesArgs(
            namespace=namespace,
            hosts=[pulumi.Output.concat(made.metadata.name, ".", namespace, ".svc")],
            signer=OwnAuthority(),
            secret=secret,
        ),
        pulumi.ResourceOptions(parent=owner, depends_on=list(ready)),
    )
    source = pulumi.Output.concat(namespace, "/", certificate.secret)
    return Called(service=made, certificate=certificate, source=source)
