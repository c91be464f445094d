"""The resources of the `random` package that a stack uses, as pulumi-random makes them."""

import base64
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import ClassVar, Final

from rig.plugins.base import Failure, Kind, Property, Resource, StandIn
from rig.plugins.values import UNKNOWN, Values

VERSION: Final = "4.21.4"
"""The release of pulumi-random that this behaves like; its SDK is pinned to the same."""

SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
# The engine must find an id; nothing identifies a random value, and an id is never encrypted.
_ID: Final = "none"
_KEEPERS: Final = Property(kind=Kind.STRINGS)
_LENGTH: Final = Property(kind=Kind.INTEGER, required=True)
_ON: Final = Property(kind=Kind.BOOLEAN, default=True)
_NONE_NEEDED: Final = Property(kind=Kind.INTEGER, default=0)
_SECRET: Final = Property(kind=Kind.STRING, secret=True)


class RandomPassword(Resource):
    """A password of a length, from chosen classes of characters."""

    token: ClassVar[str] = "random:index/randomPassword:RandomPassword"  # noqa: S105 (a type)
    inputs: ClassVar[Mapping[str, Property]] = {
        "keepers": _KEEPERS,
        "length": _LENGTH,
        "lower": _ON,
        "minLower": _NONE_NEEDED,
        "minNumeric": _NONE_NEEDED,
        "minSpecial": _NONE_NEEDED,
        "minUpper": _NONE_NEEDED,
        "number": Property(kind=Kind.BOOLEAN),
        "numeric": Property(kind=Kind.BOOLEAN),
        "overrideSpecial": Property(kind=Kind.STRING),
        "special": _ON,
        "upper": _ON,
    }
    outputs: ClassVar[Mapping[str, Property]] = {"result": _SECRET}

    def complete(self, inputs: Values) -> Values:
        """`number` is the old name of `numeric`: who gives one gives both."""
        complete = super().complete(inputs)
        given = [complete[name] for name in ("numeric", "number") if complete[name] is not None]
        numeric, number = (given[0], given[-1]) if given else (True, True)
        return complete | {"numeric": numeric, "number": number}

    def validate(self, inputs: Values) -> Iterator[Failure]:
        """What the real provider refuses, and what would make it crash."""
        minimums = {name: inputs[name] for name in inputs if name.startswith("min")}
        yield from (
            Failure(name, f"must be at least 0, not {value}")
            for name, value in minimums.items()
            if value is not UNKNOWN and value < 0
        )
        yield from _length_failures(inputs["length"], minimums)
        if UNKNOWN not in (inputs["numeric"], inputs["number"]) and (
            inputs["numeric"] != inputs["number"]
        ):
            yield Failure("number", "is the old name of 'numeric': give one of them, not both")
        classes = ("special", "upper", "lower", "numeric")
        if all(inputs[name] is False for name in classes):
            yield Failure("special", f"one of {', '.join(classes)} must be true")

    def create(self, inputs: Values) -> tuple[str, Values]:
        """Draws the minimum of each class, the rest from all that are on, and shuffles."""
        classes = {
            "Upper": string.ascii_uppercase,
            "Lower": string.ascii_lowercase,
            "Numeric": string.digits,
            "Special": inputs["overrideSpecial"] or SPECIAL,
        }
        needed = chain.from_iterable(
            _draw(characters, inputs[f"min{name}"]) for name, characters in classes.items()
        )
        drawn = list(needed)
        allowed = "".join(chars for name, chars in classes.items() if inputs[name.lower()])
        drawn += _draw(allowed, inputs["length"] - len(drawn))
        secrets.SystemRandom().shuffle(drawn)
        return _ID, {"result": "".join(drawn)}


class RandomId(Resource):
    """Random bytes that name something: not secret, and so the resource's id as well."""

    token: ClassVar[str] = "random:index/randomId:RandomId"  # noqa: S105 (a type)
    inputs: ClassVar[Mapping[str, Property]] = {
        "byteLength": _LENGTH,
        "keepers": _KEEPERS,
        "prefix": Property(kind=Kind.STRING),
    }
    outputs: ClassVar[Mapping[str, Property]] = dict.fromkeys(
        ("b64Std", "b64Url", "dec", "hex"), Property(kind=Kind.STRING)
    )

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """At least one byte."""
        return _length_failures(inputs["byteLength"], {}, "byteLength")

    def create(self, inputs: Values) -> tuple[str, Values]:
        """Draws the bytes; every form but the id carries the prefix."""
        drawn, prefix = secrets.token_bytes(inputs["byteLength"]), inputs["prefix"] or ""
        identifier = base64.urlsafe_b64encode(drawn).decode().rstrip("=")
        return identifier, {
            "b64Std": prefix + base64.b64encode(drawn).decode(),
            "b64Url": prefix + identifier,
            "dec": f"{prefix}{int.from_bytes(drawn)}",
            "hex": prefix + drawn.hex(),
        }


def provider() -> StandIn:
    """The stand-in with all its resources."""
    return StandIn("random", VERSION, [RandomPassword(), RandomId()])


def _draw(characters: str, count: int) -> list[str]:
    return [secrets.choice(characters) for _ in range(count)]


def _length_failures(length: object, minimums: Values, name: str = "length") -> Iterator[Failure]:
    if not isinstance(length, int):
        return
    if length < 1:
        yield Failure(name, f"must be at least 1, not {length}")
    elif UNKNOWN not in minimums.values() and length < (least := sum(minimums.values())):
        yield Failure("length", f"must be at least {' + '.join(minimums)} = {least}, not {length}")
