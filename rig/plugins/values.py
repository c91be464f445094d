"""Property values as a provider meets them on the wire: plain data, secrets and unknowns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

# The engine marks special values by these keys and strings; they are part of its protocol:
# https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/resource/plugin/rpc.go
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (the mark of a secret, not one)
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS: Final = frozenset(
    {
        _UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # a list
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)

Value = Any
"""None, bool, int, float, str, list, dict, a `Secret`, or `UNKNOWN`."""
Values = dict[str, Value]


@dataclass(frozen=True, repr=False)
class Secret:
    """A value the engine encrypts in its state and hides in its output; it has no repr to leak."""

    value: Value

    def __repr__(self) -> str:
        return "Secret(…)"


class Unknown:
    """A value that only the update itself will know; what previews show as `[unknown]`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


def from_struct(struct: struct_pb2.Struct) -> Values:
    """Reads what the engine sent."""
    return {key: _read(value) for key, value in struct.fields.items()}


def to_struct(values: Mapping[str, Value]) -> struct_pb2.Struct:
    """Writes an answer; None is left out, as the engine itself does."""
    struct = struct_pb2.Struct()
    struct.update({key: _write(value) for key, value in values.items() if value is not None})
    return struct


def plain(value: Value) -> Value:
    """The value without its secret marks, for computing and comparing; never for output."""
    match value:
        case Secret():
            return plain(value.value)
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _:
            return value


def is_unknown(value: Value) -> bool:
    """Whether any part of the value is not known yet."""
    match plain(value):
        case Unknown():
            return True
        case list() as items:
            return any(is_unknown(item) for item in items)
        case dict() as items:
            return any(is_unknown(item) for item in items.values())
        case _:
            return False


def _read(value: struct_pb2.Value) -> Value:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _read_object(from_struct(value.struct_value))
        case "list_value":
            return [_read(item) for item in value.list_value.values]
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _read_object(value: Values) -> Value:
    return Secret(value.get("value")) if value.get(_SIGNATURE) == _SECRET else value


def _write(value: Value) -> Value:
    match value:
        case Secret():
            return {_SIGNATURE: _SECRET, "value": _write(value.value)}
        case Unknown():
            return _UNKNOWN
        case list():
            return [_write(item) for item in value]
        case dict():
            return {key: _write(item) for key, item in value.items()}
        case _:
            return value
