"""What keeps GPUs in the queue: no pod of a tenant has one that was not admitted.

The queue counts what is asked of it. A pod that names no queue, that the queue does not hold back,
or that tolerates a cloud's machines by its own word, would have a GPU that nobody counts and
somebody pays for. The rule is for everybody but the queue itself, and the controllers that make
pods of what it admitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.admission import Resources, Validation, deny, in_containers, made, rule
from components.cluster.nodes import BURST_TAINT, GPU
from components.cluster.queue import (
    GATE,
    NAMESPACE,
    PARENT_ANNOTATION,
    QUEUE_LABEL,
    RELEASE,
)
from components.guard_models import NO_GPU
from components.labels import labels

APP = "spend-guard"
JOB_CONTROLLER = "system:serviceaccount:kube-system:job-controller"
TOLERATES = (
    f"t.?key.orValue('') == '{BURST_TAINT}' || t.?key.orValue('') == ''"
    " && t.?operator.orValue('') == 'Exists'"
)
PODS = made("", "pods")
TEMPLATES = made("apps", "deployments", "replicasets", "statefulsets", "daemonsets")
JOBS = made("batch", "jobs")
CRON_JOBS = made("batch", "cronjobs")


@dataclass(frozen=True, kw_only=True)
class SpendGuardArgs:
    """Who admits work."""

    namespace: str = NAMESPACE
    """Of the queue's manager."""

    @property
    def manager(self) -> str:
        """Its account, as the API server calls it."""
        return f"system:serviceaccount:{self.namespace}:{RELEASE}-controller-manager"


class SpendGuard(pulumi.ComponentResource):
    """Refuses pods that would be on a GPU without the queue's word."""

    def __init__(
        self, name: str, args: SpendGuardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:cluster:SpendGuard", name, None, opts)
        self._name, self._args = name, args
        by_hand = f"request.userInfo.username in ['{args.manager}', '{JOB_CONTROLLER}']"
        pod, template = "spec", "spec.template.spec"
        cron = f"spec.jobTemplate.{template}"
        self._policy("pods", PODS, [_queued_pod(), _held_pod(), _no_toll(pod, by_hand)])
        self._policy("templates", TEMPLATES, [_no_toll(template, by_hand)])
        self._policy("jobs", JOBS, [_queued_job("object", template), _no_toll(template, by_hand)])
        self._policy(
            "cron-jobs",
            CRON_JOBS,
            [_queued_job("object.spec.jobTemplate", template), _no_toll(cron, by_hand)],
        )
        self.register_outputs({})

    def _policy(
        self, what: str, resources: Sequence[Resources], validations: Sequence[Validation]
    ) -> None:
        deny(
            f"{self._name}-{what}",
            marks=labels(APP, self._name, what),
            resources=resources,
            validations=validations,
            parent=self,
        )


def _asks(spec: str) -> str:
    """Whether any container of a pod asks for a GPU: CEL."""
    return f"!{in_containers(NO_GPU, spec)}"


def _queued_pod() -> Validation:
    label = f"object.metadata.?labels[?'{QUEUE_LABEL}'].hasValue()"
    of_a_job = f"request.userInfo.username == '{JOB_CONTROLLER}'"
    return rule(
        f"request.operation != 'CREATE' || !{_asks('object.spec')} || {label} || {of_a_job}",
        f"metadata.labels: who asks for {GPU} names a queue: {QUEUE_LABEL}=default",
    )


def _held_pod() -> Validation:
    """The queue takes a pod for work it has admitted if a pod owns it that has a queue.

    Every pod of a tenant has one, Spark's driver too; and whoever may make pods says who owns them.
    """
    gated = f"object.spec.?schedulingGates.orValue([]).exists(g, g.name == '{GATE}')"
    of_a_job = f"request.userInfo.username == '{JOB_CONTROLLER}'"
    return rule(
        f"request.operation != 'CREATE' || !{_asks('object.spec')} || {gated} || {of_a_job}",
        f"spec.schedulingGates: who asks for {GPU} is held by the queue ({GATE}); a pod with an "
        f"owner asks for that by the annotation {PARENT_ANNOTATION}",
    )


def _queued_job(owner: str, template: str) -> Validation:
    label = f"{owner}.?metadata.?labels[?'{QUEUE_LABEL}'].hasValue()"
    return rule(
        f"request.operation != 'CREATE' || !{_asks(f'{owner}.{template}')} || {label}",
        f"metadata.labels: who asks for {GPU} names a queue: {QUEUE_LABEL}=default",
    )


def _no_toll(spec: str, trusted: str) -> Validation:
    tolerates = "{0}." + spec + ".?tolerations.orValue([]).exists(t, " + TOLERATES + ")"
    before = f"(request.operation == 'UPDATE' && {tolerates.format('oldObject')})"
    return rule(
        f"{trusted} || !{tolerates.format('object')} || {before}",
        f"spec.tolerations: {BURST_TAINT} is tolerated by what the queue admits to a cloud, and "
        "taints without a key by nobody here",
    )
