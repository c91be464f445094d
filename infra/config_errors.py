"""How a wrong setting is reported: one line with key, value, what is allowed and where to fix it.

Knows nothing of single settings; it walks the models it is given.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, cast, get_args

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
    if engine.is_config_secret(f"{PROJECT}:{path[0]}") or any(
        LOOKS_SECRET.search(str(part)) for part in path
    ):
        return "[secret]"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def where() -> str:
    """Which file to open."""
    return f"Fix it in Pulumi.{pulumi.get_stack()}.yaml."


def refuse(problem: Problem) -> pulumi.RunError:
    """A known key whose value is wrong."""
    value = shown(problem.path, problem.value)
    return pulumi.RunError(
        f"{key(problem.path)} is {value}, but must be {problem.allowed}. {where()}"
    )


def unknown_key(path: Path, value: Any, root: type[BaseModel]) -> pulumi.RunError:
    """A key nobody reads, with the known one that resembles it most."""
    parent = path[:-1]
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
    path: Path = first["loc"]
    if first["type"] == "extra_forbidden":
        return unknown_key(path, first["input"], root)
    return refuse(Problem(path, first["input"], allowed(path, root)))


def allowed(path: Path, root: type[BaseModel]) -> str:
    """What the setting on this path may be, as its model says."""
    names = [p for p in path if isinstance(p, str)]
    model: type[BaseModel] | None = root
    field: FieldInfo | None = None
    for name in names:
        field = _fields(model).get(name) if model else None
        model = section(field)
    return rule(field) or "as the schema says"


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


def known(root: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path that can be set, sections included."""
    for name, field in _fields(root).items():
        yield (*prefix, name)
        if nested := section(field):
            yield from known(nested, (*prefix, name))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _children(root: type[BaseModel], parent: Path) -> list[str]:
    return [path[-1] for path in known(root) if path[:-1] == parent]


def _nearest(path: Path, root: type[BaseModel]) -> str:
    wrong, leaf = ".".join(map(str, path)), str(path[-1])

    def likeness(candidate: tuple[str, ...]) -> float:
        return max(
            SequenceMatcher(None, wrong.lower(), ".".join(candidate).lower()).ratio(),
            # The same word in another section is a misplaced key, a sibling is a misspelt one.
            SequenceMatcher(None, leaf.lower(), candidate[-1].lower()).ratio()
            - (0 if candidate[:-1] == path[:-1] else 0.1),
        )

    return key(max(known(root), key=likeness))
