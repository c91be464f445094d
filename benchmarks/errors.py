"""What a benchmark may end with."""

from rig.errors import RigError


class BenchmarkError(RigError):
    """What was measured did not do its work, so its time says nothing; one line."""
