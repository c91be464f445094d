"""What differs between a resource as it is and as the program wants it, and what that entails."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rig.plugins.base import Difference, difference
from rig.plugins.cloud.kinds import Kind
from rig.plugins.cloud.metadata import BOOKKEEPING, Schema
from rig.plugins.cloud.world import is_write_only
from rig.plugins.values import Value, Values, is_unknown, plain

_Found = tuple[str, Value, Value, Value]
"""Path, and what was asked for, what is, and what is wanted."""
DEFAULTS = "__defaults"
"""Which inputs the provider made up, as bridged providers write it into states."""


@dataclass(frozen=True)
class Change:
    """One property that is to be another."""

    path: str
    old: Value
    new: Value
    replaces: bool
    asked: bool
    """Whether the program asks for something else than before; else the cloud has drifted."""

    @property
    def top(self) -> str:
        """The property of the resource itself."""
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]

    @property
    def message(self) -> Any:
        """For the engine."""
        return Difference(kind=difference(self.old, self.new, self.replaces), inputDiff=self.asked)


def changes(
    kind: Kind, schema: Schema, before: Values, state: Values, wanted: Values
) -> list[Change]:
    """All changes from the inputs `before` and the `state` they led to."""
    before, state, wanted = plain(before), plain(state), plain(wanted)
    found: list[_Found] = []
    for name in dict.fromkeys((*wanted, *before)):
        if name.startswith(BOOKKEEPING) or is_write_only(name):
            continue
        new, asked = wanted.get(name), before.get(name)
        old = state.get(name, asked)
        if new is None and name in kind.kept:
            continue
        if name in kind.documents and _same_document(old, new):
            continue
        found += _differences(name, asked, old, new, kind)
    return [
        Change(path, old, new, _replaces(kind, schema, path, old, new), not _same(asked, new))
        for path, asked, old, new in found
    ]


def first_delete(kind: Kind, old: Values, new: Values) -> bool:
    """Whether the old one has to go first: an explicit name is not there twice."""
    if kind.delete_first:
        return True
    name = kind.name
    if name is None or new.get(name) is None or name in (plain(new.get(DEFAULTS)) or ()):
        return False
    return plain(new[name]) == plain(old.get(name))


def _differences(path: str, asked: Value, old: Value, new: Value, kind: Kind) -> Iterator[_Found]:
    if is_unknown(new) and not isinstance(new, dict | list):
        yield path, asked, old, new
    elif isinstance(new, dict) and isinstance(old, dict):
        was = asked if isinstance(asked, dict) else {}
        for name in dict.fromkeys((*new, *was)):
            if name.startswith(BOOKKEEPING):
                continue
            inner = f"{path}.{name}"
            if new.get(name) is None and _shape(inner) in kind.kept:
                continue
            yield from _differences(inner, was.get(name), old.get(name), new.get(name), kind)
    elif isinstance(new, list) and isinstance(old, list):
        yield from _lists(path, asked, old, new, kind)
    elif not _same(old, new):
        yield path, asked, old, new


def _lists(
    path: str, asked: Value, old: list[Value], new: list[Value], kind: Kind
) -> Iterator[_Found]:
    if _shape(path) in kind.unordered:
        if is_unknown(new) or sorted(map(_key, old)) != sorted(map(_key, new)):
            yield path, asked, old, new
        return
    was = asked if isinstance(asked, list) else []
    for index in range(max(len(old), len(new))):
        one, other, before = (
            items[index] if index < len(items) else None for items in (old, new, was)
        )
        yield from _differences(f"{path}[{index}]", before, one, other, kind)


def _same(old: Value, new: Value) -> bool:
    # A list or map that is empty and one that is not there are the same to most clouds.
    return old == new or (not old and not new and (old is None or new is None) and _empty(old, new))


def _empty(old: Value, new: Value) -> bool:
    return isinstance(old if new is None else new, list | dict)


def _key(value: Value) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _same_document(old: Value, new: Value) -> bool:
    try:
        return json.loads(old) == json.loads(new)
    except (TypeError, ValueError):
        return False


def _shape(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)


def _replaces(kind: Kind, schema: Schema, path: str, old: Value, new: Value) -> bool:
    steps = re.sub(r"\[\d+\]", "", path).split(".")
    above = {".".join(steps[: count + 1]) for count in range(len(steps))}
    if above & kind.replaces or steps[0] in schema.forces:
        return True
    rule = kind.replaces_if.get(_shape(path))
    return rule is not None and (is_unknown(new) or rule(old, new))


def effective(wanted: Mapping[str, Value], state: Values, here: Mapping[str, str]) -> list[Change]:
    """A region or project that follows the provider's own, which is another one now."""
    return [
        Change(name, plain(state.get(name)), value, replaces=True, asked=True)
        for name, value in here.items()
        if wanted.get(name) is None and plain(state.get(name)) not in (None, value)
    ]
