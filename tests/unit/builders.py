"""One way to build each component, and the whole stack, for every test of this folder."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import (
    FencedNamespace,
    FencedNamespaceArgs,
    Guard,
    GuardArgs,
    Mlflow,
    MlflowArgs,
    Tenant,
    TenantArgs,
    TenantRoles,
    TenantRolesArgs,
    door,
    hub,
    network,
    onprem,
    shapes,
)
from components.batch import BatchScoring, BatchScoringArgs
from components.certificates import PARTS as PARTS_OF_CERT_MANAGER
from components.certificates import SOLVER, CertManager, CertManagerArgs
from components.cluster.autoscaler import Autoscaler, AutoscalerArgs, ScaledPool
from components.cluster.devices import DevicePlugin, DevicePluginArgs
from components.cluster.nodes import NodePool
from components.cluster.onprem import OnpremNodes, OnpremNodesArgs
from components.cluster.queue import Queue, QueueArgs, QueuedPool
from components.cluster.reaper import NodeReaper, NodeReaperArgs
from components.cluster.spend_guard import SpendGuard, SpendGuardArgs
from components.door.issuers import Certificates, CertificatesArgs
from components.door.plain import PlainHttp, PlainHttpArgs
from components.hub.proxy import Proxy, ProxyArgs
from components.hub.puller import Puller, PullerArgs
from components.hub.viewer import Viewer, ViewerArgs
from components.labels import labels
from components.mesh import Mesh, MeshArgs
from components.mlflow import consumer
from components.model import ModelDeployment, ModelDeploymentArgs, Version
from components.model_pod import Images
from components.pods import PullPolicy
from components.seldon import Seldon, SeldonArgs
from components.tenant import Platform
from components.tenant_roles import RULES
from rig.rehearsal.scenes import config_of

ROOT = Path(__file__).resolve().parents[2]
CLIENT: network.Peer = {"pod_selector": {"match_labels": {"app": "client"}}}


def namespace(name: str = "platform", **changes: Any) -> FencedNamespace:
    return FencedNamespace(name, FencedNamespaceArgs(**{"namespace": name, **changes}))


def database(name: str = "database", **changes: Any) -> onprem.Database:
    defaults = {
        "namespace": "spillway",
        "image": "localhost/spillway/postgres:1",
        "database": "mlflow",
        "consumers": [CLIENT],
        "size": "5Gi",
    }
    return onprem.Database(name, onprem.DatabaseArgs(**{**defaults, **changes}))


def guest(**changes: Any) -> shapes.Guest:
    defaults = {
        "consumers": [{"pod_selector": {"match_labels": {"app": "hub"}}}],
        "namespace": "spillway",
        "image": "localhost/spillway/hub:1",
        "python": "/opt/hub/bin/python",
        "uid": 10002,
    }
    return shapes.Guest(**{**defaults, **changes})


def object_store(name: str = "object-store", **changes: Any) -> onprem.ObjectStore:
    defaults = {
        "namespace": "spillway",
        "image": "localhost/spillway/object-store:1",
        "bucket": "mlflow",
        "consumers": [CLIENT],
        "size": "20Gi",
    }
    return onprem.ObjectStore(name, onprem.ObjectStoreArgs(**{**defaults, **changes}))


class Cloud:
    """A managed service as a cloud would offer it: a shape of which nothing is a pod."""

    ready = ()
    credentials: ClassVar[dict[str, str]] = {}

    def __init__(self, address: str, port: int, environment: dict[str, str], **outputs: Any):
        self.egress = [network.egress([{"ip_block": {"cidr": address}}], port)]
        self.environment = environment
        for name, value in outputs.items():
            setattr(self, name, value)


def cloud_database() -> Cloud:
    url = "postgresql://mlflow@db.example.com:5432/mlflow?sslmode=require"
    secret = {"SPILLWAY_DATABASE_SECRET": "arn:aws:secretsmanager:eu-central-1:1:secret:db"}
    return Cloud("10.64.0.9/32", 5432, secret, url=pulumi.Output.secret(url))


def cloud_store() -> Cloud:
    uri = pulumi.Output.from_input("s3://artifacts/mlflow")
    return Cloud("0.0.0.0/0", 443, {"AWS_DEFAULT_REGION": "eu-central-1"}, uri=uri)


def cloud_mlflow(name: str = "mlflow", **changes: Any) -> Mlflow:
    """The server alone: what it uses is somewhere else."""
    return mlflow(name, **{"database": cloud_database(), "store": cloud_store(), **changes})


def mlflow(name: str = "mlflow", **changes: Any) -> Mlflow:
    given = {"namespace": "spillway", "image": "localhost/spillway/mlflow:1", **changes}
    client = consumer("spillway", name)
    if "database" not in given:
        given["database"] = database(f"{name}-db", consumers=[client])
    if "store" not in given:
        given["store"] = object_store(f"{name}-s3", consumers=[client])
    return Mlflow(name, MlflowArgs(**given))


NODES = "10.10.0.0/16"


def platform(**changes: Any) -> Platform:
    """Those whom a tenant's pods meet."""
    defaults = {
        "tracking": consumer("spillway", "mlflow"),
        "tracking_port": 5000,
        "hub": hub.hub_pods("spillway", "jupyterhub"),
        "hub_port": hub.HUB_PORT,
        "proxy": hub.proxy_pods("spillway", "jupyterhub"),
        "spawner": hub.spawner("spillway", "jupyterhub"),
        "viewer": hub.viewer("spillway", "jupyterhub"),
        "api_server": network.to_api_server(NODES),
        "roles": {who: f"role-{who}" for who in RULES},
    }
    return Platform(**{**defaults, **changes})


def storage(**changes: Any) -> shapes.Storage:
    """In the cluster, with keys."""
    defaults = {
        "uri": pulumi.Output.from_input("s3://tenant-vision"),
        "environment": {"AWS_ENDPOINT_URL_S3": "http://object-store.spillway.svc:9000"},
        "credentials": {"AWS_SECRET_ACCESS_KEY": pulumi.Output.secret("hunter2storage")},
        "egress": [network.egress([CLIENT], 9000)],
        "ready": (),
    }
    return shapes.Storage(**{**defaults, **changes})


def cloud_storage() -> shapes.Storage:
    """In a cloud, opened by who a pod is."""
    return storage(
        uri=pulumi.Output.from_input("gs://artifacts/tenants/vision"),
        environment={"GOOGLE_CLOUD_PROJECT": "example-ds"},
        credentials={},
        egress=[],
        login=shapes.Login(
            environment={"GOOGLE_APPLICATION_CREDENTIALS": "/var/run/login/config.json"},
            volumes=[{"name": "login", "config_map": {"name": "login", "default_mode": 0o444}}],
            mounts=[{"name": "login", "mount_path": "/var/run/login", "read_only": True}],
            egress=[network.egress([{"ip_block": {"cidr": "0.0.0.0/0"}}], 443)],
        ),
    )


def tenant(name: str = "vision", kept: shapes.Storage | None = None, **changes: Any) -> Tenant:
    """A team with its storage."""
    defaults = {"namespace": name, "cpu": 8, "memory": "16Gi", "gpus": 2, "platform": platform()}
    built = Tenant(name, TenantArgs(**{**defaults, **changes}))
    built.keep(kept or storage())
    return built


def team(**changes: Any) -> hub.Team:
    """What a hub knows of a tenant."""
    defaults = {
        "namespace": "vision",
        "members": ("ada@example.com", "group:vision"),
        "admins": ("lin@example.com",),
        "profiles": ("small", "gpu-l4"),
        "notebook": "localhost/spillway/notebook:1",
        "spark": "localhost/spillway/notebook-spark:1",
        "storage": storage(),
    }
    return hub.Team(**{**defaults, **changes})


PROFILES = {
    "small": hub.Profile(title="Small", description="1 core", cpu=1, memory="2Gi"),
    "gpu-l4": hub.Profile(
        title="GPU L4", description="4 cores", cpu=4, memory="16Gi", accelerator="l4"
    ),
}
SERVERS = hub.Servers(
    home_size="5Gi",
    storage_class=None,
    start_seconds=300,
    named=3,
    server_minutes=60,
    kernel_minutes=30,
    pull_policy=PullPolicy.IF_NOT_PRESENT,
)


def jupyterhub(name: str = "jupyterhub", **changes: Any) -> hub.JupyterHub:
    defaults = {
        "namespace": "spillway",
        "image": "localhost/spillway/hub:1",
        "proxy_image": "localhost/spillway/proxy:1",
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "login": hub.Login(provider="google", client_id="spillway", hosted_domain="example.com"),
        "login_secret": pulumi.Output.secret("hunter2login"),
        "teams": {"vision": team()},
        "profiles": PROFILES,
        "servers": SERVERS,
        "database": cloud_database(),
        "tracking": consumer("spillway", "mlflow"),
        "tracking_uri": "http://mlflow.spillway.svc:5000",
        "tracking_port": 5000,
        "api_server": network.to_api_server(NODES),
        "pull": ["localhost/spillway/notebook:1"],
    }
    return hub.JupyterHub(name, hub.JupyterHubArgs(**{**defaults, **changes}))


def _keys(name: str) -> k8s.core.v1.Secret:
    return k8s.core.v1.Secret(
        f"{name}-some-keys",
        metadata={"namespace": "spillway", "labels": labels("test", name, "keys")},
        string_data={},
    )


def proxy(name: str = "jupyterhub") -> Proxy:
    given = {
        "namespace": "spillway",
        "image": "localhost/spillway/proxy:1",
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "hub": "http://hub:8081",
        "secrets": _keys(name),
        "priority": "platform",
        "node_port": None,
        "pod_network": None,
    }
    return Proxy(name, ProxyArgs(**given))


def viewer(name: str = "jupyterhub") -> Viewer:
    given = {
        "namespace": "spillway",
        "image": "localhost/spillway/hub:1",
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "hub": "http://hub:8081",
        "tracking": CLIENT,
        "tracking_uri": "http://mlflow:5000",
        "tracking_port": 5000,
        "api_server": network.to_api_server(NODES),
        "secrets": _keys(name),
        "priority": "platform",
    }
    return Viewer(name, ViewerArgs(**given))


def puller(name: str = "puller", **changes: Any) -> Puller:
    given = {"namespace": "spillway", "pull_policy": PullPolicy.IF_NOT_PRESENT}
    return Puller(name, PullerArgs(**{"images": ["notebook:1"], **given, **changes}))


def guard(name: str = "guard") -> Guard:
    return Guard(name, GuardArgs(audiences=["sts.amazonaws.com"]))


def tenant_roles(name: str = "tenant-roles") -> TenantRoles:
    return TenantRoles(name, TenantRolesArgs())


CHART = Path("/charts")
"""Never read here: the engine's provider renders it."""
API_SERVER = network.to_api_server(NODES)


def cert_manager(name: str = "cert-manager", **changes: Any) -> CertManager:
    defaults = {
        "namespace": name,
        "chart": CHART,
        "images": {part: f"example.com/{part}:1" for part in (*PARTS_OF_CERT_MANAGER, SOLVER)},
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "api_server": API_SERVER,
        "nodes": NODES,
    }
    return CertManager(name, CertManagerArgs(**{**defaults, **changes}))


def mesh(name: str = "mesh", **changes: Any) -> Mesh:
    defaults = {
        "namespace": name,
        "base": CHART,
        "istiod": CHART,
        "pilot": "example.com/pilot:1",
        "proxy": "example.com/proxy:1",
        "upstream_envoy": False,
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "replicas": 2,
        "revision": "1-31-0",
        "api_server": API_SERVER,
        "gateways": door.gateway_pods(),
        "nodes": NODES,
    }
    return Mesh(name, MeshArgs(**{**defaults, **changes}))


OWN = NodePool(name="own", tier="onprem", accelerator="l4", gpus=8)
CLOUD = NodePool(name="cloud", tier="burst", accelerator="l4", gpus=1)


def queue(name: str = "queue", **changes: Any) -> Queue:
    defaults = {
        "namespace": name,
        "chart": CHART,
        "definitions": [],
        "image": "example.com/kueue:1",
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "api_server": API_SERVER,
        "pools": [QueuedPool(nodes=OWN, machines=2), QueuedPool(nodes=CLOUD, machines=8)],
        "tenants": {"vision": {"own": 4, "cloud": 2}, "language": {"own": 8, "cloud": 4}},
    }
    return Queue(name, QueueArgs(**{**defaults, **changes}))


def spend_guard(name: str = "spend-guard") -> SpendGuard:
    return SpendGuard(name, SpendGuardArgs())


AWS_SCALING = shapes.Scaling(
    provider="aws",
    login=shapes.Login(
        environment={"AWS_REGION": "eu-central-1"}, egress=[network.egress([], 443)]
    ),
)
GCP_SCALING = shapes.Scaling(provider="gce", config="[Global]\nproject-id = p\n")


def autoscaler(name: str = "autoscaler", **changes: Any) -> Autoscaler:
    defaults = {
        "namespace": "spillway",
        "account": "cluster-autoscaler",
        "image": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.37.0",
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "scaling": AWS_SCALING,
        "pools": {
            "l4": ScaledPool(groups={"pool-l4-1": 8}, price=0.4),
            "h100": ScaledPool(groups={"pool-h100.1": 2}, price=7.0),
        },
        "api_server": API_SERVER,
    }
    return Autoscaler(name, AutoscalerArgs(**{**defaults, **changes}))


def reaper(name: str = "node-reaper") -> NodeReaper:
    given = {
        "namespace": "spillway",
        "image": "localhost/spillway/hub:1",
        "python": "/opt/hub/bin/python",
        "uid": 10002,
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "api_server": API_SERVER,
    }
    return NodeReaper(name, NodeReaperArgs(**given))


def device_plugin(name: str = "device-plugin", **changes: Any) -> DevicePlugin:
    defaults = {
        "image": "nvcr.io/nvidia/k8s-device-plugin:v0.18.2",
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "pools": [OWN, CLOUD],
        "namespace": name,
    }
    return DevicePlugin(name, DevicePluginArgs(**{**defaults, **changes}))


def onprem_nodes(name: str = "nodes-own", **changes: Any) -> OnpremNodes:
    defaults = {"pool": OWN, "names": ["gpu-0", "gpu-1"]}
    return OnpremNodes(name, OnpremNodesArgs(**{**defaults, **changes}))


def route(name: str = "mlflow") -> door.Route:
    return door.Route(
        host=f"{name}.ds.example.com",
        namespace="spillway",
        service=name,
        port=5000,
        pods=consumer("spillway", name),
        target_port=5000,
    )


def front_door(name: str = "front-door", **changes: Any) -> door.FrontDoor:
    defaults = {
        "namespace": name,
        "chart": CHART,
        "models": "models.ds.example.com",
        "routes": [route()],
        "signer": door.OwnAuthority(),
        "control_plane": network.egress([network.pods_in("istio-system", {"app": "istiod"})], 1),
        "revision": "1-31-0",
        "ready": (),
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
    }
    return door.FrontDoor(name, door.FrontDoorArgs(**{**defaults, **changes}))


def plain_http(name: str = "front-door-plain", **changes: Any) -> PlainHttp:
    defaults = {
        "namespace": "front-door",
        "chosen": door.CHOSEN,
        "hosts": ["hub.example.com", "models.example.com"],
        "challenges": True,
    }
    return PlainHttp(name, PlainHttpArgs(**{**defaults, **changes}))


def request_meter(name: str = "request-meter", **changes: Any) -> door.RequestMeter:
    defaults = {
        "namespace": "front-door",
        "image": "localhost/spillway/storage-initializer:1",
        "python": "/opt/fetch/bin/python",
        "uid": 10005,
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "api_server": API_SERVER,
        "nodes": NODES,
        "ready": (),
    }
    return door.RequestMeter(name, door.RequestMeterArgs(**{**defaults, **changes}))


def certificates(name: str = "front-door", **changes: Any) -> Certificates:
    defaults = {
        "namespace": name,
        "hosts": ["hub.ds.example.com"],
        "signer": door.OwnAuthority(),
    }
    return Certificates(name, CertificatesArgs(**{**defaults, **changes}))


ROLE = Path(__file__).with_name("seldon_role.yaml")
"""In the shape of the project's own, which is not always here."""


def seldon(name: str = "seldon", **changes: Any) -> Seldon:
    defaults = {
        "namespace": name,
        "role": ROLE,
        "image": "example.com/seldon:1",
        "pull_policy": PullPolicy.IF_NOT_PRESENT,
        "gateway": door.GATEWAY,
        "api_server": API_SERVER,
        "nodes": NODES,
        "ready": (),
    }
    return Seldon(name, SeldonArgs(**{**defaults, **changes}))


MODELS = "models.ds.example.com"


def model_access(name: str = "model-access", **changes: Any) -> door.ModelAccess:
    defaults = {
        "namespace": "front-door",
        "chosen": door.CHOSEN,
        "host": MODELS,
        "others": ["mlflow.ds.example.com"],
        "issuer": "https://issuer.example.com",
        "tenants": ["vision", "language"],
    }
    return door.ModelAccess(name, door.ModelAccessArgs(**{**defaults, **changes}))


SERVERS_OF_MODELS = Images(
    server="localhost/spillway/model-server:1",
    fetcher="localhost/spillway/storage-initializer:1",
    pull_policy=PullPolicy.IF_NOT_PRESENT,
)


def model(name: str = "iris", **changes: Any) -> ModelDeployment:
    defaults = {
        "model": name,
        "namespace": "vision",
        "tenant": "vision",
        "versions": [Version(uri="models:/iris/7", traffic=100)],
        "host": MODELS,
        "images": SERVERS_OF_MODELS,
        "tracking_uri": "http://mlflow.spillway.svc:5000",
        "storage": storage(),
    }
    return ModelDeployment(name, ModelDeploymentArgs(**{**defaults, **changes}))


def batch(name: str = "nightly", **changes: Any) -> BatchScoring:
    defaults = {
        "batch": name,
        "namespace": "vision",
        "tenant": "vision",
        "model": "models:/iris/7",
        "input": "s3://tenant-vision/in/",
        "output": "s3://tenant-vision/scored/",
        "images": SERVERS_OF_MODELS,
        "tracking_uri": "http://mlflow.spillway.svc:5000",
        "storage": storage(),
    }
    return BatchScoring(name, BatchScoringArgs(**{**defaults, **changes}))


PARTS = {
    "spillway:index:Certificates": certificates,
    "spillway:index:PlainHttp": plain_http,
    "spillway:index:RequestMeter": request_meter,
    "spillway:index:Proxy": proxy,
    "spillway:index:Viewer": viewer,
    "spillway:index:Puller": puller,
    "spillway:cluster:Queue": queue,
    "spillway:cluster:Autoscaler": autoscaler,
    "spillway:cluster:NodeReaper": reaper,
    "spillway:cluster:OnpremNodes": onprem_nodes,
}
"""Made by the hub alone, and what a cluster has once."""
BUILDERS = {
    "spillway:index:FencedNamespace": namespace,
    "spillway:index:Guard": guard,
    "spillway:index:CertManager": cert_manager,
    "spillway:index:Mesh": mesh,
    "spillway:cluster:SpendGuard": spend_guard,
    "spillway:cluster:DevicePlugin": device_plugin,
    "spillway:index:FrontDoor": front_door,
    "spillway:index:ModelAccess": model_access,
    "spillway:index:ModelDeployment": model,
    "spillway:index:BatchScoring": batch,
    "spillway:index:Seldon": seldon,
    "spillway:index:Tenant": tenant,
    "spillway:index:TenantRoles": tenant_roles,
    "spillway:index:JupyterHub": jupyterhub,
    "spillway:onprem:Database": database,
    "spillway:onprem:ObjectStore": object_store,
    "spillway:index:Mlflow": mlflow,
}
"""Public contract: a token that changes replaces what users have."""


def everything() -> list[pulumi.Output[str]]:
    """One of each (MLflow brings a database and a store), node ports included."""
    pods = "10.42.0.0/16"
    return [
        namespace().urn,
        mlflow(
            node_port=30500,
            pod_network=pods,
            hosts=["mlflow.example.com"],
            api_server=network.to_api_server(NODES),
        ).urn,
        tenant().urn,
        front_door().urn,
        request_meter().urn,
        mesh().urn,
        cert_manager().urn,
        seldon().urn,
        model_access().urn,
        model().urn,
        jupyterhub(node_port=30080, pod_network=pods).urn,
    ]


def stack_config(stack: str) -> dict[str, str]:
    """A stack file as the engine hands it to the program: text, with the project's defaults."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    own = config_of(ROOT / f"Pulumi.{stack}.yaml")
    defaults = {f"spillway:{key}": value["default"] for key, value in project.items()}
    return {key: as_text(value) for key, value in {**defaults, **own}.items()}


def as_text(value: Any) -> str:
    """An empty value reaches the program as empty text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
