"""The sections of a stack's settings about the way in from outside."""

import ssl
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictInt, StringConstraints

from infra.sections import HOST, HostName, Section, setting

NodePort = Annotated[StrictInt, Field(ge=30000, le=32767)]
NODE_PORTS = "a whole number from 30000 to 32767"
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
Domain = HostName


def _certificates(text: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except ssl.SSLError as error:
        raise ValueError("not certificates") from error
    return text


def _port(url: str) -> str:
    _ = urlsplit(url).port  # else a ValueError
    return url


Server = Annotated[
    str,
    StringConstraints(pattern=rf"^https://{HOST}(:[0-9]{{1,5}})?/\S*$"),
    AfterValidator(_port),
]
# Nothing else, for a private key is soon pasted, too.
_PEM = r"(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+"
Authority = Annotated[str, StringConstraints(pattern=f"^{_PEM}$"), AfterValidator(_certificates)]
Revision = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$")]


class Certificates(StrEnum):
    """Who signs what the front door shows."""

    ACME = "acme"
    OWN = "own"
    GIVEN = "given"


class NodePorts(Section):
    """Ports on every node, where there is no load balancer."""

    http: NodePort = setting(..., "For plain HTTP, which only leads to HTTPS.", NODE_PORTS)
    https: NodePort = setting(..., "For HTTPS.", NODE_PORTS)


class FrontDoor(Section):
    """The gateway in front of everything."""

    certificates: Certificates = setting(
        Certificates.ACME,
        "Who signs its certificate: an ACME server, an authority made in the cluster, or nobody "
        "here, because a Secret with it is there already.",
        "one of acme, own, given",
    )
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = (
        setting(
            None,
            "Whom the ACME server writes to before a certificate ends.",
            "an e-mail address; for acme only",
        )
    )
    server: Server = setting(LETS_ENCRYPT, "The ACME server.", "an https URL")
    authority: Authority | None = setting(
        None,
        "By which the ACME server itself is known, if no public authority signed its certificate: "
        "a company's own.",
        "certificates (PEM), and nothing else; for acme only",
    )
    secret: HostName | None = setting(
        None,
        "Secret of type kubernetes.io/tls in the namespace front-door.",
        "the name of a Secret; for given only",
    )
    node_ports: NodePorts | None = setting(
        None,
        "Ports on every node; without them the cluster is asked for a load balancer.",
        "a map with: http, https",
    )
    replicas: StrictInt = setting(
        2, "How many gateways share the work.", "a whole number from 1 to 16", ge=1, le=16
    )
    revision: Revision | None = setting(
        None,
        "Name of Istio's control plane, instead of its version: one with another name takes over "
        "from the one that runs, and no request is lost.",
        "lower-case letters, digits and '-', at most 30, the first a letter",
    )
