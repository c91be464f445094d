"""What a service account may do in a namespace: a role and its binding."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.labels import metadata
from components.shapes import Subject


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Some verbs on some kinds of objects."""

    groups: Sequence[str]
    resources: Sequence[str]
    verbs: Sequence[str]
    names: Sequence[str] = ()
    """Only these objects; all when none is named."""


def cluster_role(
    name: str, rules: Sequence[Rule], marks: dict[str, str], parent: pulumi.Resource
) -> k8s.rbac.v1.ClusterRole:
    """Rights without a place; a binding in a namespace gives them there alone."""
    return k8s.rbac.v1.ClusterRole(
        name,
        metadata={"labels": marks},
        rules=[_rule(rule) for rule in rules],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def bind(  # noqa: PLR0913, PLR0917 - who may do what, and where
    name: str,
    role: pulumi.Input[str],
    subject: Subject,
    namespace: pulumi.Input[str],
    marks: dict[str, str],
    parent: pulumi.Resource,
) -> k8s.rbac.v1.RoleBinding:
    """Let the account do in this namespace what the cluster role says; it may live elsewhere."""
    return k8s.rbac.v1.RoleBinding(
        f"{name}-binding",
        metadata=metadata(namespace, marks),
        role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        subjects=[_account(subject.account, subject.namespace)],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def bind_everywhere(  # noqa: PLR0913, PLR0917 - who may do what
    name: str,
    role: pulumi.Input[str],
    account: pulumi.Input[str],
    namespace: pulumi.Input[str],
    marks: dict[str, str],
    parent: pulumi.Resource,
) -> k8s.rbac.v1.ClusterRoleBinding:
    """Let the account do in the whole cluster what the cluster role says."""
    return k8s.rbac.v1.ClusterRoleBinding(
        f"{name}-binding",
        metadata={"labels": marks},
        role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        subjects=[_account(account, namespace)],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def give(  # noqa: PLR0913, PLR0917 - who may do what
    name: str,
    rules: Sequence[Rule],
    account: pulumi.Input[str],
    namespace: pulumi.Input[str],
    marks: dict[str, str],
    parent: pulumi.Resource,
) -> k8s.rbac.v1.RoleBinding:
    """Let the account do these things in its own namespace: a role and its binding."""
    meta = metadata(namespace, marks)
    child = pulumi.ResourceOptions(parent=parent)
    role = k8s.rbac.v1.Role(name, metadata=meta, rules=[_rule(rule) for rule in rules], opts=child)
    return k8s.rbac.v1.RoleBinding(
        f"{name}-binding",
        metadata=meta,
        role_ref={
            "api_group": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": role.metadata.name,
        },
        subjects=[_account(account, namespace)],
        opts=child,
    )


def _account(
    account: pulumi.Input[str], namespace: pulumi.Input[str]
) -> k8s.rbac.v1.SubjectArgsDict:
    return {"kind": "ServiceAccount", "name": account, "namespace": namespace}


def _rule(rule: Rule) -> k8s.rbac.v1.PolicyRuleArgsDict:
    found: k8s.rbac.v1.PolicyRuleArgsDict = {
        "api_groups": list(rule.groups),
        "resources": list(rule.resources),
        "verbs": list(rule.verbs),
    }
    if rule.names:
        found["resource_names"] = list(rule.names)
    return found
