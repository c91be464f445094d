"""The engine's plan as ``pulumi preview --json --show-sames --ignore-protect`` prints it.

The shape is that of the engine's own ``display.PreviewDigest``. Without ``--ignore-protect`` the
engine stops at the first protected resource and hides the rest; without ``--show-sames`` nothing is
said about what stays. Both are noticed (``truncated``, ``whole``).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

ROOT = "pulumi:pulumi:Stack"
PROTECTED = re.compile(r"marked for protection|because it is protected")
SUMMARY = "error: preview failed"
"""What the engine says last, whatever it was."""
URN_PARTS = 4


class PlanError(Exception):
    """The plan cannot be judged; one line that says why."""


class Change(StrEnum):
    """What becomes of a resource; the worst comes last."""

    SAME = "same"
    READ = "read"
    ADOPT = "adopt"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


OPERATIONS: Mapping[str, Change] = {
    "same": Change.SAME,
    "read": Change.READ,
    "read-replacement": Change.READ,
    "refresh": Change.READ,
    "discard": Change.READ,
    "discard-replaced": Change.READ,
    "import": Change.ADOPT,
    "create": Change.CREATE,
    "update": Change.UPDATE,
    "replace": Change.REPLACE,
    "create-replacement": Change.REPLACE,
    "delete-replaced": Change.REPLACE,
    "import-replacement": Change.REPLACE,
    "remove-pending-replace": Change.SAME,
    "extend-parameterize": Change.SAME,
    "diff": Change.SAME,
    "delete": Change.DELETE,
}


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class State(_Part):
    """A resource before or after."""

    type: str
    custom: bool = False
    parent: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False


class Difference(_Part):
    """How one property differs."""

    kind: str = ""


class Step(_Part):
    """One line of the engine's plan."""

    op: str
    urn: str
    old_state: State | None = None
    new_state: State | None = None
    diff_reasons: list[str] = Field(default_factory=list)
    replace_reasons: list[str] = Field(default_factory=list)
    detailed_diff: dict[str, Difference] | None = None


class Diagnostic(_Part):
    """Something the engine said."""

    urn: str = ""
    message: str = ""
    severity: str = ""


class Digest(_Part):
    """The whole document."""

    config: dict[str, str] = Field(default_factory=dict)
    steps: list[Step] = Field(default_factory=list[Step])
    diagnostics: list[Diagnostic] = Field(default_factory=list[Diagnostic])
    change_summary: dict[str, int] = Field(default_factory=dict)
    maybe_corrupt: bool = False


@dataclass(frozen=True)
class Resource:
    """A resource of the plan, with all that the engine says about it in one place."""

    urn: str
    change: Change
    old: State | None
    new: State | None
    reasons: tuple[str, ...]
    """Paths of the inputs that force a replacement, or that an update changes."""

    @property
    def state(self) -> State:
        """As it will be, or was."""
        return cast("State", self.new or self.old)

    @property
    def type(self) -> str:
        """Its type token: ``aws:rds/instance:Instance``."""
        return self.state.type

    @property
    def name(self) -> str:
        """Its name in the program."""
        return name_of(self.urn)

    @property
    def before(self) -> Mapping[str, Any]:
        """Its inputs as they are."""
        return self.old.inputs if self.old else {}

    @property
    def after(self) -> Mapping[str, Any]:
        """Its inputs as they will be; none when it is deleted."""
        return self.new.inputs if self.new else {}

    @property
    def gone(self) -> bool:
        """Whether what is there now goes."""
        return self.change in (Change.REPLACE, Change.DELETE)


@dataclass(frozen=True)
class Plan:
    """Everything the gate looks at."""

    digest: Digest
    resources: tuple[Resource, ...]

    @property
    def config(self) -> Mapping[str, str]:
        """The stack's configuration, secrets blinded by the engine."""
        return self.digest.config

    @cached_property
    def stack(self) -> str:
        """The name of the stack."""
        return next((r.urn.split("::")[0].rpartition(":")[2] for r in self.resources), "")

    @cached_property
    def by_urn(self) -> Mapping[str, Resource]:
        """Resources by URN."""
        return {r.urn: r for r in self.resources}

    @property
    def whole(self) -> bool:
        """Whether resources that stay the same are in it too."""
        listed = sum(r.change is Change.SAME for r in self.resources)
        return listed >= self.digest.change_summary.get("same", 0)

    @property
    def errors(self) -> Sequence[Diagnostic]:
        """What the engine could not plan, apart from what it refuses for being protected."""
        return [d for d in self._complaints if not PROTECTED.search(d.message)]

    @property
    def truncated(self) -> bool:
        """Whether the engine stopped at something protected: what comes after it is not told."""
        return any(PROTECTED.search(d.message) for d in self._complaints)

    @property
    def _complaints(self) -> Sequence[Diagnostic]:
        said = [d for d in self.digest.diagnostics if d.severity == "error"]
        return [d for d in said if d.message.strip() != SUMMARY] or said

    def component(self, resource: Resource) -> str:
        """The URN of the nearest component around a resource; of the stack when there is none."""
        urn, seen = resource.state.parent, set[str]()
        while urn and urn not in seen:
            seen.add(urn)
            parent = self.by_urn.get(urn)
            if parent is None or not parent.state.custom:
                return urn
            urn = parent.state.parent
        return ""


def parse(document: Any) -> Plan:
    """Check what the engine printed and put the steps of each resource together."""
    if not isinstance(document, dict):
        raise PlanError("the plan is not a JSON object")
    try:
        digest = Digest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PlanError(f"the plan has an unexpected shape at {where}: {first['msg']}") from None
    if not digest.steps:
        said = next((d.message for d in digest.diagnostics if d.severity == "error"), "")
        raise PlanError(f"the plan has no steps{': ' if said else ''}{_line(said)}")
    return Plan(digest, tuple(_resources(digest.steps)))


def read(text: str) -> Plan:
    """A plan from the text of a file."""
    try:
        return parse(json.loads(text))
    except ValueError as error:
        raise PlanError(f"the plan is not JSON: {error}") from None


def _line(message: str) -> str:
    return (message.removeprefix("error: ").strip().splitlines() or [""])[0]


def _resources(steps: Sequence[Step]) -> Iterator[Resource]:
    by_urn: dict[str, list[Step]] = {}
    for step in steps:
        if step.op not in OPERATIONS:
            raise PlanError(f"the plan has an operation that the gate does not know: {step.op}")
        if step.urn.count("::") < URN_PARTS - 1:
            raise PlanError("the plan has a step whose URN is none")
        if step.old_state is None and step.new_state is None:
            raise PlanError(f"the plan says neither what was nor what will be of {step.urn}")
        by_urn.setdefault(step.urn, []).append(step)
    for urn, own in by_urn.items():
        yield _resource(urn, own)


def _resource(urn: str, steps: Sequence[Step]) -> Resource:
    """With ``--show-replacement-steps`` a replacement is three steps, of which one tells it all."""
    changes = {OPERATIONS[step.op] for step in steps}
    if {Change.CREATE, Change.DELETE} <= changes:
        changes.add(Change.REPLACE)
        changes.discard(Change.DELETE)
    change = max(changes, key=list(Change).index)
    old = next((s.old_state for s in steps if s.old_state), None)
    new = next((s.new_state for s in steps if s.new_state), None)
    told = max(steps, key=lambda s: (s.op == change, len(s.detailed_diff or {})))
    return Resource(urn, change, old, new, _reasons(told, change))


def _reasons(step: Step, change: Change) -> tuple[str, ...]:
    """The most precise of the three places in which the engine gives reasons."""
    diff = step.detailed_diff or {}
    if change is Change.REPLACE:
        forced = [path for path, d in diff.items() if d.kind.endswith("-replace")]
        return tuple(sorted(forced)) or tuple(step.replace_reasons)
    return tuple(sorted(diff)) or tuple(step.diff_reasons)


def name_of(urn: str) -> str:
    """The last part of a URN, which may itself contain colons."""
    return urn.split("::", URN_PARTS - 1)[-1]


def type_of(urn: str) -> str:
    """The type at the end of a URN's chain; nothing of what is no URN."""
    parts = urn.split("::", URN_PARTS - 1)
    return parts[2].rpartition("$")[2] if len(parts) == URN_PARTS else ""
