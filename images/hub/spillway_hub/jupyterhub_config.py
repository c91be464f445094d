"""The hub's configuration; what differs between stacks comes from ``told``."""

import hashlib
import os
import sys

from spillway_hub import login, profiles, transactions
from spillway_hub.spawner import TeamSpawner
from spillway_hub.told import ADMINS, told

c = get_config()  # noqa: F821 - JupyterHub defines it
known = told()
servers = known.servers


def _key(name: str) -> bytes:
    """32 bytes of a secret text."""
    return hashlib.sha256(os.environ[name].encode()).digest()


# -- the hub --------------------------------------------------------------------------------------
c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"
c.JupyterHub.hub_connect_url = known.hub
c.JupyterHub.db_url = os.environ["HUB_DATABASE_URL"]
c.JupyterHub.upgrade_db = True
transactions.end_soon()
c.JupyterHub.cookie_secret = _key("HUB_COOKIE_SECRET")
c.CryptKeeper.keys = [_key("HUB_CRYPT_KEY")]
c.JupyterHub.cleanup_servers = False
c.JupyterHub.last_activity_interval = 30
c.JupyterHub.allow_named_servers = servers.named > 0
c.JupyterHub.named_server_limit_per_user = servers.named
c.JupyterHub.concurrent_spawn_limit = 64
c.JupyterHub.init_spawners_timeout = 10
c.JupyterHub.admin_access = False
c.JupyterHub.template_vars = {"announcement": ""}

# -- the proxy, a pod of its own ------------------------------------------------------------------
c.JupyterHub.cleanup_proxy = False
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = known.proxy_api
c.ConfigurableHTTPProxy.auth_token = os.environ["PROXY_TOKEN"]

# -- people ---------------------------------------------------------------------------------------
login.configure(c, known.login, os.environ["LOGIN_SECRET"])

# -- their servers --------------------------------------------------------------------------------
c.JupyterHub.spawner_class = TeamSpawner
c.KubeSpawner.profile_list = lambda spawner: profiles.page(
    known, [group.name for group in spawner.user.groups]
)
c.KubeSpawner.slug_scheme = "safe"
c.KubeSpawner.pod_name_template = "notebook-{user_server}"
c.KubeSpawner.pvc_name_template = "home-{user_server}"
c.KubeSpawner.remember_pvc_name = False
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.storage_capacity = servers.home_size
c.KubeSpawner.storage_access_modes = ["ReadWriteOnce"]
if servers.storage_class:
    c.KubeSpawner.storage_class = servers.storage_class
c.KubeSpawner.delete_pvc = True
c.KubeSpawner.image_pull_policy = servers.pull_policy
c.KubeSpawner.start_timeout = servers.start_seconds
c.KubeSpawner.http_timeout = 60
c.KubeSpawner.automount_service_account_token = True
c.KubeSpawner.extra_pod_config = {"enableServiceLinks": False}
c.KubeSpawner.uid = 1000
c.KubeSpawner.gid = 100
c.KubeSpawner.fs_gid = 100
c.KubeSpawner.allow_privilege_escalation = False
c.KubeSpawner.pod_security_context = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 100,
    "fsGroup": 100,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
c.KubeSpawner.container_security_context = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
c.KubeSpawner.extra_labels = dict(profiles.NOTEBOOK)
c.KubeSpawner.extra_annotations = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "hub.jupyter.org/username": "{unescaped_username}",
}
c.KubeSpawner.volumes = [
    {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}},
    {"name": "tmp", "emptyDir": {"sizeLimit": "10Gi"}},
    # PyTorch's loaders share memory here; the runtime's default is 64 MiB.
    {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
]
c.KubeSpawner.volume_mounts = [
    {"name": "home", "mountPath": "/home/jovyan"},
    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
    {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
]
c.KubeSpawner.environment = {
    "HOME": "/home/jovyan",
    "MLFLOW_TRACKING_URI": os.environ["MLFLOW_TRACKING_URI"],
    "MLFLOW_TRACKING_AUTH": "kubernetes-namespaced",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
c.KubeSpawner.notebook_dir = "/home/jovyan"
c.Spawner.default_url = "/lab"
# Without a command KubeSpawner leaves the arguments out.
c.KubeSpawner.cmd = ["/opt/notebook/bin/jupyterhub-singleuser"]
c.KubeSpawner.args = [
    f"--MappingKernelManager.cull_idle_timeout={servers.kernel_minutes * 60}",
    f"--MappingKernelManager.cull_interval={min(300, servers.kernel_minutes * 60)}",
    "--MappingKernelManager.cull_connected=True",
    "--ServerApp.terminals_enabled=True",
]

# -- services -------------------------------------------------------------------------------------
PYTHON = sys.executable
LOCAL = "http://127.0.0.1:8081/hub/api"
c.JupyterHub.services = [
    {
        "name": "culler",
        "command": [
            PYTHON,
            "-m",
            "jupyterhub_idle_culler",
            f"--url={LOCAL}",
            f"--timeout={servers.server_minutes * 60}",
            f"--cull-every={min(300, max(5, servers.server_minutes * 20))}",
        ],
    },
    {"name": "sweeper", "command": [PYTHON, "-m", "spillway_hub.sweep"]},
    {
        "name": "experiments",
        "display": True,
        "url": known.viewer,
        "api_token": os.environ["VIEWER_TOKEN"],
        "oauth_client_id": "service-experiments",
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": ["read:users:groups!user", "read:users:name!user"],
    },
    {"name": "metrics", "api_token": os.environ["METRICS_TOKEN"]},
]
c.JupyterHub.load_roles = [
    {
        "name": "user",
        "scopes": ["self", "access:services!service=experiments"],
    },
    {
        "name": "culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["culler"],
    },
    {
        "name": "sweeper",
        "scopes": [
            "list:users",
            "read:users",
            "admin:auth_state",
            "read:servers",
            "delete:servers",
        ],
        "services": ["sweeper"],
    },
    {"name": "metrics", "scopes": ["read:metrics"], "services": ["metrics"]},
    *(
        {
            "name": f"admin-{tenant}",
            "description": f"may see, start and stop the servers of {tenant}",
            "scopes": [
                "admin-ui",
                f"list:users!group={tenant}",
                f"read:users!group={tenant}",
                f"servers!group={tenant}",
            ],
            "groups": [f"{tenant}{ADMINS}"],
        }
        for tenant in known.tenants
    ),
]
