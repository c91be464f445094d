"""Rules that clouds have in common: alphabets, ranges, addresses, and what goes with what."""

import json
import re
from collections.abc import Callable, Collection, Iterator
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Rule


def text(path: str, pattern: str, said: str) -> Rule:
    """The text is of this form."""
    form = re.compile(pattern)

    def rule(given: Given) -> Iterator[Failure]:
        for where, value in given.each(path):
            if isinstance(value, str) and not form.fullmatch(value):
                yield Failure(where, f"{value!r} must be {said}")

    return rule


def keys(path: str, pattern: str, said: str) -> Rule:
    """The keys of a map are of this form."""
    form = re.compile(pattern)

    def rule(given: Given) -> Iterator[Failure]:
        for where, value in given.each(path):
            for key in value:
                if not form.fullmatch(key):
                    yield Failure(where, f"the key {key!r} must be {said}")

    return rule


def among(path: str, *allowed: Any) -> Rule:
    """The value is one of these."""

    def rule(given: Given) -> Iterator[Failure]:
        for where, value in given.each(path):
            if value not in allowed:
                yield Failure(where, f"{value!r} must be one of {', '.join(map(str, allowed))}")

    return rule


def between(path: str, least: int, most: int, unit: str = "") -> Rule:
    """The number, or a text that is one, is in this range."""

    def rule(given: Given) -> Iterator[Failure]:
        for where, value in given.each(path):
            number = _number(value)
            if number is None:
                yield Failure(where, f"{value!r} must be a number")
            elif not least <= number <= most:
                yield Failure(where, f"{value} must be {least} to {most}{unit and ' '}{unit}")

    return rule


def count(path: str, least: int, most: int, what: str) -> Rule:
    """The list is of this length."""

    def rule(given: Given) -> Iterator[Failure]:
        for where, value in given.each(path, partly=True):
            if not least <= len(value) <= most:
                yield Failure(where, f"has {len(value)} {what}; it takes {least} to {most}")

    return rule


def at_most(path: str, length: int) -> Rule:
    """The text is not longer than this."""

    def rule(given: Given) -> Iterator[Failure]:
        for where, value in given.each(path):
            if len(value) > length:
                yield Failure(where, f"has {len(value)} characters; it takes {length}")

    return rule


def exclusive(*names: str) -> Rule:
    """Not more than one of these is given."""

    def rule(given: Given) -> Iterator[Failure]:
        found = [name for name in names if name in given]
        if len(found) > 1:
            yield Failure(found[0], f"conflicts with {', '.join(found[1:])}")

    return rule


def some(*names: str) -> Rule:
    """At least one of these is given."""

    def rule(given: Given) -> Iterator[Failure]:
        if not any(name in given for name in names):
            yield Failure(names[0], f"is required, or one of {', '.join(names[1:])}")

    return rule


def with_other(name: str, other: str) -> Rule:
    """The one is not given without the other."""

    def rule(given: Given) -> Iterator[Failure]:
        if name in given and other not in given:
            yield Failure(name, f"needs {other} as well")

    return rule


def cidr(path: str, largest: int = 0, smallest: int = 32) -> Rule:
    """The text is an IPv4 network without host bits, of a size in this range."""

    def rule(given: Given) -> Iterator[Failure]:
        for where, value in given.each(path):
            if not isinstance(value, str) or ":" in value:
                continue
            network = as_network(value)
            if "/" not in value or (network is None and not _loose(value)):
                yield Failure(where, f"{value!r} must be a CIDR such as 10.64.0.0/16")
            elif network is None:
                meant = ip_network(value, strict=False)
                yield Failure(where, f"{value!r} has host bits set: {meant} is the network")
            elif not largest <= network.prefixlen <= smallest:
                yield Failure(where, f"{value!r} must be a /{largest} to a /{smallest}")

    return rule


def address(path: str, *, public: bool = False) -> Rule:
    """The text is an IPv4 address; a public one where others must reach it."""

    def rule(given: Given) -> Iterator[Failure]:
        for where, value in given.each(path):
            try:
                found = IPv4Address(value)
            except ValueError:
                yield Failure(where, f"{value!r} must be an IPv4 address")
                continue
            if public and (not_public := _why_private(found)):
                yield Failure(where, f"{value!r} must be a public address, not {not_public}")

    return rule


def document(path: str, check: Callable[[Any], Iterator[str]]) -> Rule:
    """The text is JSON, and `check` has nothing to say about it."""

    def rule(given: Given) -> Iterator[Failure]:
        for where, value in given.each(path):
            try:
                content = json.loads(value)
            except ValueError as error:
                yield Failure(where, f"must be JSON: {error}")
                continue
            yield from (Failure(where, said) for said in check(content))

    return rule


def when(condition: Callable[[Given], bool], rule: Rule) -> Rule:
    """The rule holds only then."""
    return lambda given: rule(given) if condition(given) else ()


def as_network(value: object) -> IPv4Network | None:
    """The network that a text is, if it is one."""
    try:
        return IPv4Network(str(value))
    except ValueError:
        return None


def listed(names: Collection[str]) -> str:
    """For messages."""
    return ", ".join(sorted(names))


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _loose(value: str) -> bool:
    try:
        return bool(ip_network(value, strict=False))
    except ValueError:
        return False


def _why_private(found: IPv4Address) -> str:
    documentation = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
    if any(found in IPv4Network(block) for block in documentation):
        return ""  # stands for a public one in every example
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        return "a special one"
    return "a private one" if found.is_private else ""
