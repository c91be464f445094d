"""Runs a command where there is no network: a network namespace with nothing but loopback.

``offline(command)`` is the command line to run instead. It is this file, which makes the namespace
and then becomes the command, so pid, signals, exit status and files stay what they were. Who is not
root gets a user namespace as well and stays the same user in it. A machine that permits neither is
told so; the command does not run then. Sockets that are files still work: they are no network.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
REFUSED = 125
"""Exit status when there is no such namespace; the command has not run."""


def offline(command: Sequence[str | Path]) -> list[str]:
    """The command line that runs ``command`` with loopback for its only network."""
    # -I: neither the working directory nor PYTHONPATH changes what this file imports.
    return [sys.executable, "-I", str(Path(__file__).resolve()), *map(str, command)]


def refusal() -> str | None:
    """Why this machine cannot run a command offline; None when it can."""
    done = subprocess.run(offline(["true"]), capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip() or f"status {done.returncode}"


def main(command: list[str]) -> None:
    """Leave the network, then become ``command``."""
    try:
        _leave()
    except OSError as error:
        _refuse(f"this machine permits no network namespace: {error.strerror}")
    if others := [name for _, name in socket.if_nameindex() if name != "lo"]:
        _refuse(f"the new network namespace has {', '.join(others)} beside loopback")
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise SystemExit(f"error: {command[0]}: {error.strerror}") from None


def _leave() -> None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        _unshare(CLONE_NEWNET)
    except PermissionError:
        _unshare(CLONE_NEWUSER)
        # One user and one group, the caller's own: all that an unprivileged process may map.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        _unshare(CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def _unshare(flag: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flag):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _refuse(reason: str) -> None:
    print(f"error: NOT OFFLINE, so nothing was run: {reason}", file=sys.stderr)
    raise SystemExit(REFUSED)


if __name__ == "__main__":
    main(sys.argv[1:])
