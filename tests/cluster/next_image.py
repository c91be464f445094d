"""The next version of an image without a build: one more layer on what the node has of the old one.

The archive for the node has what is new alone; the layers below are in the node already.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testbed import Testbed

from rig.node import machine

MARK = "etc/next-version"
"""File that is in the next version alone."""
CTR = ("ctr", "--namespace=k8s.io")


def make_next(
    bed: Testbed, old: str, new: str, folder: Path, files: Mapping[str, str] | None = None
) -> None:
    """Put ``new`` into the node: ``old`` with a mark, and with other ``files`` if any are given."""
    kind, digest = _target(bed, old)
    manifest = _content(bed, digest)
    config = _content(bed, manifest["config"]["digest"])
    layer = _layer({MARK: f"{new}\n", **(files or {})})
    config["rootfs"]["diff_ids"].append(_digest(layer))
    config.setdefault("history", []).append({"created_by": "tests"})
    text = json.dumps(config).encode()
    manifest["config"] |= {"digest": _digest(text), "size": len(text)}
    top = manifest["layers"][-1]["mediaType"]
    assert top.endswith(".tar"), f"{old} has compressed layers: {top}"
    added = {"mediaType": top, "digest": _digest(layer), "size": len(layer)}
    manifest["layers"].append(added)
    whole = json.dumps(manifest).encode()
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": kind,
                "digest": _digest(whole),
                "size": len(whole),
                "annotations": {"io.containerd.image.name": new},
            }
        ],
    }
    archive = folder / "next.tar"
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(tar, "index.json", json.dumps(index).encode())
        for blob in (layer, text, whole):
            _add(tar, f"blobs/sha256/{_digest(blob).partition(':')[2]}", blob)
    machine.run_inside(bed.layout, *CTR, "images", "import", archive, timeout=300)


def _target(bed: Testbed, reference: str) -> tuple[str, str]:
    """Media type and digest of an image's manifest."""
    listed = machine.run_inside(bed.layout, *CTR, "images", "list", f"name=={reference}")
    _, kind, digest, *_ = listed.splitlines()[1].split()
    return kind, digest


def _content(bed: Testbed, digest: str) -> Any:
    return json.loads(machine.run_inside(bed.layout, *CTR, "content", "get", digest))


def _layer(files: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for path, text in files.items():
            _add(tar, path, text.encode())
    return made.getvalue()


def _add(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
