"""A namespace in which nothing is allowed until a policy says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi
import pulumi_kubernetes as k8s

from components import network
from components.labels import DNS_LABEL, labels, metadata

DNS_PORT = 53
DNS_PODS = {"k8s-app": "kube-dns"}
"""CoreDNS in kubeadm, k3s and RKE2 alike."""
NODE_LOCAL_DNS = "169.254.20.10/32"
"""https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/"""


@dataclass(frozen=True, kw_only=True)
class FencedNamespaceArgs:
    """Which namespace."""

    namespace: str
    marks: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels that say what it is for."""
    level: Literal["restricted", "privileged"] = "restricted"
    """Of the Pod Security Standards. Only what hands out the machine's devices needs another."""
    protect: bool = True


class FencedNamespace(pulumi.ComponentResource):
    """Only restricted pods, and no traffic but DNS: every component opens what it needs itself."""

    namespace: pulumi.Output[str]
    """Its name, known once it exists."""

    def __init__(
        self, name: str, args: FencedNamespaceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:FencedNamespace", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        marks = labels("namespace", name, "namespace")
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata={
                "name": args.namespace,
                "labels": {
                    **marks,
                    **args.marks,
                    **{
                        f"pod-security.kubernetes.io/{mode}": args.level
                        for mode in ("enforce", "audit", "warn")
                    },
                },
            },
            # Deleting it deletes every volume in it.
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.protect, delete_before_replace=True
            ),
        )
        self.namespace = namespace.metadata.name
        meta = metadata(self.namespace, marks)
        k8s.networking.v1.NetworkPolicy(
            f"{name}-default-deny",
            metadata=meta,
            spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
            opts=child,
        )
        k8s.networking.v1.NetworkPolicy(
            f"{name}-dns", metadata=meta, spec=_dns_for_all_but_the_silent(), opts=child
        )
        self.register_outputs({"namespace": self.namespace})


def _dns_for_all_but_the_silent() -> k8s.networking.v1.NetworkPolicySpecArgsDict:
    return {
        "pod_selector": {
            "match_expressions": [{"key": DNS_LABEL, "operator": "NotIn", "values": ["denied"]}]
        },
        "policy_types": ["Egress"],
        "egress": [
            # Without ports: a policy sees the port of the pod, which is not 53 everywhere.
            {"to": [network.pods_in("kube-system", DNS_PODS)]},
            {
                "to": [{"ip_block": {"cidr": NODE_LOCAL_DNS}}],
                "ports": [{"protocol": p, "port": DNS_PORT} for p in ("UDP", "TCP")],
            },
        ],
    }
