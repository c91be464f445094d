"""An S3 bucket that clients reach through the server and in no other way.

MLflow's own S3 repository offers clients presigned URLs of the bucket, and since 3.17 they follow
the offer: they would leave the server for a store they cannot reach, or should not. There is no
setting against it, but a plug-in may say what a scheme means. This one has the same bucket without
the offers, so every artifact is proxied.
"""

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository


class ProxiedS3(ArtifactRepository):
    """What the server itself does with a bucket."""

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._bucket = S3ArtifactRepository(artifact_uri, tracking_uri=tracking_uri)

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
