"""An S3 store in a pod: one server, one volume, and for each bucket an account that owns it.

Buckets share the volume: none has a limit of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import network, shapes
from components.labels import labels, selector
from components.onprem.bucket import APP, UID, Root, key, owned, tenant_bucket
from components.onprem.bucket import ROLE as SETUP
from components.onprem.volume import DATA, ROLE, Disk, Server, on_volume
from components.pods import PullPolicy, Scratch, container, http_probe
from components.secrets import secret

PORT = 7070
DATA_PATH = "/data"
REGION = "us-east-1"
"""What S3 clients sign for when nobody tells them otherwise."""
SCRATCH = (Scratch(path="/tmp", size="1Gi"),)  # noqa: S108 - a volume of the pod's own


STORAGE_CLIENTS: network.Peer = {
    "namespace_selector": {"match_labels": {shapes.STORAGE_LABEL: "true"}},
    "pod_selector": {},
}
"""Every pod of a namespace that says it uses storage; the store's accounts tell them apart."""


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
    """A bucket that needs no cloud; fulfils ``shapes.ObjectStore`` and ``shapes.Landlord``."""

    bucket: pulumi.Output[str]
    uri: pulumi.Output[str]

    def __init__(
        self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:onprem:ObjectStore", name, None, opts)
        self._name, self._args = name, args
        keys = {
            f"ROOT_{kind.upper()}_KEY": key(f"{name}-root", kind, protect=args.protect, parent=self)
            for kind in ("access", "secret")
        }
        root = secret(APP, name, "root", keys, namespace=args.namespace, parent=self)
        disk = Disk(size=args.size, class_name=args.storage_class, protect=args.protect)
        server, service = on_volume(name, _server(args, root), disk, args.namespace, self)
        self._endpoint = network.service_url(service.metadata.name, args.namespace, PORT)
        self.bucket = pulumi.Output.from_input(args.bucket)
        self.uri = pulumi.Output.concat("s3://", args.bucket)
        self._root = Root(
            name=name,
            namespace=args.namespace,
            image=args.image,
            pull_policy=args.pull_policy,
            endpoint=self._endpoint,
            keys=root,
            egress=self.egress,
            protect=args.protect,
        )
        self._serves = (server, service)
        self._keys, setup = owned(name, args.bucket, self._root, parent=self, after=self._serves)
        self._fence()
        self._ready = (*self._serves, setup)
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
        return self._keys

    def storage(self, tenant: str, namespace: pulumi.Input[str]) -> shapes.Storage:
        """A bucket and an account for one tenant. Pods are let in by ``consumers``.

        Made beside the store: in the tenant's namespace there is nothing of it.
        """
        del namespace
        bucket = tenant_bucket(tenant)
        keys, setup = owned(
            f"{self._name}-{bucket}", bucket, self._root, parent=self, after=self._serves
        )
        return shapes.Storage(
            uri=pulumi.Output.from_input(f"s3://{bucket}"),
            environment=self.environment,
            credentials=keys,
            egress=self.egress,
            ready=[*self._serves, setup],
        )

    def _fence(self) -> None:
        args, name = self._args, self._name
        setup = network.pods_in(args.namespace, selector(APP, name, SETUP))
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
