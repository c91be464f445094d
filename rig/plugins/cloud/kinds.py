"""How a type of a cloud's resources is declared: its names, its rules, what it needs and makes."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rig.plugins.base import Failure
from rig.plugins.cloud.world import HIDDEN, Entry, World
from rig.plugins.values import UNKNOWN, Value, Values, is_unknown

_STEP: Final = re.compile(r"[^.\[\]]+|\[\*\]|\[\d+\]")


class Refused(Exception):
    """What a cloud answers to a call it will not do, in one line."""


@dataclass(frozen=True)
class Given:
    """Plain inputs, of which some may not be known yet: those are as if they were not there."""

    values: Values
    place: Mapping[str, str]
    """Account, region, project and the like."""

    def __contains__(self, name: str) -> bool:
        """Whether there is a value, known or not."""
        return self.values.get(name) is not None

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a path such as `settings.tier`, where there is one that is known."""
        return next((value for _, value in self.each(path)), default)

    def each(self, path: str, *, partly: bool = False) -> Iterator[tuple[str, Any]]:
        """Every known value at a path such as `rules[*].id`, with the path it has itself.

        `partly` for lists and objects of which not every part is known.
        """
        found: list[tuple[str, Value]] = [("", self.values)]
        for step in _STEP.findall(path):
            found = [one for at, value in found for one in _below(at, value, step)]
        for at, value in found:
            unknown = value is UNKNOWN if partly else is_unknown(value)
            if value is not None and not unknown and value != HIDDEN:
                yield at, value


def _below(at: str, value: Value, step: str) -> Iterator[tuple[str, Value]]:
    if step == "[*]":
        if isinstance(value, list):
            yield from ((f"{at}[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, dict) and step in value:
        yield (f"{at}.{step}" if at else step), value[step]


Rule = Callable[[Given], Iterable[Failure]]
"""What a cloud refuses by itself, whatever else exists: checked as soon as a value is known."""


@dataclass(frozen=True)
class Made(Given):
    """Something that exists: from its id and inputs follows everything else it has."""

    id: str
    world: World
    created: str = ""

    def hex(self, what: str, length: int) -> str:
        """Digits that are always the same for this resource."""
        return digits(self.id, what, length)

    def number(self, what: str, below: int) -> int:
        """A number that is always the same for this resource."""
        return int(self.hex(what, 12), 16) % below

    def other(self, token: str, path: str) -> Entry | None:
        """What an input names."""
        return self.world.find(token, self.get(path))


@dataclass(frozen=True)
class Ref:
    """Inputs that name something else, which must exist."""

    path: str
    token: str
    blocks: bool = True
    """Whether that cannot be deleted while this exists; else this is gone with it."""
    pattern: str = ""
    """What part of the value is the name, and which values are names at all."""

    def name(self, value: object) -> str | None:
        """The name of the other in a value."""
        if not isinstance(value, str):
            return None
        if not self.pattern:
            return value
        found = re.search(self.pattern, value)
        return found[1] if found else None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One type of resource."""

    type: str
    called: str
    """In messages."""
    identify: Callable[[Values, Mapping[str, str]], str]
    """Its id, from complete inputs; `{n}` in it becomes the first number that is free."""
    name: str | None = None
    """The input that the provider makes up where the program gives none."""
    instead: Sequence[str] = ()
    """Inputs in whose presence it does not."""
    unique: Sequence[str] = ()
    """Outputs besides the id of which there cannot be two."""
    handles: Sequence[str] = ("arn", "name", "selfLink")
    """Outputs besides the id by which others may call it."""
    overwrites: bool = False
    """Whether to make what exists already is to change it, as for grants and what is PUT."""
    replaces: frozenset[str] = frozenset()
    """Inputs of which any change makes a new resource; nested ones by their path."""
    replaces_if: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict[str, Any])
    """Inputs of which some changes do."""
    delete_first: bool = False
    """Whether the real provider replaces it in that order, however it is named."""
    unordered: frozenset[str] = frozenset()
    """Lists whose order means nothing."""
    kept: frozenset[str] = frozenset()
    """Inputs that stay as they are when the program stops giving them."""
    documents: frozenset[str] = frozenset()
    """Inputs that are JSON: other spaces are no change."""
    rules: Sequence[Rule] = ()
    refs: Sequence[Ref] = ()
    placed: Callable[[Given, World, str], Iterable[Failure]] | None = None
    """What a cloud refuses because of what else exists; told the URN of who asks."""
    updated: Callable[[Given, Given], Iterable[Failure]] | None = None
    """What a cloud refuses to make of something that exists."""
    outputs: Callable[[Made], Values] = lambda _: {}
    """What it has besides its inputs."""
    leaving: Callable[[Made], Iterable[Entry]] | None = None
    """Called before it goes: refuses, or says what it leaves behind."""
    rests: str = ""
    """Why its name cannot be given again at once after it is gone."""


def digits(identifier: str, what: str, length: int) -> str:
    """Hexadecimal digits that are always the same for an id."""
    return hashlib.sha256(f"{identifier}/{what}".encode()).hexdigest()[:length]


def at(*parts: str) -> Callable[[Values, Mapping[str, str]], str]:
    """An id made of texts with `{input}` and `{place}` in braces."""
    template = "".join(parts)
    names = re.findall(r"{(\w+)}", template)

    def identify(values: Values, place: Mapping[str, str]) -> str:
        found = {name: values.get(name) or place.get(name, "") for name in names}
        return template.format(**found)

    return identify
