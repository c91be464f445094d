"""PostgreSQL by RDS: in two zones, encrypted, backed up to the second, its password in AWS' hands.

No IAM login to the database and no logs in CloudWatch: nobody here uses the one or reads the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_aws.rds.outputs import InstanceMasterUserSecret

from components import network, shapes
from components.aws.guest import Server, account, owned
from components.aws.network import Network
from components.aws.rds import ENGINE, PORT, Birth, birth, guard, last_snapshot, parameters
from components.secrets import password

AUTHORITY = "rds-ca-rsa2048-g1"
"""Signs the server's certificate; clients that verify it need to know which one. Until 2061:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html"""
SMALLEST = 20
"""GiB: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html"""
GROWTH = 2
"""It may grow by itself to this many times its size, before it stops for lack of space."""
LONGEST_BACKUP = 35
PASSWORD_LENGTH = 32


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """Where it lies, how large it is, and who may connect."""

    region: str
    network: Network
    clients: Sequence[str]
    """CIDRs that may connect: pods come with the addresses of their nodes."""
    database: str
    """Name of the database and of the user who owns it. A change replaces the instance."""
    machine: str
    """Instance class, such as ``db.t4g.medium``."""
    version: int = 17
    """Major version; a larger one upgrades in place, and there is no way back."""
    size_gib: int
    """May grow later, never shrink."""
    backup_days: int = 14
    """How far back every second can be restored."""
    adopt: str | None = None
    """Identifier of an existing instance of ``network`` to take over: imported, then given the
    settings above in the same ``up``. Its keys, its subnet group and its user stay as they are;
    one that is not encrypted cannot be taken over, as only a copy could be."""
    protect: bool = True
    """Keeps the instance and the key that opens its snapshots from being deleted or replaced."""

    def __post_init__(self) -> None:
        if not self.clients:
            raise ValueError("a database without clients: nobody could connect")
        if self.size_gib < SMALLEST:
            raise ValueError(f"RDS takes {SMALLEST} GiB or more, not {self.size_gib}")
        if not 1 <= self.backup_days <= LONGEST_BACKUP:
            raise ValueError(f"backups are kept 1 to {LONGEST_BACKUP} days, not {self.backup_days}")


class Database(pulumi.ComponentResource):
    """A database that AWS runs; fulfils ``shapes.DatabaseServer``."""

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    user: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:aws:Database", name, None, opts)
        self._name, self._args = name, args
        self._kept = args.protect or args.adopt is not None
        group, rules = guard(name, args.network.network, args.clients, self)
        self._instance = self._make(group)
        self._ready = (self._instance, *rules)

        self.host = self._instance.address
        self.port = pulumi.Output.from_input(PORT)
        self.database = pulumi.Output.from_input(args.database)
        self.user = self._instance.username
        self.url = self._url(self.user, args.database)
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
        """The instance answers, and lets its clients in."""
        return self._ready

    @property
    def egress(self) -> Sequence[network.Egress]:
        """The rule a client's NetworkPolicy needs: RDS may move it to any address of the VPC."""
        return [network.egress([{"ip_block": {"cidr": self._args.network.cidr}}], PORT)]

    @property
    def environment(self) -> Mapping[str, pulumi.Input[str]]:
        """Where a client fetches the password from; boto3 needs to be told the region."""
        return {"SPILLWAY_DATABASE_SECRET": self.secret, "AWS_DEFAULT_REGION": self._args.region}

    @property
    def secret(self) -> pulumi.Output[str]:
        """ARN of the secret with the user's password; RDS rotates it every seven days."""
        return self._held("secret_arn")

    @property
    def secret_key(self) -> pulumi.Output[str]:
        """ARN of the key that encrypts it."""
        return self._held("kms_key_id")

    def another(self, name: str, guest: shapes.Guest) -> shapes.Database:
        """One more database, by a pod that logs in as the first user; see ``maker``.

        Its owner's password is Pulumi's, in encrypted state: RDS keeps only that of the first user.
        """
        if name == self._args.database:
            raise ValueError(f"{name} is the server's first database, not another")
        secret = password(
            f"{self._name}-{name}-owner-password",
            PASSWORD_LENGTH,
            protect=self._kept,
            parent=self,
        )
        (egress,) = self.egress
        server = Server(
            name=self._name,
            host=self.host,
            port=PORT,
            user=self.user,
            environment=self.environment,
            egress=egress,
        )
        opts = pulumi.ResourceOptions(parent=self, depends_on=self._ready)
        setup = owned(server, name, secret, guest, opts)
        return shapes.GuestDatabase(
            host=self.host,
            port=self.port,
            database=pulumi.Output.from_input(name),
            user=pulumi.Output.from_input(name),
            url=self._url(pulumi.Output.concat(name, ":", secret), name),
            egress=self.egress,
            ready=[*self._ready, setup],
        )

    def maker(self, namespace: str, name: str) -> shapes.Subject:
        """Whom ``another`` runs as: it must be let read ``secret`` before."""
        return shapes.Subject(namespace=namespace, account=account(self._name, name))

    def _url(self, user: pulumi.Output[str], database: str) -> pulumi.Output[str]:
        # Not verify-full: RDS signs with an authority of its own, which neither the image nor
        # ``sslrootcert=system`` knows. The way there is a VPC and a VPN, and in the clear the
        # server answers nobody.
        return pulumi.Output.secret(
            pulumi.Output.format(
                "postgresql://{0}@{1}:{2}/{3}?sslmode=require", user, self.host, PORT, database
            )
        )

    def _make(self, group: aws.ec2.SecurityGroup) -> aws.rds.Instance:
        args, name, kept = self._args, self._name, self._kept
        born = Birth()
        if args.adopt is None:
            born = birth(name, args.database, args.network, protect=args.protect, parent=self)
        return aws.rds.Instance(
            f"{name}-instance",
            identifier=args.adopt,
            db_name=born.database,
            username=born.user,
            kms_key_id=born.key,
            db_subnet_group_name=born.subnets,
            engine=ENGINE,
            engine_version=str(args.version),
            # Not before ``version`` says so.
            allow_major_version_upgrade=True,
            auto_minor_version_upgrade=True,
            # A plan that waits for a maintenance window would show the same change for days.
            apply_immediately=True,
            instance_class=args.machine,
            allocated_storage=args.size_gib,
            max_allocated_storage=GROWTH * args.size_gib,
            storage_type="gp3",
            storage_encrypted=True,
            multi_az=True,
            publicly_accessible=False,
            port=PORT,
            vpc_security_group_ids=[group.id],
            parameter_group_name=parameters(name, args.version, self).name,
            ca_cert_identifier=AUTHORITY,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=born.key,
            backup_retention_period=args.backup_days,
            copy_tags_to_snapshot=True,
            # They outlive the instance by as many days as they are kept.
            delete_automated_backups=False,
            deletion_protection=kept,
            skip_final_snapshot=False,
            final_snapshot_identifier=last_snapshot(name, born, args.region, args.adopt, self),
            opts=pulumi.ResourceOptions(parent=self, protect=kept, import_=args.adopt),
        )

    def _held(self, part: str) -> pulumi.Output[str]:
        def pick(secrets: Sequence[InstanceMasterUserSecret]) -> str:
            if secrets:
                return getattr(secrets[0], part)
            if pulumi.runtime.is_dry_run():
                # An adopted instance gets its secret with the update that this preview shows.
                return "made-by-rds"
            raise ValueError("RDS reports no secret with the password it manages")

        return self._instance.master_user_secrets.apply(pick)
