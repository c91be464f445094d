"""Folders of an object store, by pyarrow's own clients of S3 and of Google's storage.

Objects there are whole or not there at all, on which everything here relies.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pyarrow import NativeFile, fs

ENDPOINT = "AWS_ENDPOINT_URL_S3"
REGION = "AWS_DEFAULT_REGION"


@dataclass(frozen=True, kw_only=True)
class Place:
    """One folder."""

    uri: str
    files: fs.FileSystem
    path: str
    """As the file system takes it, without a slash at its end."""

    @classmethod
    def of(cls, uri: str, environ: Mapping[str, str]) -> "Place":
        """The folder at an address, opened by what the environment gives."""
        scheme, _, path = uri.rstrip("/").partition("://")
        files = {"s3": _s3, "gs": _google}[scheme](environ)
        return cls(uri=uri.rstrip("/"), files=files, path=path)

    def listed(self) -> dict[str, fs.FileInfo]:
        """Every file below, by its name there, in the order of names."""
        wanted = fs.FileSelector(self.path, allow_not_found=True, recursive=True)
        found = (info for info in self.files.get_file_info(wanted) if info.is_file)
        named = {info.path.removeprefix(f"{self.path}/"): info for info in found}
        return dict(sorted(named.items()))

    def info(self, name: str) -> fs.FileInfo:
        """Of one file, as it is now."""
        return self.files.get_file_info(f"{self.path}/{name}")

    def open(self, name: str) -> NativeFile:
        """A file, to be read at any place in it."""
        return self.files.open_input_file(f"{self.path}/{name}")

    def read(self, name: str) -> bytes | None:
        """All of a small file; nothing where there is none."""
        if not self.info(name).is_file:
            return None
        with self.open(name) as file:
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """One object. Complete before it begins: an error inside the block would end it early."""
        with self.files.open_output_stream(f"{self.path}/{name}") as file:
            file.write(content)


def _s3(environ: Mapping[str, str]) -> fs.FileSystem:
    scheme, _, host = environ.get(ENDPOINT, "").partition("://")
    own = {"scheme": scheme, "endpoint_override": host} if host else {}
    return fs.S3FileSystem(region=environ.get(REGION), **own)


def _google(environ: Mapping[str, str]) -> fs.FileSystem:
    del environ  # its client reads the login by itself
    return fs.GcsFileSystem()
