"""A Kubernetes control plane for rehearsals: the real API server, fake nodes, no containers."""

from rig.control_plane.commands import PROGRAMS
from rig.control_plane.nodes import FakeNode
from rig.control_plane.plane import ControlPlane

__all__ = ["PROGRAMS", "ControlPlane", "FakeNode"]
