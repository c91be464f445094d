"""What a check says, each with its fix."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rig.facts import Answer


class Severity(StrEnum):
    """How bad it is."""

    WRONG = "wrong"
    """The stack, or a burst, would fail."""
    UNSURE = "unsure"
    """It could not be found out, or works with less than was asked for."""
    FINE = "fine"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    severity: Severity
    what: str
    fix: str = ""
    """One line; empty where nothing needs mending."""


def fine(what: str) -> Finding:
    """Nothing to do."""
    return Finding(severity=Severity.FINE, what=what)


def wrong(what: str, fix: str) -> Finding:
    """Something that must be mended before the stack is applied."""
    return Finding(severity=Severity.WRONG, what=what, fix=fix)


def unsure(what: str, fix: str) -> Finding:
    """Something that a person should look at."""
    return Finding(severity=Severity.UNSURE, what=what, fix=fix)


def unanswered(subject: str, answer: Answer, fix: str) -> Iterator[Finding]:
    """A finding if a question was not answered."""
    if answer.error:
        yield unsure(f"{subject}: {answer.error}", answer.fix or fix)
