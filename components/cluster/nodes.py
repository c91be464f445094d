"""What the nodes of a pool say of themselves: the one source of labels, taints and counts.

A node of the company's own gets them from the stack, one in a cloud when it joins; the cloud's
group tells them to the autoscaler before there is any node, and the queue picks nodes by them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

GPU = "nvidia.com/gpu"
"""Resource, and key of the taint that keeps work without GPUs off the nodes."""
TIER_LABEL = "spillway.dev/tier"
"""``onprem`` or ``burst``: whose machine it is."""
POOL_LABEL = "spillway.dev/pool"
ACCELERATOR_LABEL = "spillway.dev/accelerator"
GPUS_LABEL = "spillway.dev/gpus"
"""GPUs of one machine: by it work that asks for more is sent to none of these."""
BURST_TAINT = "spillway.dev/burst"
"""Nobody's pods tolerate it but those that the queue admitted to a cloud: the guard of the bill."""
REGION_LABEL = "topology.kubernetes.io/region"
ZONE_LABEL = "topology.kubernetes.io/zone"
MACHINE_LABEL = "node.kubernetes.io/instance-type"
RESERVED: Mapping[str, str] = {"cpu": "200m", "memory": "1Gi"}
"""Of each machine in a cloud, for the kubelet and the system. The autoscaler counts it off too,
or it would start machines on which a pod that just fits does not fit."""
EVICTION: Mapping[str, str] = {
    "memory.available": "200Mi",
    "nodefs.available": "10%",
    "imagefs.available": "15%",
}
"""Less than this left, and the kubelet puts pods out."""
Tier = Literal["onprem", "burst"]


@dataclass(frozen=True, kw_only=True)
class Taint:
    """Of a node, and what tolerates it."""

    key: str
    value: str
    effect: str = "NoSchedule"

    @property
    def text(self) -> str:
        """``value:effect``, as autoscalers and kubelets write it behind the key."""
        return f"{self.value}:{self.effect}"


@dataclass(frozen=True, kw_only=True)
class NodePool:
    """Machines of one kind."""

    name: str
    tier: Tier
    accelerator: str
    """By the name of ``infra/catalog.py``."""
    gpus: int
    """In one machine."""
    shares: int = 1
    """Parts of each GPU that are handed out as if they were one: by turns, or by MIG."""
    mig: str | None = None
    """Profile of the parts where the GPU itself is cut, such as ``1g.10gb``; else they take turns,
    with no walls between their memory."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Of each node; a cloud adds those that its autoscaler asks for."""
        return {
            TIER_LABEL: self.tier,
            POOL_LABEL: self.name,
            ACCELERATOR_LABEL: self.accelerator,
            GPUS_LABEL: str(self.advertised),
        }

    @property
    def taints(self) -> Sequence[Taint]:
        """Of each node."""
        gpu = Taint(key=GPU, value="present")
        burst = Taint(key=BURST_TAINT, value="true")
        return (burst, gpu) if self.tier == "burst" else (gpu,)

    @property
    def advertised(self) -> int:
        """GPUs that a node says it has."""
        return self.gpus * self.shares

    @property
    def resources(self) -> Mapping[str, str]:
        """What it has besides cores and memory."""
        return {GPU: str(self.advertised)}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Ports on which a node is called by other nodes."""

    name: str
    protocol: Literal["tcp", "udp"]
    first: int
    last: int


KUBELET = Entry(name="kubelet", protocol="tcp", first=10250, last=10250)
"""Called by the API server for logs, and for what pods use: from on-prem alone."""
OVERLAY = (
    Entry(name="vxlan", protocol="udp", first=8472, last=8472),
    Entry(name="wireguard", protocol="udp", first=51820, last=51821),
)
"""Between all nodes. Which of the two carries the pods' packets is the cluster's choice:
https://docs.k3s.io/installation/requirements#inbound-rules-for-k3s-nodes"""
