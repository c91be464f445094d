"""Rules of the API server itself for what is made in tenants' namespaces."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from components.labels import TENANT_LABEL

Validation = k8s.admissionregistration.v1.ValidationArgsDict
Resources = k8s.admissionregistration.v1.NamedRuleWithOperationsArgsDict


def made(
    group: str,
    *resources: str,
    versions: Sequence[str] = ("v1",),
    operations: Sequence[str] = ("CREATE", "UPDATE"),
) -> Sequence[Resources]:
    """Requests about these kinds of objects."""
    return (
        {
            "api_groups": [group],
            "api_versions": list(versions),
            "operations": list(operations),
            "resources": list(resources),
        },
    )


def deny(  # noqa: PLR0913 - what a policy is made of
    name: str,
    *,
    marks: dict[str, str],
    resources: Sequence[Resources],
    validations: Sequence[Validation],
    parent: pulumi.Resource,
    conditions: Sequence[k8s.admissionregistration.v1.MatchConditionArgsDict] = (),
) -> None:
    """Refuse, in tenants' namespaces, what breaks one of the rules, and whatever cannot be judged.

    ``conditions`` say which of the requests are judged at all.
    """
    child = pulumi.ResourceOptions(parent=parent)
    spec: k8s.admissionregistration.v1.ValidatingAdmissionPolicySpecArgsDict = {
        "failure_policy": "Fail",
        "match_constraints": {"resource_rules": list(resources)},
        "validations": list(validations),
    }
    if conditions:
        spec["match_conditions"] = list(conditions)
    policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
        f"{name}-policy", metadata={"labels": marks}, spec=spec, opts=child
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


def rule(expression: str, message: str) -> Validation:
    """What an object must be, and what is said of one that is not."""
    return {"expression": expression, "message": message, "reason": "Forbidden"}


def in_containers(condition: str, spec: str = "s") -> str:
    """It holds for each container ``c``; the two lists are of two types, says the type checker."""
    kinds = (f"{spec}.containers", f"{spec}.?initContainers.orValue([])")
    return "(" + " && ".join(f"{kind}.all(c, {condition})" for kind in kinds) + ")"
