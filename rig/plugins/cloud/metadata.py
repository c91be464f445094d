"""What the installed SDK says about a type of resource: names, types, what is required or secret.

Read once from the classes of the SDK and kept as JSON in the cache: importing the classes takes
seconds, and an engine starts its plugins anew for every command.
"""

import inspect
import json
import re
import tempfile
import threading
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pulumi import _types

from rig import paths
from rig.plugins.base import Failure, unknown_name
from rig.plugins.values import UNKNOWN, Value, Values, plain

FORMAT: Final = 3
"""Of the files in the cache; another number and they are made anew."""
BOOKKEEPING: Final = "__"
"""Properties that begin so are the engine's or the provider's own, not the program's."""
_DEPTH: Final = 10
_FORCES: Final = re.compile(
    r"forces? (the )?(a )?(new (resource|interface)|(re-?creation|replacement))"
    r"|changing (this|it) (will )?(forces?|creates?|recreates?) (a )?(new|re)"
    r"|forces a new \w+ to be created",
    re.IGNORECASE,
)
_SECRET: Final = re.compile(r"additional_secret_outputs=\[([^\]]*)\]")

Type = Any
"""A name in `_SAID`, or ["list", Type], ["map", Type], ["object", {name: [Type, required]}]."""
_SAID: Final[Mapping[str, str]] = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
}


class NoSuchType(Exception):
    """The SDK has no such type."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """One type of resource, as its SDK has it."""

    token: str
    inputs: Mapping[str, Type]
    required: Sequence[str]
    outputs: Sequence[str]
    """Inputs are outputs as well."""
    secrets: Sequence[str]
    """Outputs that are always encrypted."""
    forces: Sequence[str]
    """Inputs of which the SDK's documentation says that a change makes a new resource."""

    @cached_property
    def computed(self) -> frozenset[str]:
        """Outputs that no program can give."""
        return frozenset(self.outputs) - frozenset(self.inputs)

    def check(self, inputs: Mapping[str, Value]) -> list[Failure]:
        """All that is wrong with names and types; a value not known yet may turn out right."""
        given = {n: v for n, v in plain(dict(inputs)).items() if v is not None}
        return [
            *_object(given, self.inputs, self.token, ""),
            *(Failure(name, "is required") for name in self.required if name not in given),
        ]


_READING: Final = threading.Lock()
"""The SDKs import a module when it is asked for, and two threads at once see half of one."""


def schema(package: str, token: str, *, init: str | None = None) -> Schema:
    """What the SDK of a package, such as `aws`, says; `init` is the class of a provider itself."""
    file = _cache(package) / f"{re.sub(r'[^A-Za-z0-9]+', '.', token)}.json"
    try:
        return Schema(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        with _READING:
            found = _read(package, token, init)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as written:
        json.dump(vars(found), written)
    Path(written.name).replace(file)
    return found


def _cache(package: str) -> Path:
    return paths.cache_dir() / "schemas" / f"{package}-{version(f'pulumi-{package}')}-{FORMAT}"


# -- checking -------------------------------------------------------------------------------------


def _object(
    given: Mapping[str, Value], known: Mapping[str, Type], owner: str, path: str
) -> Iterator[Failure]:
    for name, value in given.items():
        if name.startswith(BOOKKEEPING) or value is None:
            continue
        where = f"{path}.{name}" if path else name
        if name not in known:
            yield unknown_name(name, owner, known, where)
        else:
            yield from _value(value, known[name], where)


def _value(value: Value, wanted: Type, path: str) -> Iterator[Failure]:
    if value is UNKNOWN or value is None or wanted == "any":
        return
    if isinstance(wanted, str):
        if not _is(value, wanted):
            yield Failure(path, f"must be {_SAID[wanted]}")
        return
    shape, inner = wanted
    match shape:
        case "list" if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _value(item, inner, f"{path}[{index}]")
        case "map" if isinstance(value, dict):
            for key, item in value.items():
                yield from _value(item, inner, f"{path}.{key}")
        case "object" if isinstance(value, dict):
            yield from _object(value, {name: kind for name, (kind, _) in inner.items()}, path, path)
            yield from (
                Failure(f"{path}.{name}", "is required")
                for name, (_, required) in inner.items()
                if required and value.get(name) is None
            )
        case "list":
            yield Failure(path, "must be a list")
        case _:
            yield Failure(path, f"must be {'a map' if shape == 'map' else 'an object'}")


def _is(value: Value, wanted: str) -> bool:
    match wanted:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return isinstance(value, str)


# -- reading the SDK ------------------------------------------------------------------------------


def _read(package: str, token: str, init: str | None) -> Schema:
    found = _classes(package, token, init)
    if found is None:
        raise NoSuchType(f"the SDK pulumi-{package} has no {token}")
    resource, arguments = found
    parameters = inspect.signature(arguments).parameters
    names = _types.input_type_py_to_pulumi_names(arguments)
    types = _types.input_type_types(arguments)
    docs = {
        names[name]: member.__doc__ or ""
        for name, member in vars(arguments).items()
        if isinstance(member, property) and name in names
    }
    secret = _SECRET.findall(inspect.getsource(resource))
    return Schema(
        token=token,
        inputs={name: _type(kind) for name, kind in types.items()},
        required=[names[n] for n, p in parameters.items() if p.default is p.empty and n in names],
        outputs=list(_types.resource_types(resource)),
        secrets=sorted({name.strip("\"' ") for group in secret for name in group.split(",")}),
        forces=[name for name, text in docs.items() if _FORCES.search(" ".join(text.split()))],
    )


def _classes(package: str, token: str, init: str | None) -> tuple[type, type] | None:
    """The class of a resource, and that of its arguments, whatever its name had to be."""
    module = token.split(":")[1].split("/", maxsplit=1)[0]
    name = init or token.rsplit(":", 1)[-1]
    try:
        home = import_module(f"pulumi_{package}" if init else f"pulumi_{package}.{module}")
        resource = getattr(home, name)
    except (ImportError, AttributeError):
        return None
    if not init and getattr(resource, "pulumi_type", None) != token:
        return None
    own = import_module(resource.__module__)
    # A nested type may have taken the usual name, as in s3.BucketVersioning.
    usual = (f"{name}InitArgs", f"{name}Args")
    return resource, next(getattr(own, found) for found in usual if hasattr(own, found))


def _type(found: Any, depth: int = 0) -> Type:
    for one in _alternatives(found):
        if _types.is_input_type(one):
            return ["object", _fields(one, depth + 1)] if depth < _DEPTH else "any"
        origin, inner = typing.get_origin(one), typing.get_args(one)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return ["map", _type(inner[1], depth + 1)]
        if isinstance(origin, type) and issubclass(origin, Sequence):
            return ["list", _type(inner[0], depth + 1)]
        if one in _PLAIN:
            return _PLAIN[one]
        if isinstance(one, type) and issubclass(one, Enum):
            return "string" if issubclass(one, str) else "number"
    return "any"


_PLAIN: Final[Mapping[Any, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
}


def _alternatives(found: Any) -> Iterable[Any]:
    """The types in a union, without those that only say that a value may come later."""
    if not _types._is_union_type(found):
        return [found]
    return [one for one in typing.get_args(found) if one is not type(None)]


def _fields(arguments: type, depth: int) -> dict[str, Any]:
    parameters = inspect.signature(arguments).parameters
    names = _types.input_type_py_to_pulumi_names(arguments)
    required = {names[n] for n, p in parameters.items() if p.default is p.empty and n in names}
    return {
        name: [_type(kind, depth), name in required]
        for name, kind in _types.input_type_types(arguments).items()
    }


def given(values: Values) -> Values:
    """What the program gave: without bookkeeping and without what is none."""
    return {
        name: value
        for name, value in values.items()
        if value is not None and not name.startswith(BOOKKEEPING)
    }
