"""When a schedule runs, as the cluster reads it: five fields, by the grammar of robfig/cron.

https://pkg.go.dev/github.com/robfig/cron/v3 — a weekday is 0 to 6 there, and 7 is none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

ALLOWED = (
    "a cron expression of five fields, in UTC: minute, hour, day, month, weekday (0 is Sunday), "
    "such as 0 3 * * *"
)
PART = re.compile(r"(?:[*?]|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,3}))?", re.ASCII)


def _numbered(names: str, first: int) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(names.split(), first)}


@dataclass(frozen=True, kw_only=True)
class Field:
    """What one of the five may be."""

    least: int
    most: int
    names: Mapping[str, int] = field(default_factory=dict[str, int])


FIELDS = (
    Field(least=0, most=59),
    Field(least=0, most=23),
    Field(least=1, most=31),
    Field(
        least=1,
        most=12,
        names=_numbered("jan feb mar apr may jun jul aug sep oct nov dec", 1),
    ),
    Field(least=0, most=6, names=_numbered("sun mon tue wed thu fri sat", 0)),
)


def schedule(expression: str) -> str:
    """The expression as it was given; ``ValueError`` if the cluster would not take it."""
    texts = expression.split()
    if len(texts) != len(FIELDS):
        raise ValueError("not five fields")
    for text, allowed in zip(texts, FIELDS, strict=True):
        for part in text.split(","):
            _check(part, allowed)
    return expression


def _check(part: str, allowed: Field) -> None:
    found = PART.fullmatch(part)
    if found is None or found["step"] in {"0", "00", "000"}:
        raise ValueError("no part of a field")
    if found["first"] is None:
        return
    first = _number(found["first"], allowed)
    last = _number(found["last"], allowed) if found["last"] else first
    if not allowed.least <= first <= last <= allowed.most:
        raise ValueError("out of range")


def _number(text: str, allowed: Field) -> int:
    known = allowed.names.get(text.lower())
    return int(text) if known is None else known
