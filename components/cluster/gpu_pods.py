"""What pods with GPUs have in common: they wait in their tenant's queue for machines that fit.

Whose machines those are, and that pods tolerate their taints, is the queue's word (``queue``).
Servers of notebooks and Spark's executors are made by programs in images, which say the same:
images/hub/spillway_hub/profiles.py, images/notebook-spark/spillway_spark.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi_kubernetes as k8s

from components.cluster.nodes import ACCELERATOR_LABEL, GPU, GPUS_LABEL
from components.cluster.queue import LOCAL_QUEUE, PRIORITY_LABEL, QUEUE_LABEL

Priority = Literal["serving", "job"]
"""Of ``queue.PRIORITIES``; notebooks have theirs from the hub."""

TOGETHER: k8s.core.v1.PodAffinityArgsDict = {
    "preferred_during_scheduling_ignored_during_execution": [
        {
            "weight": 100,
            "pod_affinity_term": {
                "label_selector": {},
                "namespace_selector": {},
                "topology_key": "kubernetes.io/hostname",
            },
        }
    ]
}
"""Rather beside others than on an empty machine: who wants a whole one finds it, and a cloud's gets
empty and ends. Beside any pod: on machines with GPUs there is little else than who asked for them.
"""


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """GPUs of one pod."""

    accelerator: str
    """By the name of ``infra/catalog.py``."""
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count must be 1 or more, got {self.count}")


def queued(gpus: Gpus | None, priority: Priority) -> Mapping[str, str]:
    """Labels of what the queue admits: a Job, or a pod that belongs to none."""
    return {} if gpus is None else {QUEUE_LABEL: LOCAL_QUEUE, PRIORITY_LABEL: priority}


def resources(gpus: Gpus | None) -> Mapping[str, str]:
    """What a container asks for besides cores and memory."""
    return {} if gpus is None else {GPU: str(gpus.count)}


def placed(pod: k8s.core.v1.PodSpecArgsDict, gpus: Gpus | None) -> k8s.core.v1.PodSpecArgsDict:
    """The pod, which goes to machines with such GPUs, and with enough of them in one."""
    if gpus is None:
        return pod
    # The queue counts GPUs and knows no machines: by this it passes over pools of smaller ones.
    enough: k8s.core.v1.NodeSelectorRequirementArgsDict = {
        "key": GPUS_LABEL,
        "operator": "Gt",
        "values": [str(gpus.count - 1)],
    }
    kind: k8s.core.v1.NodeSelectorRequirementArgsDict = {
        "key": ACCELERATOR_LABEL,
        "operator": "In",
        "values": [gpus.accelerator],
    }
    required: k8s.core.v1.NodeSelectorArgsDict = {
        "node_selector_terms": [{"match_expressions": [kind, enough]}]
    }
    return {
        **pod,
        "affinity": {
            "node_affinity": {"required_during_scheduling_ignored_during_execution": required},
            "pod_affinity": TOGETHER,
        },
    }
