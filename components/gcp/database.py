"""PostgreSQL by Cloud SQL: private, encrypted, and restorable to any minute of the last week."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_gcp import sql

from components import network as policies
from components.gcp.keys import version
from components.gcp.names import fitting
from components.gcp.network import Network
from components.gcp.sql_settings import settings
from components.secrets import password
from components.shapes import Environment

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
    """A database that Google keeps running; fulfils ``shapes.Database``.

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
        self._services = args.network.services
        protect = args.protect or args.adopt is not None
        secret = password(f"{name}-password", PASSWORD_LENGTH, protect=protect, parent=self)
        instance = self._instance(name, args, protect)
        database = self._database(name, args, instance, protect)
        user = sql.User(
            f"{name}-user",
            project=args.project,
            instance=instance.name,
            name=args.database,
            password_wo=secret,
            password_wo_version=version(secret),
            # Google cannot delete a user who owns something; it goes with the instance.
            deletion_policy="ABANDON",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.host = instance.private_ip_address
        self.port = pulumi.Output.from_input(PORT)
        self.database, self.user = database.name, user.name
        # Encrypted, and refused by the server otherwise. Not "verify-ca": each instance has a CA
        # of its own, which a client could only read from a file that a URL cannot carry. The way
        # there is private, by VPN and peering.
        self.url = pulumi.Output.secret(
            pulumi.Output.format(
                "postgresql://{0}:{1}@{2}:{3}/{4}?sslmode=require",
                *(self.user, secret, self.host, PORT, self.database),
            )
        )
        self._ready = (instance, database, user)
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

    def _instance(self, name: str, args: DatabaseArgs, protect: bool) -> sql.DatabaseInstance:
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

    def _database(
        self, name: str, args: DatabaseArgs, instance: sql.DatabaseInstance, protect: bool
    ) -> sql.Database:
        existing = f"projects/{args.project}/instances/{args.adopt}/databases/{args.database}"
        return sql.Database(
            f"{name}-database",
            project=args.project,
            instance=instance.name,
            name=args.database,
            # It goes with its instance, never on its own: another name leaves the data behind.
            deletion_policy="ABANDON",
            opts=pulumi.ResourceOptions(
                parent=self, protect=protect, import_=existing if args.adopt else None
            ),
        )
