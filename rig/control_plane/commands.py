"""What a control plane's folder has before it starts, and the command line of each process."""

from collections.abc import Mapping
from pathlib import Path

from rig.control_plane.nodes import ANNOTATION
from rig.node import config, pki
from rig.node.layout import Layout

PROGRAMS = ("etcd", "kubernetes", "kwok")
"""The tools it is made of; see ``rig.toolchain``."""
CLIENTS: pki.Clients = {
    "admin": ("spillway-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    # It plays every kubelet and the storage driver.
    "kwok": ("spillway:kwok", "system:masters"),
    "front-proxy": ("front-proxy", None),
}
STAGES = Path(__file__).parent / "stages.yaml"
_WEBHOOKS = ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook")
_RANGES = Layout("dev", Path())
"""Pods and Services have the addresses they have on the rig; nothing is routed."""
_DOCUMENTATION_ADDRESS = "192.0.2.1"
"""The API server insists on an address to advertise that is not loopback; nobody uses it."""


def issue(folder: Path, server: str, context: str) -> None:
    """Certificates, and a kubeconfig for each client that needs one."""
    issued = folder / "pki"
    service = str(_RANGES.services.network_address + 1)
    pki.issue(issued, CLIENTS, {"apiserver": pki.api_server(service)})
    for name in ("controller-manager", "scheduler", "kwok"):
        path = issued / f"{name}.kubeconfig"
        pki.kubeconfig(path, issued / name, server=server, context=context)
    pki.kubeconfig(folder / "kubeconfig", issued / "admin", server=server, context=context)


def commands(
    folder: Path, port: int, programs: Mapping[str, Path], *, webhooks: bool, stages: Path
) -> dict[str, list[str]]:
    """By process, in the order in which they start; all run in ``folder``.

    ``webhooks``: somebody answers them. As a rule no pod really runs, so nobody does.
    """
    issued = folder / "pki"
    return {
        "etcd": [
            str(programs["etcd"]),
            "--data-dir=etcd",
            # Sockets in the folder: no port to collide, and no other user gets in.
            "--listen-client-urls=unix://etcd.sock",
            "--listen-peer-urls=unix://peer.sock",
            # Names only: there is nobody to tell them to.
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
        "kube-apiserver": [
            str(programs["kube-apiserver"]),
            *config.api_server(issued),
            "--etcd-servers=unix://etcd.sock",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--permit-port-sharing",
            f"--advertise-address={_DOCUMENTATION_ADDRESS}",
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={_RANGES.services}",
            *([] if webhooks else [f"--disable-admission-plugins={','.join(_WEBHOOKS)}"]),
        ],
        "kube-controller-manager": [
            str(programs["kube-controller-manager"]),
            *config.controller_manager(issued),
            "--secure-port=0",
            # Whole stacks come and go in seconds here: at its usual twenty requests a second the
            # collector of garbage and the end of a namespace are what everything waits for.
            "--kube-api-qps=400",
            "--kube-api-burst=800",
        ],
        "kube-scheduler": [
            str(programs["kube-scheduler"]),
            *config.scheduler(issued),
            "--secure-port=0",
        ],
        # Flags, for a configuration with some options sets the others to zero.
        "kwok": [
            str(programs["kwok"]),
            f"--kubeconfig={issued}/kwok.kubeconfig",
            f"--config={stages}",
            "--manage-all-nodes=false",
            f"--manage-nodes-with-annotation-selector={'='.join(ANNOTATION)}",
            "--node-lease-duration-seconds=40",
            f"--cidr={_RANGES.pods}",
            f"--node-ip={_DOCUMENTATION_ADDRESS}",
        ],
    }
