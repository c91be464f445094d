"""Who may talk to whom: peers and rules for NetworkPolicies on top of a default deny."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from components.labels import metadata

Peer = k8s.networking.v1.NetworkPolicyPeerArgsDict
Ingress = k8s.networking.v1.NetworkPolicyIngressRuleArgsDict
Egress = k8s.networking.v1.NetworkPolicyEgressRuleArgsDict


def pods_in(namespace: pulumi.Input[str], chosen: dict[str, str]) -> Peer:
    """Pods with these labels in one namespace."""
    return {
        "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}},
        "pod_selector": {"match_labels": chosen},
    }


def service_url(
    service: pulumi.Input[str], namespace: pulumi.Input[str], port: int
) -> pulumi.Output[str]:
    """Where pods of the cluster find a Service."""
    return pulumi.Output.concat("http://", service, ".", namespace, f".svc:{port}")


def ingress(peers: Sequence[Peer], *ports: int) -> Ingress:
    """Let these peers connect to ports of the selected pods."""
    return {"from_": list(peers), "ports": [{"protocol": "TCP", "port": port} for port in ports]}


def egress(peers: Sequence[Peer], *ports: int) -> Egress:
    """Let the selected pods connect to ports of these peers."""
    return {"to": list(peers), "ports": [{"protocol": "TCP", "port": port} for port in ports]}


LINK_LOCAL = "169.254.0.0/16"
"""Where clouds tell any pod who its machine is, and hand out the machine's keys."""
API_PORTS = (443, 6443)
"""Of API servers: the Service's, and that of the servers behind it, which policies see."""


def to_api_server(nodes: str | None) -> Egress:
    """The rule to reach the cluster's API server, which no label picks.

    ``nodes`` is the CIDR of the machines it runs on; where nobody said, anywhere but link-local.
    """
    block: k8s.networking.v1.IPBlockArgsDict = (
        {"cidr": nodes} if nodes else {"cidr": "0.0.0.0/0", "except_": [LINK_LOCAL]}
    )
    return {
        "to": [{"ip_block": block}],
        "ports": [{"protocol": "TCP", "port": port} for port in API_PORTS],
    }


def distinct(rules: Sequence[Egress]) -> Sequence[Egress]:
    """In order; a database and a bucket of one cloud may need the same rule."""
    return [rule for at, rule in enumerate(rules) if rule not in rules[:at]]


def policy(  # noqa: PLR0913 - a policy is made of exactly these
    name: str,
    *,
    namespace: pulumi.Input[str],
    marks: dict[str, str],
    pods: dict[str, str],
    incoming: Sequence[Ingress] = (),
    outgoing: Sequence[Egress] = (),
    opts: pulumi.ResourceOptions,
) -> k8s.networking.v1.NetworkPolicy:
    """A policy for both directions: what is not listed stays denied."""
    return k8s.networking.v1.NetworkPolicy(
        name,
        metadata=metadata(namespace, marks),
        spec={
            "pod_selector": {"match_labels": pods},
            "policy_types": ["Ingress", "Egress"],
            "ingress": list(incoming),
            "egress": list(outgoing),
        },
        opts=opts,
    )
