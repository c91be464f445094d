"""Policies of AWS, decided as AWS would: enough of the language for those of this project.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

KNOWN = {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}


def allows(
    policy: str,
    action: str,
    resource: str | None = None,
    *,
    principal: str | None = None,
    context: dict[str, str] | None = None,
) -> bool:
    """Whether one policy alone lets somebody do something.

    ``resource`` is None for the trust policy of a role, ``principal`` for what a role may do.
    """
    document = json.loads(policy)
    assert document["Version"] == "2012-10-17"
    effects = {
        s["Effect"]
        for s in document["Statement"]
        if _concerns(s, action, resource, principal)
        and _holds(s.get("Condition", {}), context or {})
    }
    return effects == {"Allow"}


def statements(policy: str) -> list[dict[str, Any]]:
    return json.loads(policy)["Statement"]


def _concerns(
    statement: dict[str, Any], action: str, resource: str | None, principal: str | None
) -> bool:
    assert statement.keys() <= KNOWN, statement
    if not any(_like(action.lower(), a.lower()) for a in _many(statement["Action"])):
        return False
    if resource is not None and not any(_like(resource, r) for r in _many(statement["Resource"])):
        return False
    if principal is None:
        return "Principal" not in statement
    who = statement["Principal"]
    return who == "*" or principal in [p for kind in who.values() for p in _many(kind)]


def _holds(conditions: dict[str, dict[str, Any]], facts: dict[str, str]) -> bool:
    """A key that the request does not have holds for no operator used here."""
    return all(
        key in facts and any(OPERATORS[operator](facts[key], w) for w in _many(wanted))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def _like(value: str, pattern: str) -> bool:
    """Stars and question marks are wild, and nothing else; a star passes slashes too."""
    return fnmatchcase(value, pattern.replace("[", "[[]"))


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringLike": _like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
}
