"""Programs that come from the machine's own packages: what a node and an image builder need."""

import os
import shutil
from collections.abc import Iterator

from rig.errors import RigError
from rig.node import config
from rig.steps import step

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
}
"""Program -> Debian package."""
BUILDER = ("buildah", "mmdebstrap")


def ensure() -> None:
    """Install what is missing where that is Debian's apt and we are root; else say what to do."""
    packages = sorted(set(missing()))
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RigError(
            f"missing on this machine: {' '.join(packages)} (Debian's names); install them, "
            "for example with: sudo apt-get install " + " ".join(packages)
        )
    with step(f"installing {' '.join(packages)}", log="packages") as current:
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        current.run(["apt-get", "update"], env=environment)
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "--no-upgrade"]
        current.run([*install, *packages], env=environment)


def missing() -> Iterator[str]:
    """Debian packages for the programs that are not there."""
    for program, package in PACKAGES.items():
        if not shutil.which(program):
            yield package
    if config.cni_folder() is None:
        yield "containernetworking-plugins"
    if not any(shutil.which(tool) for tool in ("podman", "buildah")):
        # A docker client alone builds nothing, and whether its engine runs is not for here.
        yield from (name for name in BUILDER if not shutil.which(name))


def can_run_containers() -> str | None:
    """Why containers cannot run here; None where they can."""
    if os.geteuid() != 0:
        return "a node needs root (namespaces, mounts, cgroups)"
    if not os.path.isdir("/sys/fs/cgroup"):  # noqa: PTH112 - a plain question
        return "there is no cgroup file system at /sys/fs/cgroup"
    return None
