"""What an output is made of: ``_spillway.json`` in it says which model, and which input files.

It is written before the first row, so that a later run knows whether what it finds is its own.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pyarrow import fs

from spillway_batch.places import Place
from spillway_batch.tables import part_name

NAME = "_spillway.json"
MODEL = "MLmodel"


class Hopeless(Exception):
    """It will not work the next time either; its text is all there is to say."""


@dataclass(kw_only=True)
class File:
    """An input file as it was when its first row was scored."""

    size: int
    changed: int
    """Nanoseconds since 1970."""
    rows: int | None = None
    """None until all of them are scored."""

    @classmethod
    def of(cls, info: fs.FileInfo) -> "File":
        """As it is now."""
        return cls(size=info.size, changed=info.mtime_ns or 0)

    def same(self, other: "File") -> bool:
        """Whether nobody has written it since."""
        return (self.size, self.changed) == (other.size, other.changed)


@dataclass(kw_only=True)
class Record:
    """All of the output."""

    uri: str
    """Of the model, as it was said; an alias may mean another one later."""
    digest: str
    """Of the file that describes the model, which is another one for each that was logged."""
    rows: int
    """Of a part."""
    files: dict[str, File] = field(default_factory=dict[str, File])

    def finished(self, name: str, there: Iterable[str]) -> bool:
        """Whether all rows of a file are scored, and still there."""
        rows = self.files[name].rows
        if rows is None:
            return False
        return {part_name(name, at) for at in range(-(-rows // self.rows))} <= set(there)

    def save(self, target: Place) -> None:
        """In place of what was there."""
        target.write(NAME, json.dumps(asdict(self), indent=1).encode())


def continued(
    uri: str, model: Path, rows: int, target: Place, inputs: Mapping[str, fs.FileInfo]
) -> Record:
    """The output's record with the input as it is now; an error if they do not go together.

    Files that came since are added; those that went stay, for their rows are in the output.
    """
    fresh = Record(uri=uri, digest=digest(model), rows=rows)
    record = _read(target) or fresh
    if record.digest != fresh.digest:
        raise Hopeless(
            f"{target.uri} was scored with {_other(record.uri, uri)}, not with {uri}: name another "
            "output, or delete this one; nothing in it was changed"
        )
    for name, info in inputs.items():
        file = File.of(info)
        if not record.files.setdefault(name, file).same(file):
            raise Hopeless(
                f"{name} was changed since its rows in {target.uri} were scored: give new rows a "
                "new name, or score into another output; nothing in it was changed"
            )
    return record


def digest(model: Path) -> str:
    """What tells a model from every other."""
    described = model / MODEL
    if not described.is_file():
        raise Hopeless(f"no {MODEL} in {model}: tables are scored with models of MLflow")
    return hashlib.sha256(described.read_bytes()).hexdigest()


def _other(before: str, now: str) -> str:
    return f"an earlier {before}" if before == now else before


def _read(target: Place) -> Record | None:
    content = target.read(NAME)
    if content is None:
        if others := [name for name in target.listed() if name != NAME]:
            raise Hopeless(
                f"{target.uri} has files that no batch has written, such as {others[0]}: name "
                "another output"
            )
        return None
    try:
        found = json.loads(content)
        files = {name: File(**file) for name, file in found.pop("files").items()}
        return Record(**found, files=files)
    except (ValueError, TypeError, KeyError) as error:
        raise Hopeless(f"{target.uri}/{NAME} cannot be read: {error!r}") from None
