"""Manifests of other projects: Helm charts and plain YAML, out of the Go modules they live in.

Owns where they come from (``charts.lock.yaml``, the only list of them) and where they lie here: in
the cache, fetched once, checked against the lock's hashes. What a stack does with them is said
elsewhere. A Go module is a project's repository at one commit, and unlike a chart registry the same
for everybody for ever: its hash is in the public checksum database.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import pulumi
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

LOCK = Path(__file__).with_name("charts.lock.yaml")
FETCH_SECONDS = 600
DIGITS = 16
"""Of a digest, in a folder's name."""
T = TypeVar("T")
_PLACEHOLDER = re.compile(r"^(version|appVersion): .*$", re.MULTILINE)


class ChartError(pulumi.RunError):
    """A manifest cannot be had; one line that says what to do."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Entry):
    """A project's Go module, and the release that it is."""

    version: str
    """Of the module."""
    sum: str = Field(pattern=r"^h1:[A-Za-z0-9+/]{43}=$")
    """Of the module's archive, as in ``go.sum``."""
    release: str
    """What the project itself calls this version."""
    licence: str
    source: str
    """Where people read it."""
    images: dict[str, str]
    """The project's own images of that release, by the name of what a rig builds in their place."""


class Content(_Entry):
    """Files of a module, as they lie here."""

    module: str
    folder: str
    files: list[str]
    """What of the folder is taken: files, and folders with all in them."""
    patch: str | None = None
    """Replacements (RFC 6902) that the module's own build applies to the one file."""
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Over names and content of the files as they lie here."""


class Lock(_Entry):
    """Everything that is taken from others, each with its hash."""

    modules: dict[str, Source]
    charts: dict[str, Content]
    """Helm charts."""
    manifests: dict[str, Content]
    """Plain YAML, one file each."""


def chart(name: str) -> Path:
    """A Helm chart's folder: ``Chart.yaml``, ``values.yaml`` and ``templates/``."""
    lock = read()
    return _ensure(name, _known(name, lock.charts), lock)


def manifest(name: str) -> Path:
    """A file of plain YAML."""
    lock = read()
    content = _known(name, lock.manifests)
    return _ensure(name, content, lock) / content.files[0]


def official_image(name: str) -> str:
    """The project's own image of what a rig calls ``name``, such as ``istio-pilot``."""
    images = {n: image for source in read().modules.values() for n, image in source.images.items()}
    return _known(name, images)


def release(name: str) -> str:
    """What the project itself calls the version of a chart, such as ``1.31.0``."""
    lock = read()
    return lock.modules[_known(name, lock.charts).module].release


def fetch_all(lock: Path = LOCK) -> None:
    """All of them, so that nothing is fetched later; ``lock`` may be that of another checkout."""
    content = read(lock)
    for name, entry in {**content.charts, **content.manifests}.items():
        _ensure(name, entry, content)


@cache
def read(lock: Path = LOCK) -> Lock:
    """The lock file."""
    try:
        return Lock.model_validate(yaml.safe_load(lock.read_text()))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"])
        raise ChartError(f"{lock}: {where}: {first['msg']}") from None
    except yaml.YAMLError as error:
        raise ChartError(f"{lock}: {_one_line(str(error))}") from None


def digest_of(folder: Path) -> str:
    """Over the names and content of all files."""
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        content = file.read_bytes()
        # The length keeps two files apart from one that contains both.
        digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _known(name: str, entries: dict[str, T]) -> T:
    if name not in entries:
        raise ChartError(f"{LOCK.name} has no {name!r}; it has {', '.join(sorted(entries))}")
    return entries[name]


def _store() -> Path:
    # The cache that the rig uses, too: one place to keep between runs of CI.
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spillway" / "charts"


def _ensure(name: str, content: Content, lock: Lock) -> Path:
    """The folder, whose name says what is in it: it appears whole, after it was checked."""
    source = lock.modules[content.module]
    folder = _store() / f"{name}-{source.version}-{content.digest[:DIGITS]}"
    if folder.is_dir():
        return folder
    module = _module_folder(content.module, source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as beside:
        made = Path(beside) / "made"
        _copy(module / content.folder, content.files, made)
        if content.patch:
            _patch(made / content.files[0], module / content.patch)
        _name_release(made / "Chart.yaml", source.release)
        if (found := digest_of(made)) != content.digest:
            raise ChartError(
                f"{name} of {content.module} {source.version} is not what {LOCK.name} says: "
                f"its digest is {found}"
            )
        with suppress(OSError):  # somebody else was faster
            made.rename(folder)
    return folder


def _copy(origin: Path, names: list[str], target: Path) -> None:
    for name in names:
        wanted = origin / name
        files = [f for f in wanted.rglob("*") if f.is_file()] if wanted.is_dir() else [wanted]
        for file in files:
            copy = target / file.relative_to(origin)
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Written anew: what Go keeps can only be read, and so would be what is copied.
            copy.write_bytes(file.read_bytes())


def _patch(file: Path, patch: Path) -> None:
    """JSON, which is YAML too, and the same whatever writes it."""
    document = _load(file)
    for change in _load(patch):
        *parents, last = change["path"].removeprefix("/").split("/")
        place: Any = document
        for key in parents:
            place = place[int(key) if key.isdigit() else key]
        if change["op"] != "replace" or last not in place:
            raise ChartError(f"{patch.name}: only what is there can be replaced: {change['path']}")
        place[last] = change["value"]
    file.write_text(json.dumps(document, indent=1) + "\n")


def _load(file: Path) -> Any:
    # The parser in C reads Seldon's 2 MB in a second, the one in Python in twenty.
    loader = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return yaml.load(file.read_text(), loader)  # noqa: S506 - both are safe


def _name_release(file: Path, release: str) -> None:
    """Projects fill in a chart's version when they release it; in their repository it is none."""
    if file.exists():
        file.write_text(_PLACEHOLDER.sub(rf"\1: {release}", file.read_text()))


def _module_folder(module: str, source: Source) -> Path:
    """Where Go keeps the module's source; Go fetches it if need be."""
    go = shutil.which("go")
    if go is None:
        raise ChartError(
            f"manifests of {module} are not here yet: install Go 1.26 or later, which fetches them"
        )
    told = _download(go, f"{module}@{source.version}")
    if problem := told.get("Error"):
        raise ChartError(
            f"manifests of {module} {source.version} cannot be fetched: look at the network and "
            f"GOPROXY ({_one_line(problem)})"
        )
    if told["Sum"] != source.sum:
        raise ChartError(
            f"{module} {source.version} is not what {LOCK.name} says: its sum is {told['Sum']}"
        )
    return Path(told["Dir"])


def _download(go: str, module: str) -> dict[str, str]:
    # The lock's sum takes the place of the checksum database, as a go.sum would.
    environment = {**os.environ, "GOSUMDB": "off", "GOFLAGS": "", "GOWORK": "off"}
    with tempfile.TemporaryDirectory(prefix="spillway-charts-") as elsewhere:
        try:
            done = subprocess.run(  # noqa: S603 - nothing of a user's is in it
                [go, "mod", "download", "-json", module],
                cwd=elsewhere,  # no go.mod above it
                env=environment,
                capture_output=True,
                text=True,
                timeout=FETCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"Error": f"no answer in {FETCH_SECONDS} s"}
    try:
        told: Any = json.loads(done.stdout)
    except ValueError:
        return {"Error": done.stderr or f"go ended with {done.returncode}"}
    return told


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


if __name__ == "__main__":
    fetch_all()
