"""A fleet that is not there: days of work replayed on it by the real queue and autoscaler."""

from rig.simulation.fleet import TOOLS, Fleet
from rig.simulation.groups import Fault, Group, onprem

__all__ = ["TOOLS", "Fault", "Fleet", "Group", "onprem"]
