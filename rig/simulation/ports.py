"""Ports of loopback, and whether somebody answers there."""

import socket
from urllib.error import URLError
from urllib.request import urlopen


def free_port() -> int:
    """Nobody's just now; the kernel does not hand it out again soon."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


def answers(url: str) -> bool | None:
    """True once the answer there is good; None before."""
    try:
        with urlopen(url, timeout=5) as response:  # noqa: S310 - of ours
            return response.status == 200 or None  # noqa: PLR2004
    except (URLError, OSError):
        return None
