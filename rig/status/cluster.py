"""What the cluster has: its answers, complete, or one line that says what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from components.cluster.queue import API
from infra.settings import Settings
from rig.errors import RigError
from rig.facts import Answer, Facts, Question
from rig.kube import REACH, Object, items, kubectl, place

_GROUP, _, _VERSION = API.partition("/")
KUEUE: Final = ("clusterqueues", "localqueues", "workloads")
ALIVE: Final = "--field-selector=status.phase!=Succeeded,status.phase!=Failed"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Objects of the cluster."""

    nodes: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    """All that have not ended."""
    cluster_queues: Sequence[Object] = ()
    local_queues: Sequence[Object] = ()
    workloads: Sequence[Object] = ()


def questions(settings: Settings) -> Sequence[Question]:
    """In the order of the fields of ``Seen``."""
    return [
        kubectl(settings, "kubectl nodes", "get", "nodes"),
        kubectl(settings, "kubectl pods", "get", "pods", "--all-namespaces", ALIVE),
        *(
            # In full, for another group may have a kind of this name.
            kubectl(
                settings,
                f"kubectl {kind}",
                "get",
                f"{kind}.{_VERSION}.{_GROUP}",
                "--all-namespaces",
            )
            for kind in KUEUE
        ),
    ]


def look(settings: Settings, facts: Facts) -> Seen:
    """Everything; half an answer would be a wrong sum."""
    answers = [(question, facts.ask(question)) for question in questions(settings)]
    for question, answer in answers:
        if answer.error:
            raise RigError(_one_line(settings, question, answer))
    nodes, pods, cluster_queues, local_queues, workloads = (
        items(answer.value) for _, answer in answers
    )
    return Seen(
        nodes=nodes,
        pods=pods,
        cluster_queues=cluster_queues,
        local_queues=local_queues,
        workloads=workloads,
    )


def _one_line(settings: Settings, question: Question, answer: Answer) -> str:
    where = place(settings)
    thing = question.name.removeprefix("kubectl ")
    if answer.fix:
        return f"{answer.error}: {answer.fix}"
    if "Forbidden" in answer.error:
        return f"{where} refuses to list {thing}: use an account that may ({answer.error})"
    if "have a resource type" in answer.error:
        return f"{where} has no {thing} of Kueue: apply the stack first (make up)"
    return f"{where} cannot be reached: {answer.error}; {REACH}"
