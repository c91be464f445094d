"""The settings as others read them: a JSON Schema for editors and a table for people.

Both are generated from the models in ``settings`` and checked in, so that an editor needs no
Python; a test says whether they are current.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from infra.config_errors import ENTRY, PROJECT, is_map, key, rule, section
from infra.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "infra" / "settings.schema.json"
TABLE = ROOT / "docs" / "config.md"
BEGIN, END = "<!-- settings: generated -->", "<!-- end of settings -->"
SECRET = {"kubeconfig", "loginClientSecret", "joinToken"}


def schema() -> dict[str, Any]:
    """JSON Schema of a whole ``Pulumi.<stack>.yaml``."""
    models = Settings.model_json_schema(by_alias=True)
    properties: dict[str, Any] = models["properties"]
    for name in SECRET:
        properties[name] = {
            "description": properties[name]["description"],
            "type": "object",
            "properties": {"secure": {"type": "string"}},
            "required": ["secure"],
            "additionalProperties": False,
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pulumi.<stack>.yaml of Spillway",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {f"{PROJECT}:{name}": value for name, value in properties.items()},
                "patternProperties": {f"^(?!{PROJECT}:|kubernetes:)[^:]+:": {}},
                "additionalProperties": False,
            }
        },
        "$defs": models["$defs"],
    }


def table() -> str:
    """One row per setting, sections left out."""
    rows = [
        f"| `{path}` | {default} | {allowed} | {what} |"
        for path, default, allowed, what in _rows(Settings, ())
    ]
    return "\n".join(["| Key | Default | Allowed | What it does |", "|---|---|---|---|", *rows])


def document(current: str) -> str:
    """The page with its table brought up to date; the prose around it is written by hand."""
    before, _, rest = current.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def text() -> str:
    """The schema as it is checked in."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Print the schema, or with ``--write`` update the files."""
    if sys.argv[1:] == ["--write"]:
        SCHEMA.write_text(text())
        TABLE.write_text(document(TABLE.read_text()))
    else:
        sys.stdout.write(text())


def _rows(model: type[BaseModel], prefix: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        path = (*prefix, field.alias or name)
        if nested := section(field):
            yield from _rows(nested, (*path, ENTRY) if is_map(field) else path)
            continue
        yield key(path), _default(field.default), rule(field), str(field.description)


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "to be given"
    if value is None or value == ():
        return "none"
    return f"`{json.dumps(value).strip(chr(34))}`"
