"""Starts MLServer with the runtime that fits the model in a folder.

``python -m spillway_model FOLDER``: what the pod says (``MLSERVER_MODEL_IMPLEMENTATION``) counts
first, then an ``MLmodel`` file, then a ``model-settings.json``, then the name of a model file.
Needs nothing but Python, so that a folder without a model is refused before anything is imported.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = "/opt/model-server/bin/python"
EMPTY = "/opt/model-server/empty"
"""A folder without a model's settings: MLServer then takes them from the environment. It searches
all of a folder for such settings, and would prefer some that belong to a model's own files."""
IMPLEMENTATION, NAME, URI = (f"MLSERVER_MODEL_{part}" for part in ("IMPLEMENTATION", "NAME", "URI"))
SKLEARN = "mlserver_sklearn.SKLearnModel"
XGBOOST = "mlserver_xgboost.XGBoostModel"
LIGHTGBM = "mlserver_lightgbm.LightGBMModel"
MLFLOW = "spillway_mlflow.Runtime"
SUFFIXES = {
    ".joblib": SKLEARN,
    ".pkl": SKLEARN,
    ".pickle": SKLEARN,
    ".json": XGBOOST,
    ".ubj": XGBOOST,
    ".bst": LIGHTGBM,
    ".txt": LIGHTGBM,
}
SETTINGS = "model-settings.json"
TERMINATION_LOG = Path("/dev/termination-log")


class NoModel(Exception):
    """There is nothing to serve; one line that says why."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What MLServer is started with."""

    folder: str
    """Where it looks for settings."""
    environment: Mapping[str, str] = field(default_factory=dict)


def choose(folder: Path, environ: Mapping[str, str]) -> Choice:
    """The runtime for what is in the folder."""
    if environ.get(IMPLEMENTATION):
        return Choice(folder=str(folder), environment={URI: environ.get(URI) or str(folder)})
    if not folder.is_dir():
        raise NoModel(f"{folder} is not there: was a model fetched?")
    if (folder / "MLmodel").is_file():
        return _chosen(MLFLOW, folder)
    if (folder / SETTINGS).is_file():
        _check(folder / SETTINGS, environ.get(NAME, ""))
        return Choice(folder=str(folder))
    file = _model_file(folder)
    return _chosen(SUFFIXES[file.suffix], file)


def _chosen(implementation: str, model: Path) -> Choice:
    return Choice(folder=EMPTY, environment={IMPLEMENTATION: implementation, URI: str(model)})


def _check(settings: Path, name: str) -> None:
    """MLServer would start without the model, or call it by a name that nobody asks for."""
    try:
        found = json.loads(settings.read_text())
    except ValueError as error:
        raise NoModel(f"{settings} cannot be read: {error}") from None
    if not isinstance(found, dict) or not found.get("implementation"):
        raise NoModel(f"{settings} names no implementation")
    if name and found.get("name", name) != name:
        raise NoModel(
            f"{settings} calls the model {found['name']!r}, but it is served as {name!r}: "
            "leave the name out"
        )


def _model_file(folder: Path) -> Path:
    visible = [f for f in folder.iterdir() if f.is_file() and not f.name.startswith(".")]
    known = sorted(file for file in visible if file.suffix in SUFFIXES)
    found = [file for file in known if file.stem == "model"] or known
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.name for file in found or sorted(visible)[:5]) or "nothing"
    if found:
        raise NoModel(f"{folder} has several that may be the model: {names}; call it model.…")
    suffixes = ", ".join(SUFFIXES)
    raise NoModel(
        f"{folder} has no MLmodel, no {SETTINGS} and no file with {suffixes}; there is {names}"
    )


def main(arguments: list[str]) -> None:
    """Become MLServer, or end with one line."""
    folder = Path(arguments[1])
    try:
        chosen = choose(folder, os.environ)
    except NoModel as error:
        line = f"No model to serve: {error}"
        with suppress(OSError):  # where there is no pod
            TERMINATION_LOG.write_text(line)
        sys.exit(line)
    # An empty variable is none; to MLServer it would be a runtime without a name.
    rest = {name: value for name, value in os.environ.items() if value or name != IMPLEMENTATION}
    server = [PYTHON, "-m", "spillway_server", chosen.folder]
    os.execve(PYTHON, server, {**rest, **chosen.environment})  # noqa: S606


if __name__ == "__main__":
    main(sys.argv)
