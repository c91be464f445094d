"""A Kubernetes control plane for rehearsals: the real API server, fake nodes, no containers."""

from rig.control_plane.nodes import FakeNode
from rig.control_plane.plane import PROGRAMS, ControlPlane

__all__ = ["PROGRAMS", "ControlPlane", "FakeNode"]
