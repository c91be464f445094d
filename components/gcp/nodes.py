"""What all burst nodes in Google Cloud share: who they are, who reaches them, how they join."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import artifactregistry, compute, secretmanager, serviceaccount

from components.cluster.nodes import KUBELET, OVERLAY, Entry
from components.gcp.names import fitting, known
from components.gcp.network import Network
from components.gcp.registry import Registry
from components.secrets import version

LONGEST_ACCOUNT = 30
"""https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/create"""
READ_SECRET = "roles/secretmanager.secretAccessor"  # noqa: S105 - a role
READ_IMAGES = "roles/artifactregistry.reader"


@dataclass(frozen=True, kw_only=True)
class BurstNodesArgs:
    """Where nodes are, who calls them, and the token."""

    project: str
    region: str
    network: Network
    cidr: str
    """Of the subnet: where other burst nodes are."""
    company: Sequence[str]
    """CIDRs of the machines on-prem."""
    registry: Registry
    """Whose images they may pull: with a credential provider that their own image has."""
    token: pulumi.Input[str]
    """An agent token of the cluster, not the server's: with it one joins and does nothing else."""
    protect: bool = True
    """Keeps the secret: without it no node joins any more."""


class BurstNodes(pulumi.ComponentResource):
    """What lets machines in Google Cloud join; fulfils ``shapes.BurstNodes``."""

    identity: pulumi.Output[str]
    secret: pulumi.Output[str]

    def __init__(
        self, name: str, args: BurstNodesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:gcp:BurstNodes", fitting(name), None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        account = serviceaccount.Account(
            f"{name}-account",
            project=args.project,
            account_id=known(name, LONGEST_ACCOUNT),
            display_name="Burst nodes",
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        secret, content = self._secret()
        member = pulumi.Output.concat("serviceAccount:", account.email)
        self._ready = (content, *self._grants(secret, member), *self._walls(account.email))

        self.identity = account.email
        self.secret = secret.id
        self.register_outputs({"identity": self.identity, "secret": self.secret})

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """What must be there before the first machine starts."""
        return self._ready

    def _secret(self) -> tuple[secretmanager.Secret, pulumi.Resource]:
        token = pulumi.Output.secret(self._args.token)
        secret = secretmanager.Secret(
            f"{self._name}-join",
            project=self._args.project,
            secret_id=known(f"{self._name}-join"),
            replication={"auto": {}},
            opts=pulumi.ResourceOptions(
                parent=self, protect=self._args.protect, delete_before_replace=True
            ),
        )
        content = secretmanager.SecretVersion(
            f"{self._name}-join-version",
            secret=secret.id,
            secret_data_wo=token,
            # A text here, a number on AWS.
            secret_data_wo_version=version(token).apply(str),
            opts=self._child,
        )
        return secret, content

    def _grants(
        self, secret: secretmanager.Secret, member: pulumi.Output[str]
    ) -> Sequence[pulumi.Resource]:
        """On this secret and this repository; on the project nothing."""
        repository = self._args.registry.repository
        return (
            secretmanager.SecretIamMember(
                f"{self._name}-reads-join",
                project=self._args.project,
                secret_id=secret.id,
                role=READ_SECRET,
                member=member,
                opts=self._child,
            ),
            artifactregistry.RepositoryIamMember(
                f"{self._name}-pulls",
                project=self._args.project,
                location=self._args.region,
                repository=repository.name,
                role=READ_IMAGES,
                member=member,
                opts=self._child,
            ),
        )

    def _walls(self, account: pulumi.Output[str]) -> Sequence[pulumi.Resource]:
        """Ways in. Machines may call out anyway; NetworkPolicies say whom pods call."""
        args = self._args
        return (
            self._wall("from-company", args.company, (KUBELET, *OVERLAY), account),
            self._wall("from-nodes", [args.cidr], OVERLAY, account),
        )

    def _wall(
        self,
        suffix: str,
        sources: Sequence[str],
        entries: Sequence[Entry],
        account: pulumi.Output[str],
    ) -> pulumi.Resource:
        return compute.Firewall(
            f"{self._name}-{suffix}",
            project=self._args.project,
            network=self._args.network.network,
            direction="INGRESS",
            source_ranges=list(sources),
            target_service_accounts=[account],
            allows=[{"protocol": e.protocol, "ports": [_ports(e)]} for e in entries],
            opts=self._child,
        )


def _ports(entry: Entry) -> str:
    return str(entry.first) if entry.first == entry.last else f"{entry.first}-{entry.last}"
