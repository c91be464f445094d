"""A model's files at the tracking server or in a bucket, by MLflow's own repositories.

They know all three: MLflow's proxy of artifacts, S3 (boto3) and Google's (google-cloud-storage).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from spillway_fetch.address import Address
from spillway_fetch.words import Hopeless

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""The second is what it calls an alias that nobody has given."""


class Source:
    """One model, to be listed and fetched."""

    def __init__(self, address: Address) -> None:
        self._address = address
        root = resolved(address.root) if address.tracked else address.root
        self.version = root
        """As exact as it gets: an alias has become a number."""
        try:
            self._repository = get_artifact_repository(root)
        except MlflowException as error:
            raise _missing(address.uri, error) from error

    def files(self) -> Mapping[str, int]:
        """Names below the model's folder, and sizes; never none."""
        try:
            found = dict(self._walk(self._address.folder or None))
        except MlflowException as error:
            raise _missing(self._address.uri, error) from error
        if not found:
            raise Hopeless(f"nothing is at {self._address.uri}")
        prefix = f"{self._address.folder}/" if self._address.folder else ""
        return {name.removeprefix(prefix): size for name, size in found.items()}

    def fetch(self, folder: Path) -> None:
        """All of it, several files at a time."""
        self._repository.download_artifacts(self._address.folder, str(folder))

    def _walk(self, folder: str | None) -> Iterator[tuple[str, int]]:
        for entry in self._repository.list_artifacts(folder):
            if entry.is_dir:
                yield from self._walk(entry.path)
            else:
                yield entry.path, int(entry.file_size or 0)


def resolved(uri: str) -> str:
    """The version behind an alias; anything else as it is."""
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if not at:
        return uri
    try:
        version = MlflowClient().get_model_version_by_alias(name, alias)
    except MlflowException as error:
        raise _missing(uri, error) from error
    return f"models:/{name}/{version.version}"


def _missing(uri: str, error: MlflowException) -> Exception:
    """What MLflow says of what is not there, as hopeless; anything else as it is."""
    if error.error_code not in ABSENT:
        return error
    return Hopeless(f"there is no {uri}: {error.message.removeprefix(f'{error.error_code}: ')}")
