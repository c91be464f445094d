"""Configuration files and command lines of the node's processes."""

import base64
import configparser
import io
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rig.node.layout import NODE_NAME, QUEUE, Layout

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
"""Where distributions put the CNI plugins."""


def write(layout: Layout, programs: Mapping[str, Path], pause: str) -> None:
    """Write every file below ``layout.etc``; ``pause`` is the image that holds a pod together."""
    for folder in (layout.etc / "cni", layout.logs, layout.volumes, layout.state / "var-log"):
        folder.mkdir(parents=True, exist_ok=True)
    etc = layout.etc
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n{layout.address} {NODE_NAME}\n")
    # The rig has no way out, so there is nobody to forward a query to.
    (etc / "resolv.conf").write_text("# no resolver: see rig/README.md\n")
    (etc / "containerd.toml").write_text(_containerd(layout, pause))
    (etc / "cni" / "10-spillway.conflist").write_text(json.dumps(_cni(layout), indent=2))
    (etc / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(layout)))
    (etc / "kube-proxy.yaml").write_text(yaml.safe_dump(_kube_proxy(layout)))
    _encryption(layout.pki / "encryption.yaml")
    (etc / "supervisord.conf").write_text(_supervisor(layout, processes(layout, programs)))


def cni_folder() -> Path | None:
    """Folder with the CNI plugins the node uses, if the machine has them."""
    return next((f for f in CNI_FOLDERS if (f / "ptp").exists()), None)


def _containerd(layout: Layout, pause: str) -> str:
    return f"""version = 2
root = "{layout.state}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.internal.v1.opt"]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# Without CAP_SYS_RESOURCE a container's oom score cannot be lowered, and its start fails.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_folder()}"
conf_dir = "{layout.etc}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def _cni(layout: Layout) -> dict[str, Any]:
    # ptp, not bridge: every packet between two pods is routed, so that NetworkPolicy sees it.
    return {
        "cniVersion": "0.4.0",
        "name": "spillway",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni",
                    "ranges": [[{"subnet": str(layout.pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def _kubelet(layout: Layout) -> dict[str, Any]:
    pki = layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [layout.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.etc / "resolv.conf"),
        "podLogsDir": "/var/log/pods",
        "maxPods": 250,
        "registerNode": True,
        # The disk is shared with whatever else the machine does. The defaults would evict pods and
        # delete images, the pause image too, below 15 % free; images come from no registry here, so
        # none is ever deleted: 100 turns that off.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        # A fresh Secret or ConfigMap is there when the pod starts; no cache of a minute.
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "serializeImagePulls": False,
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 2,
    }


def _kube_proxy(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": str(layout.pods),
        "clientConnection": {"kubeconfig": str(layout.pki / "kube-proxy.kubeconfig")},
        # The limit belongs to the machine, not to this network namespace.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s"},
        "nftables": {"minSyncPeriod": "0.2s"},
    }


def _encryption(path: Path) -> None:
    if path.exists():
        return
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    provider = {"secretbox": {"keys": [{"name": "rig", "secret": key}]}}
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [provider, {"identity": {}}]}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))


def processes(layout: Layout, programs: Mapping[str, Path]) -> dict[str, list[str]]:
    """Command line of each process, in the order in which they start."""
    pki, etc = layout.pki, layout.etc
    return {
        "etcd": [
            str(programs["etcd"]),
            f"--data-dir={layout.state}/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
            "--auto-compaction-retention=1h",
            "--log-level=warn",
        ],
        "containerd": ["containerd", f"--config={etc}/containerd.toml", "--log-level=warn"],
        "kube-apiserver": [str(programs["kube-apiserver"]), *_apiserver(layout)],
        "kube-controller-manager": [
            str(programs["kube-controller-manager"]),
            *controller_manager(pki),
            "--bind-address=127.0.0.1",
        ],
        "kube-scheduler": [
            str(programs["kube-scheduler"]),
            *scheduler(pki),
            "--bind-address=127.0.0.1",
        ],
        "kubelet": [
            str(programs["kubelet"]),
            f"--config={etc}/kubelet.yaml",
            f"--kubeconfig={pki}/kubelet.kubeconfig",
            f"--root-dir={layout.state}/kubelet",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={layout.address}",
        ],
        "kube-proxy": [
            str(programs["kube-proxy"]),
            f"--config={etc}/kube-proxy.yaml",
            f"--hostname-override={NODE_NAME}",
        ],
        "network-policy": [
            str(programs["network-policy"]),
            f"--kubeconfig={pki}/network-policy.kubeconfig",
            f"--node={NODE_NAME}",
            f"--queue={QUEUE}",
        ],
    }


def _apiserver(layout: Layout) -> list[str]:
    pki = layout.pki
    return [
        *api_server(pki),
        f"--advertise-address={layout.address}",
        f"--service-cluster-ip-range={layout.services}",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--encryption-provider-config={pki}/encryption.yaml",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def api_server(pki: Path) -> list[str]:
    """Flags of every API server of ours: a rehearsal's admits and refuses what a rig's does."""
    return [
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        "--profiling=false",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/service-account.pub",
        f"--service-account-signing-key-file={pki}/service-account.key",
        # The front proxy shares the cluster's authority, so its name must be pinned.
        f"--requestheader-client-ca-file={pki}/ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        # A stop must not wait a minute for watches to end by themselves.
        "--shutdown-delay-duration=0s",
    ]


def controller_manager(pki: Path) -> list[str]:
    """Flags of every controller manager of ours."""
    return [
        *_client(pki, "controller-manager"),
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        f"--service-account-private-key-file={pki}/service-account.key",
        "--use-service-account-credentials",
    ]


def scheduler(pki: Path) -> list[str]:
    """Flags of every scheduler of ours."""
    return _client(pki, "scheduler")


def _client(pki: Path, name: str) -> list[str]:
    purposes = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    flags = [f"--{purpose}={pki}/{name}.kubeconfig" for purpose in purposes]
    return [*flags, "--leader-elect=false", "--profiling=false"]


def _supervisor(layout: Layout, programs: dict[str, list[str]]) -> str:
    parser = configparser.RawConfigParser()
    # supervisord writes its pid for nobody: node.py knows the one it started.
    parser["supervisord"] = {
        "nodaemon": "true",
        "user": "root",
        "pidfile": "/run/supervisord.pid",
        "logfile": f"{layout.logs}/supervisord.log",
        "logfile_maxbytes": "5MB",
        "logfile_backups": "1",
        "environment": f'PATH="{os.environ["PATH"]}",GOMEMLIMIT="512MiB"',
    }
    parser["unix_http_server"] = {"file": "/run/supervisor.sock", "chmod": "0700"}
    parser["supervisorctl"] = {"serverurl": "unix:///run/supervisor.sock"}
    parser["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for order, (name, command) in enumerate(programs.items()):
        parser[f"program:{name}"] = {
            "command": " ".join(command),
            "priority": str(order),
            "autorestart": "true",
            "startsecs": "1",
            "startretries": "1000000",
            "stopwaitsecs": "5",
            # Containers outlive containerd in its own process group; node.py ends them first.
            "stopasgroup": "false",
            "killasgroup": "false",
            "redirect_stderr": "true",
            "stdout_logfile": f"{layout.logs}/{name}.log",
            "stdout_logfile_maxbytes": "20MB",
            "stdout_logfile_backups": "1",
        }
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()
