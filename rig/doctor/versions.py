"""Which versions go together."""

import re
from typing import Final, NamedTuple

AUTOSCALER_ON_GCP: Final = (1, 37, 0)
"""Older ones stop all scale-up when a node is not Google's: kubernetes/autoscaler#10140."""
OLDEST_CLUSTER: Final = (1, 34)
"""The oldest that what the stack installs is tried with."""
KUBELET_SKEW: Final = 3
"""Minor versions a kubelet may be behind: https://kubernetes.io/releases/version-skew-policy/"""


class Version(NamedTuple):
    """Major, minor, patch."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def version(text: str) -> Version | None:
    """The version in ``v1.36.2+k3s1`` and the like."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return found and Version(int(found[1]), int(found[2]), int(found[3] or 0))


def of_image(image: str) -> Version | None:
    """The version in the tag of an image, digest or not."""
    name = image.partition("@")[0].rpartition("/")[2]
    return version(name.partition(":")[2])
