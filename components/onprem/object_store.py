"""An S3 store in a pod: one server, one volume, and an account that owns one bucket."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import network, shapes
from components.jobs import run_once
from components.labels import labels, selector
from components.onprem.volume import DATA, ROLE, Disk, Server, on_volume
from components.pods import PullPolicy, Scratch, container, http_probe
from components.secrets import password, secret

APP = "object-store"
PORT = 7070
UID = 1000
DATA_PATH = "/data"
REGION = "us-east-1"
"""What S3 clients sign for when nobody tells them otherwise."""
KEY_LENGTHS = {"access": 20, "secret": 40}
"""The lengths AWS uses; some clients refuse others."""
SCRATCH = (Scratch(path="/tmp", size="1Gi"),)  # noqa: S108 - a volume of the pod's own


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    """Where it runs, how large it is, and who may connect."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    bucket: str
    consumers: Sequence[network.Peer]
    """Pods that may connect."""
    size: str
    """Kubernetes quantity; may grow later, never shrink."""
    storage_class: str | None = None
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    protect: bool = True
    """Keeps the volume and the keys that open it from being deleted or replaced."""


class ObjectStore(pulumi.ComponentResource):
    """A bucket that needs no cloud; fulfils ``shapes.ObjectStore``."""

    bucket: pulumi.Output[str]
    uri: pulumi.Output[str]

    def __init__(
        self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:onprem:ObjectStore", name, None, opts)
        self._name, self._args = name, args
        keys = {
            "ROOT_ACCESS_KEY": self._key("root", "access"),
            "ROOT_SECRET_KEY": self._key("root", "secret"),
        }
        root = secret(APP, name, "root", keys, namespace=args.namespace, parent=self)
        disk = Disk(size=args.size, class_name=args.storage_class, protect=args.protect)
        server, service = on_volume(name, _server(args, root), disk, args.namespace, self)
        self._endpoint = pulumi.Output.concat(
            "http://", service.metadata.name, ".", args.namespace, f".svc:{PORT}"
        )
        self.bucket = pulumi.Output.from_input(args.bucket)
        self._user = {
            "access": self._key("user", "access"),
            "secret": self._key("user", "secret"),
        }
        self.uri = pulumi.Output.concat("s3://", args.bucket)
        setup = self._make_bucket(root, [server, service])
        self._fence()
        self._ready = (server, service, setup)
        self.register_outputs({"bucket": self.bucket, "uri": self.uri})

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """The server answers, and the bucket and its owner exist."""
        return self._ready

    @property
    def egress(self) -> Sequence[network.Egress]:
        """The rules a client's NetworkPolicy needs to reach it."""
        server = network.pods_in(self._args.namespace, selector(APP, self._name, ROLE))
        return [network.egress([server], PORT)]

    @property
    def environment(self) -> shapes.Environment:
        """Where it is, as boto3 reads it."""
        return {"AWS_ENDPOINT_URL_S3": self._endpoint, "AWS_DEFAULT_REGION": REGION}

    @property
    def credentials(self) -> shapes.Environment:
        """The keys of the account that owns the bucket."""
        return {
            "AWS_ACCESS_KEY_ID": self._user["access"],
            "AWS_SECRET_ACCESS_KEY": self._user["secret"],
        }

    def _key(self, who: str, kind: str) -> pulumi.Output[str]:
        name, protect = f"{self._name}-{who}-{kind}-key", self._args.protect
        return password(name, KEY_LENGTHS[kind], protect=protect, parent=self)

    def _make_bucket(
        self, root: k8s.core.v1.Secret, after: Sequence[pulumi.Resource]
    ) -> k8s.batch.v1.Job:
        args, name = self._args, self._name
        keys = {"USER_ACCESS_KEY": self._user["access"], "USER_SECRET_KEY": self._user["secret"]}
        user = secret(APP, name, "user", keys, namespace=args.namespace, parent=self)
        return run_once(
            f"{name}-bucket",
            namespace=args.namespace,
            marks=labels(APP, name, "bucket"),
            uid=UID,
            container={
                "name": "bucket",
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "command": ["/usr/local/bin/make-bucket"],
                "env": [
                    {"name": "S3_ENDPOINT", "value": self._endpoint},
                    {"name": "BUCKET", "value": args.bucket},
                ],
                "env_from": [{"secret_ref": {"name": s.metadata.name}} for s in (root, user)],
            },
            egress=self.egress,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def _fence(self) -> None:
        args, name = self._args, self._name
        setup = network.pods_in(args.namespace, selector(APP, name, "bucket"))
        network.policy(
            f"{name}-clients",
            namespace=args.namespace,
            marks=labels(APP, name, ROLE),
            pods=selector(APP, name, ROLE),
            incoming=[network.ingress([*args.consumers, setup], PORT)],
            opts=pulumi.ResourceOptions(parent=self),
        )


def _server(args: ObjectStoreArgs, root: k8s.core.v1.Secret) -> Server:
    return Server(
        app=APP,
        uid=UID,
        container=_container(args, root),
        scratch=SCRATCH,
        # Uploads under way may finish.
        grace=60,
        port=PORT,
        port_name="http",
    )


def _container(args: ObjectStoreArgs, root: k8s.core.v1.Secret) -> k8s.core.v1.ContainerArgsDict:
    return container(
        {
            "name": APP,
            "image": args.image,
            "image_pull_policy": args.pull_policy,
            "ports": [{"name": "http", "container_port": PORT}],
            "env_from": [{"secret_ref": {"name": root.metadata.name}}],
            "startup_probe": http_probe("/health", every=1, failures=120),
            "readiness_probe": http_probe("/health", every=5, failures=3),
            "liveness_probe": http_probe("/health", every=20, failures=6),
        },
        requests={"cpu": "100m", "memory": "128Mi"},
        memory_limit="1Gi",
        scratch=SCRATCH,
        mounts=[{"name": DATA, "mount_path": DATA_PATH}],
    )
