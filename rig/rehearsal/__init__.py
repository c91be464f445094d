"""A stack's whole life, played by the real engine against clouds that are not there."""

from rig.rehearsal.play import Rehearsal, enter
from rig.rehearsal.stage import Stage

__all__ = ["Rehearsal", "Stage", "enter"]
