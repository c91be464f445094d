"""Who of the cluster may do what in AWS: roles that its service accounts take on by their tokens.

There are no keys. A tenant's role opens the tenant's part of the bucket and nothing else; those of
its namespace's accounts that work with data may take it on. The platform's roles are for single
accounts too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws import policies
from components.aws.api import domain, egress, region_variables
from components.aws.database import Database
from components.aws.issuer import checked_issuer, host_of, issuer_bucket, public_keys, publish
from components.aws.object_store import TRACKING, ObjectStore, tenant_prefix
from components.aws.policies import Statement
from components.shapes import TENANT_ACCOUNTS, Login, Storage, Subject

AUDIENCE = "sts.amazonaws.com"
TOKEN_FOLDER = "/var/run/secrets/spillway.dev/aws"  # noqa: S105 - a folder
TOKEN_SECONDS = 3600
"""The kubelet renews it long before."""
VOLUME = "aws-token"
LONGEST_NAME = 64 - len("-1234567")
"""Of a role: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html less what
the engine adds."""
LONGEST_PREFIX = 38
"""The provider adds more."""
NAMESPACE = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """The cluster's issuer, and who needs what."""

    region: str
    issuer: str
    """``https://…`` as in the cluster's tokens. If it is the address of a bucket in this region,
    the bucket is made and the keys are published there; else somebody else publishes them."""
    jwks: str
    """Public keys of the cluster: what ``kubectl get --raw /openid/v1/jwks`` prints."""
    store: ObjectStore
    database: Database
    tracking: Sequence[Subject]
    """Accounts of the tracking server and of what prepares its database."""
    autoscaler: Subject
    tenants: Sequence[str]
    """Their namespaces."""
    cluster: str
    """Name in the tags of the groups that the autoscaler may scale."""
    namespace: pulumi.Input[str]
    """Of the platform. Nothing is made there: AWS needs nothing but a token."""
    protect: bool = True
    """Keeps the bucket with the keys: its name must not fall into other hands."""

    def __post_init__(self) -> None:
        checked_issuer(self.issuer)
        public_keys(self.jwks)
        platform = {subject.namespace for subject in (*self.tracking, self.autoscaler)}
        for tenant in self.tenants:
            if not re.fullmatch(NAMESPACE, tenant):
                raise ValueError(f"{tenant!r} is not the name of a namespace")
            if tenant in platform:
                raise ValueError(f"{tenant} is the platform's own namespace, not a tenant's")


class Identity(pulumi.ComponentResource):
    """The cluster's service accounts as somebody in AWS; fulfils ``shapes.Identity`` and
    ``shapes.Landlord``."""

    issuer: pulumi.Output[str]
    roles: pulumi.Output[Mapping[str, str]]
    autoscaler: pulumi.Output[str]
    tracking: pulumi.Output[str]

    def __init__(
        self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:aws:Identity", name, None, opts)
        self._name, self._args = name, args
        self._issuer = host_of(args.issuer)
        self._believed = self._believe()
        self._keepers: dict[Subject, pulumi.Output[str]] = {}
        self._tenants = {tenant: self._tenant(tenant) for tenant in dict.fromkeys(args.tenants)}
        self.tracking = self._tracking()
        self.autoscaler = self._role(
            "autoscaler",
            policies.exactly(self._issuer, [args.autoscaler.name]),
            policies.scale(args.cluster),
        )
        self.issuer = pulumi.Output.from_input(args.issuer)
        # Of nothing at all, ``Output.all`` makes a list.
        self.roles = pulumi.Output.all(**self._tenants).apply(dict)
        self.register_outputs(
            {
                "issuer": self.issuer,
                "roles": self.roles,
                "autoscaler": self.autoscaler,
                "tracking": self.tracking,
            }
        )

    def login(self, subject: Subject) -> Login:
        """What a pod that runs as this service account carries."""
        return Login(
            environment={
                **region_variables(self._args.region),
                "AWS_ROLE_ARN": self._role_of(subject),
                "AWS_WEB_IDENTITY_TOKEN_FILE": f"{TOKEN_FOLDER}/token",
                "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            },
            volumes=[
                {
                    "name": VOLUME,
                    "projected": {
                        "sources": [
                            {
                                "service_account_token": {
                                    "audience": AUDIENCE,
                                    "expiration_seconds": TOKEN_SECONDS,
                                    "path": "token",
                                }
                            }
                        ]
                    },
                }
            ],
            mounts=[{"name": VOLUME, "mount_path": TOKEN_FOLDER, "read_only": True}],
            egress=[egress()],
        )

    def storage(self, tenant: str, namespace: pulumi.Input[str]) -> Storage:
        """A tenant's part of the bucket. Nothing is made: the role is there, and needs a token."""
        del namespace
        store = self._args.store
        prefix = tenant_prefix(tenant).rstrip("/")
        return Storage(
            uri=pulumi.Output.concat("s3://", store.bucket, "/", prefix),
            environment=store.environment,
            login=self.login(workers(tenant)[0]),
            egress=store.egress,
            ready=store.ready,
        )

    def keeper(self, subject: Subject) -> Login:
        """Let one more account read the password of the database's first user, and nothing else."""
        if subject not in self._keepers:
            self._keepers[subject] = self._role(
                subject.account,
                policies.exactly(self._issuer, [subject.name]),
                self._password(),
            )
        return self.login(subject)

    def _role_of(self, subject: Subject) -> pulumi.Output[str]:
        args = self._args
        if subject in args.tracking:
            return self.tracking
        if subject == args.autoscaler:
            return self.autoscaler
        if subject in self._keepers:
            return self._keepers[subject]
        if subject.namespace in self._tenants and subject.account in TENANT_ACCOUNTS:
            return self._tenants[subject.namespace]
        known = [*(s.name for s in (*args.tracking, args.autoscaler, *self._keepers))]
        known += [s.name for tenant in self._tenants for s in workers(tenant)]
        raise ValueError(f"{subject.name} has no role in AWS; those who do: {', '.join(known)}")

    def _believe(self) -> aws.iam.OpenIdConnectProvider:
        args, name = self._args, self._name
        files: Sequence[pulumi.Resource] = []
        if bucket := issuer_bucket(args.issuer, args.region):
            files = publish(name, bucket, args.issuer, args.jwks, protect=args.protect, parent=self)
        return aws.iam.OpenIdConnectProvider(
            f"{name}-issuer",
            url=args.issuer,
            client_id_lists=[AUDIENCE],
            # AWS calls the issuer at once.
            opts=pulumi.ResourceOptions(parent=self, depends_on=files),
        )

    def _tenant(self, tenant: str) -> pulumi.Output[str]:
        return self._role(
            f"tenant-{tenant}",
            policies.exactly(self._issuer, [subject.name for subject in workers(tenant)]),
            policies.below(self._args.store.arn, tenant_prefix(tenant)),
        )

    def _tracking(self) -> pulumi.Output[str]:
        args = self._args
        return self._role(
            "tracking",
            policies.exactly(self._issuer, [subject.name for subject in args.tracking]),
            [*policies.below(args.store.arn, TRACKING), *self._password()],
        )

    def _password(self) -> Sequence[Statement]:
        args = self._args
        manager = f"secretsmanager.{args.region}.{domain(args.region)}"
        return policies.read_secret(args.database.secret, args.database.secret_key, manager)

    def _role(
        self, suffix: str, subjects: Statement, allowed: Sequence[Statement]
    ) -> pulumi.Output[str]:
        name, child = f"{self._name}-{suffix}", pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            # Only where a tenant's name makes it too long: a name that the engine has drawn is
            # known before the role is made, so that an interrupted run finds it again.
            name_prefix=f"{name[: LONGEST_PREFIX - 1]}-" if len(name) > LONGEST_NAME else None,
            assume_role_policy=policies.document(
                policies.trust(self._believed.arn, self._issuer, AUDIENCE, subjects)
            ),
            opts=child,
        )
        access = aws.iam.RolePolicy(
            f"{name}-access", role=role.id, policy=policies.document(*allowed), opts=child
        )
        # Nobody becomes it before it may do something.
        return pulumi.Output.all(role.arn, access.id).apply(_first)


def workers(tenant: str) -> Sequence[Subject]:
    """The service accounts that act as a tenant."""
    return [Subject(namespace=tenant, account=account) for account in TENANT_ACCOUNTS]


def _first(both: Sequence[str]) -> str:
    return both[0]
