"""Who of the cluster may do what in Google Cloud, without a single key.

Grants go to the pods' own identities, with no service account in between: Cloud Storage and
Compute Engine take them directly, and an account to impersonate would be one more thing whose
grants and tokens somebody has to watch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_gcp import projects, storage

from components.gcp.database import Database
from components.gcp.federation import Believed, Federation, check_length
from components.gcp.login import credentials, login
from components.gcp.names import fitting
from components.gcp.object_store import TRACKING, ObjectStore, tenant_folder
from components.shapes import TENANT_ACCOUNTS, Login, Storage, Subject

FOLDER_ROLE = "roles/storage.objectUser"
"""Read, write, list and delete objects; nothing about the bucket or who may use it."""
AUTOSCALER_PERMISSIONS = [
    f"compute.{permission}"
    for permission in (
        "instanceGroupManagers.get",
        "instanceGroupManagers.list",
        "instanceGroupManagers.update",
        "instanceGroups.get",
        "instanceGroups.list",
        "instanceTemplates.get",
        "instances.create",
        "instances.delete",
        "instances.get",
        "instances.list",
        "machineTypes.get",
        "machineTypes.list",
        "zones.get",
        "zones.list",
    )
]
"""What Cluster Autoscaler does to instance groups. It may act as no service account, so it cannot
start a machine with more rights than its own."""

LONGEST_ACCOUNT = max(TENANT_ACCOUNTS, key=len)
"""Of those that act as a tenant: if its name fits, all do."""


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """Whose tokens count, and for what."""

    project: str
    issuer: str
    """The cluster's ``--service-account-issuer``, https."""
    jwks: str
    """Its public keys (``kubectl get --raw /openid/v1/jwks``), old and new ones while they change:
    Google never asks the issuer."""
    store: ObjectStore
    database: Database
    """Takes a password, so nothing is granted on it: Cloud SQL knows no federated identities."""
    tracking: Sequence[Subject]
    autoscaler: Subject
    tenants: Sequence[str]
    """Names of tenants, which are their namespaces."""
    cluster: str
    """Name of the cluster, for whoever reads the project's roles. Google cannot limit them to the
    instance groups of one cluster: what must be apart needs projects of its own."""
    namespace: pulumi.Input[str]
    """Where pods that log in run: a file they all need is kept there."""
    protect: bool = True
    """Keeps the pool that all grants name, and the folders they are made on."""


class Identity(pulumi.ComponentResource):
    """Pods that need no keys; fulfils ``shapes.Identity`` and ``shapes.Landlord``."""

    issuer: pulumi.Output[str]
    roles: pulumi.Output[Mapping[str, str]]
    autoscaler: pulumi.Output[str]
    tracking: pulumi.Output[str]

    def __init__(
        self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:gcp:Identity", fitting(name), None, opts)
        self._name, self._args = name, args
        self._believed = Believed(
            tracking=args.tracking, others=[args.autoscaler], tenants=args.tenants
        )
        self._federation = Federation(
            name,
            project=args.project,
            issuer=args.issuer,
            jwks=args.jwks,
            believed=self._believed,
            protect=args.protect,
            parent=self,
        )
        self.issuer = pulumi.Output.from_input(args.issuer)
        tenants = {
            tenant: self._federation.all_with("namespace", tenant) for tenant in args.tenants
        }
        self._grants = {
            tenant: self._folder(f"tenant-{tenant}", tenant_folder(tenant), members)
            for tenant, members in tenants.items()
        }
        none: dict[str, str] = {}
        # Without any tenant, all() would make a list.
        self.roles = pulumi.Output.all(**tenants) if tenants else pulumi.Output.from_input(none)
        self.tracking = self._federation.all_with("part", "tracking")
        self._folder("tracking", f"{TRACKING}/", self.tracking)
        self.autoscaler = self._federation.one(args.autoscaler)
        self._scale(self.autoscaler)
        self._file = self._credentials(name, args.namespace)
        self.register_outputs(
            {
                "issuer": self.issuer,
                "roles": self.roles,
                "autoscaler": self.autoscaler,
                "tracking": self.tracking,
            }
        )

    def login(self, subject: Subject) -> Login:
        """What a pod that runs as this service account carries.

        The file is in the namespace of the component's arguments. A tenant's pods find it, by
        ``storage``, in their own.
        """
        self._check(subject)
        return self._login(self._file)

    def storage(self, tenant: str, namespace: pulumi.Input[str]) -> Storage:
        """A tenant's folder, and in the tenant's namespace the file that its pods log in with."""
        store = self._args.store
        self._check(Subject(namespace=tenant, account=LONGEST_ACCOUNT))
        # Pods mount nothing of another namespace.
        name = f"{self._name}-tenant-{tenant}"
        file = self._credentials(name, namespace)
        return Storage(
            uri=pulumi.Output.concat("gs://", store.bucket, "/", tenant_folder(tenant).rstrip("/")),
            environment=store.environment,
            login=self._login(file),
            egress=store.egress,
            ready=[*store.ready, self._grants[tenant]],
        )

    def _credentials(self, name: str, namespace: pulumi.Input[str]) -> k8s.core.v1.ConfigMap:
        return credentials(name, namespace, self._federation.audience, self, instance=self._name)

    def _check(self, subject: Subject) -> None:
        known = self._believed
        if not known.knows(subject):
            raise ValueError(
                f"{subject.name} has no identity in Google Cloud: known are "
                f"{', '.join(s.name for s in known.subjects)}, and {', '.join(TENANT_ACCOUNTS)} of "
                f"the tenants {', '.join(known.tenants) or '(none)'}"
            )
        check_length(subject)

    def _login(self, file: k8s.core.v1.ConfigMap) -> Login:
        return login(self._args.project, self._federation.audience, file.metadata.name)

    def _folder(self, suffix: str, path: str, members: pulumi.Output[str]) -> pulumi.Resource:
        folder = storage.ManagedFolder(
            f"{self._name}-folder-{suffix}",
            bucket=self._args.store.bucket,
            name=path,
            # Its grants go with it. Objects would stay, where nobody but operators reaches them.
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )
        return storage.ManagedFolderIamMember(
            f"{self._name}-member-{suffix}",
            bucket=folder.bucket,
            managed_folder=folder.name,
            role=FOLDER_ROLE,
            member=members,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _scale(self, member: pulumi.Output[str]) -> None:
        child = pulumi.ResourceOptions(parent=self)
        role = projects.IAMCustomRole(
            f"{self._name}-autoscaler",
            project=self._args.project,
            # No hyphens here, and a deleted role keeps its id for weeks.
            role_id=pulumi.Output.concat(
                self._name.replace("-", "_"), "_autoscaler_", self._federation.life
            ),
            title=f"Autoscaler of {self._args.cluster}"[:100],
            permissions=AUTOSCALER_PERMISSIONS,
            opts=child,
        )
        projects.IAMMember(
            f"{self._name}-autoscaler-member",
            project=self._args.project,
            role=role.name,
            member=member,
            opts=child,
        )
