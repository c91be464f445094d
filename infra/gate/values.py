"""Values in a plan: how to find one by its path, and what of it people may be shown."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from infra.config_errors import LOOKS_SECRET

SECRET: Final = "[secret]"  # noqa: S105 - how the engine masks one
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key in objects that stand for a secret, should the engine ever not mask one."""
UNKNOWN: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
"""What the engine prints for a value that is known after the change only (plugin/rpc.go)."""
SHOWN: Final = 60
SECRET_TYPES: Final = re.compile(r"^kubernetes:.*:Secret$|^random:|^tls:|[sS]ecretVersion")
"""Of these no text is ever shown, masked or not."""
_PART: Final = re.compile(r'\.?([^.\[\]"]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]')
MISSING: Final = object()


def at(values: Any, path: str) -> Any:
    """The value on a path as the engine writes it: ``rules[0].filter["a.b"]``; or MISSING."""
    value = values
    for name, quoted, index in _PART.findall(path):
        if isinstance(value, list):
            items = cast("list[Any]", value)
            place = int(index) if index else -1
            value = items[place] if 0 <= place < len(items) else MISSING
        elif isinstance(value, dict):
            value = cast("dict[str, Any]", value).get(name or quoted, MISSING)
        else:
            return MISSING
    return value


def get(values: Mapping[str, Any], path: str) -> Any:
    """As ``at``, but None for what is missing, unknown or secret: nothing to reason about."""
    value = at(values, path)
    return None if value is MISSING or opaque(value) else value


def unknown(value: Any) -> bool:
    """Whether the value is known after the change only."""
    return isinstance(value, str) and value in UNKNOWN


def opaque(value: Any) -> bool:
    """Whether nobody can say what the value will be or is."""
    return unknown(value) or value == SECRET or _is_secret_object(value)


def shown(value: Any, path: str, type_: str) -> str:
    """A value in a few characters; nothing of what is or could be a secret."""
    if value is MISSING or value is None:
        return "(not set)"
    if unknown(value):
        return "(known after the change)"
    if isinstance(value, bool):
        return json.dumps(value)
    plain = isinstance(value, int | float)
    if LOOKS_SECRET.search(path) or _veiled(value) or (SECRET_TYPES.search(type_) and not plain):
        return SECRET
    return _brief(value)


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return f"(a map of {len(cast('dict[str, Any]', value))})"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= SHOWN:
        return text
    return f"({len(text)} characters)" if isinstance(value, str) else "(a list)"


def _is_secret_object(value: Any) -> bool:
    return isinstance(value, dict) and SIGNATURE in value


def _veiled(value: Any) -> bool:
    """Whether there is a secret anywhere inside."""
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value)
        return SIGNATURE in inner or any(
            LOOKS_SECRET.search(k) or _veiled(v) for k, v in inner.items()
        )
    if isinstance(value, list):
        return any(_veiled(v) for v in cast("list[Any]", value))
    return value == SECRET
