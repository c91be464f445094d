"""The reaper of nodes as a process of the host: the stack's program, with the stack's rights."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rig.control_plane import ControlPlane
from rig.errors import RigError

LABEL = "app.kubernetes.io/name%3Dnode-reaper"
SECONDS = 60


def reap(plane: ControlPlane, seconds: float) -> str:
    """Run it once; what it printed."""
    cron = plane.api.only(f"/apis/batch/v1/cronjobs?labelSelector={LABEL}")
    namespace = cron["metadata"]["namespace"]
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    program = plane.api.only(f"/api/v1/namespaces/{namespace}/configmaps?labelSelector={LABEL}")
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/{pod['serviceAccountName']}"
    token = plane.api.create(f"{account}/token", {"spec": {}})["status"]["token"]
    (container,) = pod["containers"]
    with TemporaryDirectory(prefix="spillway-reaper-") as folder:
        file = Path(folder) / "token"
        file.touch(mode=0o600)
        file.write_text(token)
        done = subprocess.run(
            [
                *(sys.executable, "-c", *program["data"].values(), *container["args"]),
                *(f"--seconds={seconds}", f"--server={plane.server}", f"--token-file={file}"),
                f"--ca-file={plane.folder / 'pki' / 'ca.crt'}",
            ],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    if done.returncode:
        raise RigError(f"the reaper failed: {done.stderr}")
    return done.stdout
