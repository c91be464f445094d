"""How a wrong setting is reported: one line with key, value, what is allowed and where to fix it.

Knows nothing of single settings; it walks the models it is given.
"""

import json
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, cast, get_args, get_origin

import pulumi
from pulumi.runtime import config as engine
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

PROJECT = "spillway"
SHOWN = 60
"""Characters of a wrong value that are printed."""
LOOKS_SECRET = re.compile(
    r"pass|secret|token|credential|kubeconfig|(access|private|api)_?key", re.I
)
ALMOST = 0.75

Path = tuple[str | int, ...]
ENTRY = "<name>"
"""Stands for any key of a map of sections."""
_KEY = "[key]"
"""How pydantic says that it is the key of a map which is wrong."""
_FILE: ContextVar[str] = ContextVar("stack file", default="")


@dataclass(frozen=True)
class Problem:
    """A known key with a value that is not allowed."""

    path: Path
    value: Any
    allowed: str


def key(path: Path) -> str:
    """``("mlflow", "hosts", 0)`` as people write it: ``spillway:mlflow.hosts[0]``."""
    parts = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return f"{PROJECT}:{parts.removeprefix('.')}"


def shown(path: Path, value: Any) -> str:
    """The value on one short line, or only a mark if it is or could be a secret."""
    if value is None:
        return "null"
    if engine.is_config_secret(f"{PROJECT}:{path[0]}") or any(
        LOOKS_SECRET.search(str(part)) for part in path
    ):
        return "[secret]"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


@contextmanager
def in_file(name: str) -> Generator[None]:
    """While a stack file is read without an engine that knows the stack."""
    token = _FILE.set(name)
    try:
        yield
    finally:
        _FILE.reset(token)


def offline() -> bool:
    """Whether a stack file is read without an engine, and so without its secrets."""
    return bool(_FILE.get())


def stack() -> str:
    """Name of the stack whose config is read."""
    return _FILE.get().split(".")[1] if offline() else pulumi.get_stack()


def where() -> str:
    """Which file to open."""
    return f"Fix it in {_FILE.get() or f'Pulumi.{stack()}.yaml'}."


def refuse(problem: Problem) -> pulumi.RunError:
    """A known key whose value is wrong."""
    value = shown(problem.path, problem.value)
    return pulumi.RunError(
        f"{key(problem.path)} is {value}, but must be {problem.allowed}. {where()}"
    )


def unknown_key(path: Path, value: Any, root: type[BaseModel]) -> pulumi.RunError:
    """A key nobody reads, with the known one that resembles it most."""
    parent = _generic(path, root)[:-1]
    siblings = ", ".join(_children(root, parent))
    return pulumi.RunError(
        f"{key(path)} (set to {shown(path, value)}) is not a setting; "
        f"nearest known key: {_nearest(path, root)}; allowed here: {siblings}. {where()}"
    )


def foreign_key(name: str) -> None:
    """Refuse keys of other namespaces that look as if they configured this project."""
    space = name.partition(":")[0]
    if space == "kubernetes":
        raise pulumi.RunError(
            f"{name} has no effect here: the stack makes its own provider; nearest known key: "
            f"{PROJECT}:cluster.context; allowed: no kubernetes: keys. {where()}"
        )
    if SequenceMatcher(None, space.lower(), PROJECT).ratio() >= ALMOST:
        raise pulumi.RunError(
            f"{name} is not a setting: its namespace is {space!r}; nearest known key: "
            f"{PROJECT}:{name.partition(':')[2]}; allowed: keys that begin with {PROJECT}:. "
            f"{where()}"
        )


def from_validation(error: ValidationError, root: type[BaseModel]) -> pulumi.RunError:
    """The first thing pydantic found, in our words: its own would print secrets."""
    first = error.errors(include_url=False, include_context=False)[0]
    path: Path = _without_choices(first["loc"], root)
    if path[-1:] == (_KEY,):
        return refuse(Problem(path[:-1], first["input"], allowed(path[:-2], root)))
    if first["type"] == "extra_forbidden":
        return unknown_key(path, first["input"], root)
    return refuse(Problem(path, first["input"], allowed(path, root)))


def allowed(path: Path, root: type[BaseModel]) -> str:
    """What the setting on this path may be, as its model says."""
    fields = list(_along(path, root))
    return rule(fields[-1] if fields else None) or "as the schema says"


def _along(path: Path, root: type[BaseModel]) -> Iterator[FieldInfo | None]:
    """The fields on a path, from the outermost; a name in a map of sections has none."""
    model: type[BaseModel] | None = root
    entry = False
    for name in path:
        if isinstance(name, int):
            continue
        if entry:
            entry = False
            continue
        field = _fields(model).get(name) if model else None
        model, entry = section(field), is_map(field)
        yield field


def _without_choices(path: Path, root: type[BaseModel]) -> Path:
    """Without what pydantic adds behind an element of a list: which of its types did not fit.

    Behind an element that is a section there are keys, and they stay.
    """
    elements = [at for at, part in enumerate(path) if isinstance(part, int)]
    if not elements or section(list(_along(path[: elements[-1]], root))[-1]):
        return path
    return path[: elements[-1] + 1]


def rule(field: FieldInfo | None) -> str:
    """What a field says about its values, in words."""
    extra = field.json_schema_extra if field else None
    if not isinstance(extra, dict):
        return ""
    return str(cast("dict[str, object]", extra).get("allowed", ""))


def section(field: FieldInfo | None) -> type[BaseModel] | None:
    """The model of a field that holds further settings."""
    if field is None:
        return None
    types: tuple[Any, ...] = (field.annotation, *get_args(field.annotation))
    return next((t for t in types if isinstance(t, type) and issubclass(t, BaseModel)), None)


def is_map(field: FieldInfo | None) -> bool:
    """Whether a field holds sections by names that users choose."""
    return field is not None and get_origin(field.annotation) is dict


def known(root: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path that can be set, sections included."""
    for name, field in _fields(root).items():
        path = (*prefix, name)
        yield path
        if nested := section(field):
            yield from known(nested, (*path, ENTRY) if is_map(field) else path)


def _generic(path: Path, root: type[BaseModel]) -> tuple[str, ...]:
    """The path with ``<name>`` for what users chose."""
    model: type[BaseModel] | None = root
    found, entry = list[str](), False
    for part in path:
        if isinstance(part, int):
            continue
        found.append(ENTRY if entry else str(part))
        if not entry:
            field = _fields(model).get(str(part)) if model else None
            model, entry = section(field), is_map(field)
        else:
            entry = False
    return tuple(found)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _children(root: type[BaseModel], parent: tuple[str, ...]) -> list[str]:
    return [path[-1] for path in known(root) if path[:-1] == parent]


def _nearest(path: Path, root: type[BaseModel]) -> str:
    generic = _generic(path, root)
    wrong, leaf = ".".join(generic), generic[-1]

    def likeness(candidate: tuple[str, ...]) -> float:
        return max(
            SequenceMatcher(None, wrong.lower(), ".".join(candidate).lower()).ratio(),
            # The same word in another section is a misplaced key, a sibling is a misspelt one.
            SequenceMatcher(None, leaf.lower(), candidate[-1].lower()).ratio()
            - (0 if candidate[:-1] == generic[:-1] else 0.1),
        )

    return key(max(known(root), key=likeness))
