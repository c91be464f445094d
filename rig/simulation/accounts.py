"""Ways in with the rights of a service account and no others, for what runs as a process here."""

from pathlib import Path

from rig.control_plane import ControlPlane
from rig.node import pki


def user(namespace: str, account: str) -> str:
    """As the API server calls it."""
    return f"system:serviceaccount:{namespace}:{account}"


def kubeconfig(plane: ControlPlane, name: str, who: str) -> Path:
    """A kubeconfig of this name for ``who``."""
    folder = plane.folder / "pki"
    pki.issue(folder, {name: (who, None)}, {})
    path = folder / f"{name}.kubeconfig"
    pki.kubeconfig(path, folder / name, server=plane.server, context=name)
    return path
