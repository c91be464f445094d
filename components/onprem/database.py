"""PostgreSQL in a pod: one server, one volume, and for each database an owner of its own.

Does not back itself up: that is for the volume's own snapshots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components import network, shapes
from components.jobs import run_once
from components.labels import labels, metadata, selector
from components.onprem.volume import DATA, ROLE, Disk, Server, on_volume
from components.pods import PullPolicy, Scratch, container
from components.secrets import password, secret

APP = "postgres"
PORT = 5432
UID = 999
DATA_PATH = "/var/lib/postgresql/data"
PASSWORD_LENGTH = 32
SCRATCH = (
    Scratch(path="/tmp", size="256Mi"),  # noqa: S108 - a volume of the pod's own
    Scratch(path="/var/run/postgresql", size="16Mi"),
    # Parallel queries share memory here; the runtime's default is 64 MiB.
    Scratch(path="/dev/shm", size="256Mi", memory=True),  # noqa: S108
)
OWNER_SQL = Path(__file__).with_name("owner.sql")


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """Where it runs, how large it is, and who may connect."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    database: str
    """Name of the database and of the user who owns it."""
    consumers: Sequence[network.Peer]
    """Pods that may connect."""
    size: str
    """Kubernetes quantity; may grow later, never shrink."""
    storage_class: str | None = None
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    protect: bool = True
    """Keeps the volume and the passwords that open it from being deleted or replaced."""


class Database(pulumi.ComponentResource):
    """A database that needs no cloud; fulfils ``shapes.DatabaseServer``."""

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    user: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:onprem:Database", name, None, opts)
        self._name, self._args = name, args
        admin, owner = self._password("admin"), self._password("owner")
        login = {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": admin}
        access = secret(APP, name, "access", login, namespace=args.namespace, parent=self)
        disk = Disk(size=args.size, class_name=args.storage_class, protect=args.protect)
        server, service = on_volume(name, _server(args, access), disk, args.namespace, self)
        self.host = pulumi.Output.concat(service.metadata.name, ".", args.namespace, ".svc")
        self._admin, self._script = admin, self._owner_sql()
        setup = self._owner("owner", args.database, owner, [server, service])
        self._fence()

        self.port = pulumi.Output.from_input(PORT)
        self.database = self.user = pulumi.Output.from_input(args.database)
        self.url = self._url(args.database, owner)
        self._ready = (server, service, setup)
        self.register_outputs(
            {
                "host": self.host,
                "port": self.port,
                "database": self.database,
                "user": self.user,
                "url": self.url,
            }
        )

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """The server answers and the owner exists."""
        return self._ready

    @property
    def egress(self) -> Sequence[network.Egress]:
        """The rules a client's NetworkPolicy needs to reach it."""
        server = network.pods_in(self._args.namespace, selector(APP, self._name, ROLE))
        return [network.egress([server], PORT)]

    @property
    def environment(self) -> shapes.Environment:
        """Nothing: the URL says it all."""
        return {}

    def another(self, name: str, guest: shapes.Guest) -> shapes.Database:
        """One more database with an owner of its own, by a pod of the server's own image."""
        if name == self._args.database:
            raise ValueError(f"{name} is the server's first database, not another")
        owner = self._password(f"{name}-owner")
        setup = self._owner(f"{name}-owner", name, owner, self._ready)
        admitted = self._admit(f"{name}-clients", guest.consumers)
        return shapes.GuestDatabase(
            host=self.host,
            port=self.port,
            database=pulumi.Output.from_input(name),
            user=pulumi.Output.from_input(name),
            url=self._url(name, owner),
            egress=self.egress,
            ready=[*self._ready, setup, admitted],
        )

    def _password(self, role: str) -> pulumi.Output[str]:
        name, protect = f"{self._name}-{role}-password", self._args.protect
        return password(name, PASSWORD_LENGTH, protect=protect, parent=self)

    def _url(self, database: str, owner: pulumi.Output[str]) -> pulumi.Output[str]:
        return pulumi.Output.format(
            "postgresql://{0}:{1}@{2}:{3}/{4}", database, owner, self.host, PORT, database
        )

    def _owner_sql(self) -> k8s.core.v1.ConfigMap:
        args, name = self._args, self._name
        return k8s.core.v1.ConfigMap(
            f"{name}-owner-sql",
            metadata=metadata(args.namespace, labels(APP, name, "owner")),
            data={"owner.sql": OWNER_SQL.read_text()},
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _owner(
        self,
        suffix: str,
        database: str,
        owner: pulumi.Output[str],
        after: Sequence[pulumi.Resource],
    ) -> k8s.batch.v1.Job:
        args, name = self._args, self._name
        values: shapes.Environment = {
            "PGPASSWORD": self._admin,
            "OWNER": database,
            "OWNER_DATABASE": database,
            "OWNER_PASSWORD": owner,
        }
        role = f"{suffix}-login"
        login = secret(APP, name, role, values, namespace=args.namespace, parent=self)
        return run_once(
            f"{name}-{suffix}",
            namespace=args.namespace,
            marks=labels(APP, name, "owner"),
            uid=UID,
            container={
                "name": "owner",
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "command": ["psql", "--no-psqlrc", "--file=/sql/owner.sql"],
                "env": [
                    {"name": "PGHOST", "value": self.host},
                    {"name": "PGUSER", "value": "postgres"},
                    {"name": "PGDATABASE", "value": "postgres"},
                ],
                "env_from": [{"secret_ref": {"name": login.metadata.name}}],
            },
            volumes=[{"name": "sql", "config_map": {"name": self._script.metadata.name}}],
            mounts=[{"name": "sql", "mount_path": "/sql", "read_only": True}],
            egress=self.egress,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def _fence(self) -> None:
        args, name = self._args, self._name
        setup = network.pods_in(args.namespace, selector(APP, name, "owner"))
        self._admit("clients", [*args.consumers, setup])

    def _admit(self, suffix: str, peers: Sequence[network.Peer]) -> k8s.networking.v1.NetworkPolicy:
        args, name = self._args, self._name
        return network.policy(
            f"{name}-{suffix}",
            namespace=args.namespace,
            marks=labels(APP, name, ROLE),
            pods=selector(APP, name, ROLE),
            incoming=[network.ingress(peers, PORT)],
            opts=pulumi.ResourceOptions(parent=self),
        )


def _server(args: DatabaseArgs, access: k8s.core.v1.Secret) -> Server:
    return Server(
        app=APP,
        uid=UID,
        container=_container(args, access),
        scratch=SCRATCH,
        # Fast shutdown writes a checkpoint; cutting it short costs a recovery.
        grace=120,
        port=PORT,
        port_name="postgres",
    )


def _container(args: DatabaseArgs, access: k8s.core.v1.Secret) -> k8s.core.v1.ContainerArgsDict:
    # By TCP: while the image prepares a new volume, its server answers on the socket only.
    alive: k8s.core.v1.ExecActionArgsDict = {
        "command": ["pg_isready", "--quiet", "--host=127.0.0.1", f"--port={PORT}"]
    }
    probe: k8s.core.v1.ProbeArgsDict = {"exec_": alive, "timeout_seconds": 5}
    return container(
        {
            "name": APP,
            "image": args.image,
            "image_pull_policy": args.pull_policy,
            "ports": [{"name": "postgres", "container_port": PORT}],
            "env_from": [{"secret_ref": {"name": access.metadata.name}}],
            # Ten minutes to recover after a crash before it counts as dead.
            "startup_probe": {**probe, "period_seconds": 2, "failure_threshold": 300},
            "readiness_probe": {**probe, "period_seconds": 5, "failure_threshold": 3},
            "liveness_probe": {**probe, "period_seconds": 20, "failure_threshold": 6},
        },
        requests={"cpu": "100m", "memory": "256Mi"},
        memory_limit="1Gi",
        scratch=SCRATCH,
        mounts=[{"name": DATA, "mount_path": DATA_PATH}],
    )
