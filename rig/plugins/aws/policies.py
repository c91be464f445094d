"""Documents that say who may do what: the parts that IAM, S3 and KMS read the same way.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Rule
from rig.plugins.cloud.rules import document, listed

VERSIONS: Final = ("2012-10-17", "2008-10-17")
PARTS: Final = frozenset(
    [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ]
)
_ACTION: Final = r"\*|[a-z0-9-]+:[A-Za-z0-9*?]+"
_RESOURCE: Final = r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:.+"
_OPERATOR: Final = re.compile(
    r"(ForAllValues:|ForAnyValue:)?"
    r"(String(Not)?(Equals(IgnoreCase)?|Like)|Numeric(Not)?Equals|Numeric(Less|Greater)Than(Equals)?"
    r"|Date(Not)?Equals|Date(Less|Greater)Than(Equals)?|Bool|BinaryEquals|(Not)?IpAddress"
    r"|Arn(Not)?(Equals|Like)|Null)(IfExists)?"
)


def policy(
    path: str,
    *,
    principals: bool,
    longest: int = 20480,
    more: Callable[[list[dict[str, Any]]], Iterator[str]] | None = None,
) -> Rule:
    """The input is a policy; `principals` where it has to say whom it is about."""

    def check(content: Any) -> Iterator[str]:
        if not isinstance(content, dict):
            yield "must be an object with Version and Statement"
            return
        if content.get("Version") not in VERSIONS:
            yield f"Version must be {VERSIONS[0]}"
        if unknown := set(content) - {"Version", "Id", "Statement"}:
            yield f"has no {listed(unknown)}; it takes Version, Id and Statement"
        statements = content.get("Statement")
        statements = [statements] if isinstance(statements, dict) else statements
        if not statements or not isinstance(statements, list):
            yield "needs a Statement"
            return
        for index, statement in enumerate(statements):
            yield from (f"Statement[{index}]: {s}" for s in _statement(statement, principals))
        names = [s.get("Sid") for s in statements if isinstance(s, dict) and s.get("Sid")]
        if len(names) > len(set(names)):
            yield "every Sid must be another one"
        if more:
            yield from more([s for s in statements if isinstance(s, dict)])

    inner = document(path, check)

    def rule(given: Given) -> Iterator[Failure]:
        yield from inner(given)
        value = given.get(path)
        size = len(re.sub(r"\s", "", value)) if isinstance(value, str) else 0
        if size > longest:
            yield Failure(path, f"has {size} characters; AWS takes {longest}")

    return rule


def texts(value: Any) -> list[str]:
    """One or many."""
    return (
        [value] if isinstance(value, str) else [one for one in value or () if isinstance(one, str)]
    )


def _statement(found: Any, principals: bool) -> Iterator[str]:
    if not isinstance(found, dict):
        yield "must be an object"
        return
    if unknown := set(found) - PARTS:
        yield f"has no {listed(unknown)}; it takes {listed(PARTS)}"
    if found.get("Effect") not in ("Allow", "Deny"):
        yield "Effect must be Allow or Deny"
    if ("Action" in found) == ("NotAction" in found):
        yield "needs Action or NotAction"
    has = "Principal" in found or "NotPrincipal" in found
    if has != principals:
        yield "needs a Principal" if principals else "takes no Principal: it is about its role"
    if not principals and ("Resource" in found) == ("NotResource" in found):
        yield "needs Resource or NotResource"
    yield from _words(found, principals)


def _words(found: dict[str, Any], principals: bool) -> Iterator[str]:
    for action in texts(found.get("Action")) + texts(found.get("NotAction")):
        if not re.fullmatch(_ACTION, action):
            yield f"{action!r} is no action such as s3:GetObject"
    for resource in texts(found.get("Resource")) + texts(found.get("NotResource")):
        if not re.fullmatch(_RESOURCE, resource):
            yield f"{resource!r} is no ARN"
    for operator in found.get("Condition") or {}:
        if not _OPERATOR.fullmatch(operator):
            yield f"{operator!r} is no operator of a Condition"
    sid = found.get("Sid")
    if sid is not None and not principals and not re.fullmatch(r"[A-Za-z0-9]*", str(sid)):
        yield f"Sid {sid!r} takes letters and digits only"
