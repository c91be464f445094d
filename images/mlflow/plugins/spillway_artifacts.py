"""A bucket that clients reach through the server and in no other way, and tenants only their part.

MLflow's own S3 repository offers clients presigned URLs of the bucket, and since 3.17 they follow
the offer: they would leave the server for a store they cannot reach, or should not. There is no
setting against it, but a plug-in may say what a scheme means. This one has the same bucket without
the offers, so every artifact is proxied.

The server's own identity opens the whole bucket, and some of what clients may write is a place in
it that the server then reads for them: a trace's artifact location, a model version's source. So
with workspaces every place is looked at once more, where it is opened.
"""

import os
import posixpath
from collections.abc import Callable

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.utils import workspace_context


def check_workspace(uri: str) -> None:
    """Refuse a place outside of the workspace that the request is for.

    The root itself is what proxied paths are taken from; those MLflow has checked.
    """
    root = os.environ.get("MLFLOW_ARTIFACTS_DESTINATION", "").rstrip("/")
    if os.environ.get("MLFLOW_ENABLE_WORKSPACES") != "true" or uri.rstrip("/") == root:
        return
    workspace = workspace_context.get_request_workspace()
    scheme, _, rest = uri.partition("://")
    place = f"{scheme}://{posixpath.normpath(rest)}/"
    if not workspace or not place.startswith(f"{root}/workspaces/{workspace}/"):
        raise MlflowException("these artifacts are of another workspace", PERMISSION_DENIED)


class Proxied(ArtifactRepository):
    """What the server itself does with a bucket."""

    open: Callable[[str, str | None], ArtifactRepository]

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        check_workspace(artifact_uri)
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._bucket = type(self).open(artifact_uri, tracking_uri)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        self._bucket.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        self._bucket.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        return self._bucket.list_artifacts(path)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._bucket._download_file(remote_file_path, local_path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        self._bucket.delete_artifacts(artifact_path)

    def upload_archived_trace_data_bytes(self, data: bytes) -> None:
        self._bucket.upload_archived_trace_data_bytes(data)


def _s3(uri: str, tracking_uri: str | None) -> ArtifactRepository:
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

    return S3ArtifactRepository(uri, tracking_uri=tracking_uri)


def _gcs(uri: str, tracking_uri: str | None) -> ArtifactRepository:
    from mlflow.store.artifact.gcs_artifact_repo import GCSArtifactRepository

    return GCSArtifactRepository(uri, tracking_uri=tracking_uri)


class ProxiedS3(Proxied):
    """``s3://``"""

    open = staticmethod(_s3)


class ProxiedGcs(Proxied):
    """``gs://``"""

    open = staticmethod(_gcs)
