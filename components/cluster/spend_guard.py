"""What keeps GPUs in the queue: no pod of a tenant has one that was not admitted.

The queue counts what is asked of it. A pod that names no queue, that the queue does not hold back,
or that tolerates a cloud's machines by its own word, would have a GPU that nobody counts and
somebody pays for. The rule is for everybody but the queue itself, and the controllers that make
pods of what it admitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.cluster.nodes import BURST_TAINT, GPU
from components.cluster.queue import (
    GATE,
    NAMESPACE,
    PARENT_ANNOTATION,
    QUEUE_LABEL,
    RELEASE,
)
from components.guard_models import NO_GPU, Validation, in_containers, rule
from components.labels import TENANT_LABEL, labels

APP = "spend-guard"
JOB_CONTROLLER = "system:serviceaccount:kube-system:job-controller"
TOLERATES = (
    f"t.?key.orValue('') == '{BURST_TAINT}' || t.?key.orValue('') == ''"
    " && t.?operator.orValue('') == 'Exists'"
)
Resources = k8s.admissionregistration.v1.NamedRuleWithOperationsArgsDict
PODS: Sequence[Resources] = (
    {
        "api_groups": [""],
        "api_versions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["pods"],
    },
)
TEMPLATES: Sequence[Resources] = (
    {
        "api_groups": ["apps"],
        "api_versions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments", "replicasets", "statefulsets", "daemonsets"],
    },
)
JOBS: Sequence[Resources] = (
    {
        "api_groups": ["batch"],
        "api_versions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["jobs"],
    },
)
CRON_JOBS: Sequence[Resources] = (
    {
        "api_groups": ["batch"],
        "api_versions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["cronjobs"],
    },
)


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
        name, child = f"{self._name}-{what}", pulumi.ResourceOptions(parent=self)
        marks = labels(APP, self._name, what)
        policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            f"{name}-policy",
            metadata={"labels": marks},
            spec={
                "failure_policy": "Fail",
                "match_constraints": {"resource_rules": list(resources)},
                "validations": list(validations),
            },
            opts=child,
        )
        k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            f"{name}-binding",
            metadata={"labels": marks},
            spec={
                "policy_name": policy.metadata.name,
                "validation_actions": ["Deny"],
                "match_resources": {"namespace_selector": {"match_labels": {TENANT_LABEL: "true"}}},
            },
            opts=child,
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
