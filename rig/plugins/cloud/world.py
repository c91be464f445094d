"""The memory of a cloud: a folder with a JSON file for everything that exists.

Whatever plugin process the engine starts, for whichever command, they all see the same cloud. A
file may be edited or removed by hand: that is drift. No file holds a secret, only that there is
one: `{"$secret": true}`.
"""

import fcntl
import hashlib
import json
import os
import re
import tempfile
import threading
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rig.plugins.values import Secret, Value, Values

FOLDER: Final = "SPILLWAY_CLOUD"
"""The variable that names the folder of the cloud."""
HIDDEN: Final[Mapping[str, bool]] = {"$secret": True}
_LONGEST: Final = 150


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Something that exists, or whose name is still taken although it is gone."""

    token: str
    id: str
    urn: str = ""
    """Who made it; empty for what was there before."""
    place: Mapping[str, str] = field(default_factory=dict[str, str])
    """Account, region, project and the like, as they were when it was made."""
    created: str = ""
    handles: list[str] = field(default_factory=list[str])
    """Everything that others may call it."""
    uses: list[list[Any]] = field(default_factory=list[list[Any]])
    """[type, id, whether that cannot go while this is here] of everything it names."""
    inputs: Values = field(default_factory=dict[str, Any])
    gone: bool = False
    """Deleted, but its name cannot be given again yet."""


class World:
    """All that exists in one cloud."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, tuple[tuple[int, int], Entry]] = {}
        self._handles: dict[tuple[str, str], Entry] = {}
        self._foreseen: dict[tuple[str, str], Entry] = {}
        self._busy = threading.RLock()
        self._seen: tuple[str, int] = ("", 0)

    @contextmanager
    def changing(self) -> Generator[None]:
        """While nobody else changes it: for a look and a change that belong together.

        What this process has changed last needs no second look, or a stack would take a time that
        grows with the square of its size. An edit by hand is seen when something is read.
        """
        with self._busy, (self.folder / ".lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0)
            if self._seen != (lock.read(), self._stamp()):
                self._refresh()
            try:
                yield
            finally:
                mark = uuid.uuid4().hex
                lock.truncate(0)
                lock.write(mark)
                self._seen = (mark, self._stamp())

    @contextmanager
    def looking(self) -> Generator[None]:
        """For a look only."""
        with self._busy:
            self._refresh()
            yield

    def find(self, token: str, handle: object) -> Entry | None:
        """What is called so, if it exists."""
        if not isinstance(handle, str):
            return None
        found = self._foreseen.get((token, handle)) or self._handles.get((token, handle))
        return None if found is None or found.gone else found

    def taken(self, token: str, handle: str) -> Entry | None:
        """What is called so, or was so lately that the name is still taken."""
        return self._handles.get((token, handle))

    def every(self, token: str) -> Iterator[Entry]:
        """All of a type, and in a preview those that will be."""
        foreseen = {entry.urn: entry for entry in self._foreseen.values()}
        for entry in (*(known for _, known in self._known.values()), *foreseen.values()):
            if entry.token == token and not entry.gone:
                yield entry

    def users(self, entry: Entry, *, blocking: bool) -> list[Entry]:
        """What names it: that which keeps it from going, or that which goes with it."""
        return [
            other
            for _, other in self._known.values()
            if not other.gone and [entry.token, entry.id, blocking] in other.uses
        ]

    def foresee(self, entry: Entry) -> None:
        """Remembers, in this process alone, what a preview says that there will be."""
        for handle in (entry.id, *entry.handles):
            self._foreseen[entry.token, handle] = entry

    def put(self, entry: Entry) -> None:
        """Makes or changes something; whoever looks sees all of it or nothing."""
        self._foreseen.clear()
        file = self._file(entry.token, entry.id)
        handle, written = tempfile.mkstemp(dir=self.folder, prefix=".")
        with os.fdopen(handle, "w") as stream:
            json.dump(asdict(entry), stream, indent=1, sort_keys=True)
        Path(written).replace(file)
        status = file.stat()
        self._remember(file.name, (status.st_mtime_ns, status.st_size), entry)

    def drop(self, entry: Entry) -> None:
        """Removes something, and what is only a part of it."""
        for part in self.users(entry, blocking=False):
            if self._file(part.token, part.id).name in self._known:
                self.drop(part)
        file = self._file(entry.token, entry.id)
        file.unlink(missing_ok=True)
        self._forget(file.name)

    def _stamp(self) -> int:
        return self.folder.stat().st_mtime_ns

    def _refresh(self) -> None:
        seen = set[str]()
        with os.scandir(self.folder) as files:
            for file in files:
                if file.name.startswith(".") or not file.name.endswith(".json"):
                    continue
                seen.add(file.name)
                status = file.stat()
                stamp = (status.st_mtime_ns, status.st_size)
                known = self._known.get(file.name)
                if known is None or known[0] != stamp:
                    content = json.loads(Path(file.path).read_text())
                    self._remember(file.name, stamp, Entry(**content))
        for name in self._known.keys() - seen:
            self._forget(name)

    def _remember(self, name: str, stamp: tuple[int, int], entry: Entry) -> None:
        self._forget(name)
        self._known[name] = (stamp, entry)
        for handle in (entry.id, *entry.handles):
            self._handles[entry.token, handle] = entry

    def _forget(self, name: str) -> None:
        if (known := self._known.pop(name, None)) is not None:
            entry = known[1]
            for handle in (entry.id, *entry.handles):
                if self._handles.get((entry.token, handle)) is entry:
                    del self._handles[entry.token, handle]

    def _file(self, token: str, identifier: str) -> Path:
        kind = token.split(":", 1)[1].replace("/", ".").replace(":", ".").split(".")
        readable = re.sub(r"[^A-Za-z0-9._@-]+", "~", identifier)
        if readable != identifier or len(readable) > _LONGEST:
            mark = hashlib.sha256(identifier.encode()).hexdigest()[:12]
            readable = f"{readable[:_LONGEST]}~{mark}"
        return self.folder / f"{kind[0]}.{kind[-1]}={readable}.json"


def hidden(values: Mapping[str, Value], secrets: Iterable[str]) -> Values:
    """The values as they may lie in a file: everything secret replaced by the mark."""
    secrets = set(secrets)
    return {
        name: dict(HIDDEN) if name in secrets or is_write_only(name) else _hide(value)
        for name, value in values.items()
    }


def revealed(value: Value, state: Value) -> Value:
    """The values with what the engine's state knows in place of each mark; None without it."""
    if isinstance(value, dict):
        if value == HIDDEN:
            return state
        inner = state.value if isinstance(state, Secret) else state
        known = inner if isinstance(inner, dict) else {}
        return {name: revealed(item, known.get(name)) for name, item in value.items()}
    if isinstance(value, list):
        inner = state.value if isinstance(state, Secret) else state
        known_items = inner if isinstance(inner, list) and len(inner) == len(value) else None
        return [
            revealed(item, known_items[index] if known_items else None)
            for index, item in enumerate(value)
        ]
    return value


def is_write_only(name: str) -> bool:
    """Arguments that a provider hands on and nobody can read again are called so."""
    return name.endswith("Wo")


def now() -> str:
    """The time, as clouds write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hide(value: Value) -> Value:
    match value:
        case Secret():
            return dict(HIDDEN)
        case list():
            return [_hide(item) for item in value]
        case dict():
            return {name: _hide(item) for name, item in value.items()}
        case _:
            return value
