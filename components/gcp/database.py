"""PostgreSQL by Cloud SQL: private, encrypted, and restorable to any minute of the last week."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_gcp import sql

from components import network as policies
from components import shapes
from components.gcp.names import fitting
from components.gcp.network import Network
from components.gcp.sql_settings import settings
from components.secrets import password, version
from components.shapes import Environment, Guest, GuestDatabase

PORT = 5432
PASSWORD_LENGTH = 32
SMALLEST_DISK = 10


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """Where it runs, how large it is, and who may connect."""

    project: str
    region: str
    network: Network
    clients: Sequence[str]
    """CIDRs that may connect. Cloud SQL lets in whatever RFC 1918 address has a route to it, so
    only ranges outside of those change anything: they are refused unless they are named here.
    https://cloud.google.com/sql/docs/postgres/authorize-networks"""
    database: str
    """Name of the database and of its user."""
    machine: str
    """``db-custom-<CPUs>-<MiB>``, or a shared-core one."""
    version: int = 17
    """Major; Google applies the minor ones. A higher one upgrades in place, with no way back."""
    size_gib: int
    """Of a new disk. It grows by itself from there, and never shrinks."""
    backup_days: int = 14
    adopt: str | None = None
    """Name of an existing instance to take over, with the database of that name in it; its user
    gets a new password. Keep it: without, Pulumi would choose another name."""
    protect: bool = True
    """Keeps the instance and its password from being deleted or replaced, by Pulumi and by anybody
    else in Google Cloud."""

    def __post_init__(self) -> None:
        """Refuse what would open it to the world, and what Google would refuse later."""
        if any(IPv4Network(client).prefixlen == 0 for client in self.clients):
            raise ValueError("clients of a database cannot be everybody: 0.0.0.0/0")
        if self.size_gib < SMALLEST_DISK:
            raise ValueError(f"Cloud SQL has no disk below {SMALLEST_DISK} GiB")


class Database(pulumi.ComponentResource):
    """A database that Google keeps running; fulfils ``shapes.DatabaseServer``.

    Its user is one of Cloud SQL's: not a superuser, but the owner of everything in the instance.
    """

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    user: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:gcp:Database", fitting(name), None, opts)
        self._name, self._args = name, args
        self._services = args.network.services
        self._kept = args.protect or args.adopt is not None
        self._instance = self._make()
        adopted = f"projects/{args.project}/instances/{args.adopt}/databases/{args.database}"
        first = self._owned(name, args.database, adopted if args.adopt else None)
        self.host, self.port = first.host, first.port
        self.database, self.user, self.url = first.database, first.user, first.url
        self._ready = first.ready
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
        """The instance runs, and the database and its user exist."""
        return self._ready

    @property
    def egress(self) -> Sequence[policies.Egress]:
        """To the whole range: a restored instance gets another address in it."""
        return [policies.egress([{"ip_block": {"cidr": self._services.cidr}}], PORT)]

    @property
    def environment(self) -> Environment:
        """Nothing: the URL says it all."""
        return {}

    def another(self, name: str, guest: Guest) -> shapes.Database:
        """One more database with a user of its own, by Google's API: the guest brings nothing.

        Users of Cloud SQL are strangers only to the outside: each may open every database of the
        instance, as ``cloudsqlsuperuser``.
        """
        del guest
        if name == self._args.database:
            raise ValueError(f"{name} is the server's first database, not another")
        return self._owned(f"{self._name}-{name}", name, None)

    def _make(self) -> sql.DatabaseInstance:
        name, args, protect = self._name, self._args, self._kept
        return sql.DatabaseInstance(
            f"{name}-instance",
            project=args.project,
            region=args.region,
            # Google keeps a deleted one's name for a week: every life gets its own.
            name=args.adopt,
            database_version=f"POSTGRES_{args.version}",
            # Two locks: the provider's own, and in the settings one that binds everybody.
            deletion_protection=protect,
            settings=settings(
                machine=args.machine,
                size_gib=args.size_gib,
                backup_days=args.backup_days,
                network=args.network.network,
                clients=args.clients,
                protect=protect,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=protect,
                depends_on=[self._services.connection],
                import_=args.adopt,
                # Cloud SQL owns it once the disk has grown: the number in the configuration
                # would then ask for a smaller disk, and that replaces the instance.
                ignore_changes=["settings.diskSize"],
            ),
        )

    def _owned(self, name: str, database: str, existing: str | None) -> GuestDatabase:
        """A database and a user of that name, who has a password of its own."""
        project, instance = self._args.project, self._instance
        secret = password(f"{name}-password", PASSWORD_LENGTH, protect=self._kept, parent=self)
        made = sql.Database(
            f"{name}-database",
            project=project,
            instance=instance.name,
            name=database,
            # It goes with its instance, never on its own: another name leaves the data behind.
            deletion_policy="ABANDON",
            opts=pulumi.ResourceOptions(parent=self, protect=self._kept, import_=existing),
        )
        user = sql.User(
            f"{name}-user",
            project=project,
            instance=instance.name,
            name=database,
            password_wo=secret,
            password_wo_version=version(secret),
            # Google cannot delete a user who owns something; it goes with the instance.
            deletion_policy="ABANDON",
            opts=pulumi.ResourceOptions(parent=self),
        )
        host = instance.private_ip_address
        # Encrypted, and refused by the server otherwise. Not "verify-ca": each instance has a CA
        # of its own, which a client could only read from a file that a URL cannot carry. The way
        # there is private, by VPN and peering.
        url = pulumi.Output.format(
            "postgresql://{0}:{1}@{2}:{3}/{4}?sslmode=require",
            *(user.name, secret, host, PORT, made.name),
        )
        return GuestDatabase(
            host=host,
            port=pulumi.Output.from_input(PORT),
            database=made.name,
            user=user.name,
            url=pulumi.Output.secret(url),
            egress=self.egress,
            ready=[instance, made, user],
        )
