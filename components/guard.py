"""What RBAC cannot tell apart: which pods and settings an account of a tenant may make or delete.

People's notebooks may start pods, for Spark's executors. A pod can be many other things: a way to
read any Secret or home of its namespace, to act under another account, to be on a machine that
somebody else pays for. The rules are for the accounts of tenants' namespaces alone: neither for
the hub, which makes people's servers, nor for operators.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi

from components import guard_models as models
from components import shapes
from components.admission import Resources, Validation, deny, in_containers, made, rule
from components.cluster.queue import PRIORITY_LABEL
from components.guard_models import OWN_TAINTS
from components.labels import ROLE_LABEL, labels
from components.tenant import EXECUTOR, JOB, STORAGE

APP = "guard"
SETTINGS = "spark-exec-"
"""How ConfigMaps start that Spark makes for its executors."""

PODS = made(
    "",
    "pods",
    "pods/ephemeralcontainers",
    "pods/resize",
    operations=("CREATE", "UPDATE", "DELETE"),
)
CONFIG_MAPS = made("", "configmaps", operations=("CREATE", "UPDATE", "DELETE"))
DEPLOYMENTS = made("machinelearning.seldon.io", "seldondeployments", versions=("*",))
FROM_INSIDE = (
    "request.userInfo.username.startsWith('system:serviceaccount:' + request.namespace + ':')"
)
NOT_NEW = "request.operation != 'CREATE'"
"""Starts conditions on what a new pod is; whether an old one may go depends on its role alone."""


@dataclass(frozen=True, kw_only=True)
class GuardArgs:
    """What pods may carry besides."""

    audiences: Sequence[pulumi.Input[str]] = ()
    """Whom the tokens are for by which tenants' pods become somebody in a cloud."""


class Guard(pulumi.ComponentResource):
    """Lets the accounts of tenants make Spark's executors and servers of models, no other pod."""

    def __init__(
        self, name: str, args: GuardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:Guard", name, None, opts)
        self._name = name
        audiences = pulumi.Output.all(*args.audiences).apply(
            lambda found: json.dumps(sorted(set(found)))
        )
        self._policy("pods", PODS, [*_rules(), _volumes(audiences)])
        self._policy("settings", CONFIG_MAPS, [_settings()])
        self._policy("models", DEPLOYMENTS, models.rules())
        self.register_outputs({})

    def _policy(
        self, what: str, resources: Sequence[Resources], validations: Sequence[Validation]
    ) -> None:
        deny(
            f"{self._name}-{what}",
            marks=labels(APP, self._name, what),
            resources=resources,
            conditions=[{"name": "by-a-tenants-account", "expression": FROM_INSIDE}],
            validations=validations,
            parent=self,
        )


def _rules() -> list[Validation]:
    role = f"metadata.?labels[?'{ROLE_LABEL}'].orValue('') == '{EXECUTOR}'"
    of_storage = f"== '{STORAGE}'"
    return [
        rule("request.operation != 'UPDATE'", "pods are made and deleted here, never changed"),
        rule(
            f"request.operation == 'DELETE' ? oldObject.{role} : object.{role}",
            f"metadata.labels: only pods with {ROLE_LABEL}={EXECUTOR} are yours to make or delete",
        ),
        _new(
            "object.metadata.name.matches('-exec-[0-9]+$')",
            "metadata.name: must end in -exec-NUMBER, as Spark names executors",
        ),
        _new(
            f"object.spec.?serviceAccountName.orValue('') == '{JOB}'",
            f"spec.serviceAccountName: executors run as {JOB}",
        ),
        _new(
            "object.spec.?nodeName.orValue('') == ''",
            "spec.nodeName: the scheduler finds the node",
        ),
        _new(
            "object.spec.?priorityClassName.orValue('') == ''",
            "spec.priorityClassName: executors have no priority of their own",
        ),
        _new(
            f"object.metadata.?labels[?'{PRIORITY_LABEL}'].orValue('{JOB}') == '{JOB}'",
            f"metadata.labels: {PRIORITY_LABEL} of executors is {JOB}",
        ),
        _new(
            "object.spec.?tolerations.orValue([]).all(t, "
            f"t.?key.orValue('') != '' && !t.key.startsWith('{OWN_TAINTS}'))",
            f"spec.tolerations: {OWN_TAINTS}… and taints without a key are not tolerated by hand",
        ),
        _new(
            "object.spec.?ephemeralContainers.orValue([]).size() == 0",
            "spec.ephemeralContainers: there are none here",
        ),
        _new(
            in_containers(
                "c.?env.orValue([]).all(e, !has(e.valueFrom) || !has(e.valueFrom.secretKeyRef) "
                f"|| e.valueFrom.secretKeyRef.name {of_storage})",
                "object.spec",
            ),
            f"spec.containers.env: secretKeyRef may name the Secret {STORAGE} alone",
        ),
        _new(
            in_containers(
                "c.?envFrom.orValue([]).all(e, !has(e.secretRef) || "
                f"e.secretRef.name {of_storage})",
                "object.spec",
            ),
            f"spec.containers.envFrom: secretRef may name the Secret {STORAGE} alone",
        ),
    ]


def _volumes(audiences: pulumi.Output[str]) -> Validation:
    """JSON of strings is CEL as well."""
    harmless = "has({0}.configMap) || has({0}.downwardAPI)"
    token = "s.?serviceAccountToken.?audience.orValue('')"  # noqa: S105 - an expression
    return {
        "expression": pulumi.Output.concat(
            f"{NOT_NEW} || object.spec.?volumes.orValue([]).all(v, has(v.emptyDir) || ",
            f"{harmless.format('v')} || v.?projected.?sources.orValue([]).size() > 0 && ",
            f"v.projected.sources.all(s, {harmless.format('s')} || {token} in ",
            audiences,
            "))",
        ),
        "message": "spec.volumes: only emptyDir, configMap, downwardAPI, and tokens for the cloud",
        "reason": "Forbidden",
    }


def _settings() -> Validation:
    made = "(request.operation == 'DELETE' ? oldObject : object)"
    return rule(
        f"{made}.metadata.name.startsWith('{SETTINGS}')",
        f"metadata.name: only ConfigMaps that start with {SETTINGS} are yours to make or delete",
    )


def _new(expression: str, message: str) -> Validation:
    return rule(f"{NOT_NEW} || {expression}", message)


def audiences(login: shapes.Login) -> list[pulumi.Input[str]]:
    """Whom the tokens are for that a pod with this login carries."""
    found: list[pulumi.Input[str]] = []
    for volume in cast("Sequence[Any]", login.volumes):
        for source in volume.get("projected", {}).get("sources", ()):
            token = source.get("service_account_token", {})
            if "audience" in token:
                found.append(token["audience"])
    return found
