"""What all burst nodes in AWS share: who they are, who reaches them, and what they join with."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws import policies
from components.aws.api import domain
from components.aws.nat import ANYWHERE
from components.aws.network import Network
from components.aws.registry import Registry
from components.cluster.nodes import KUBELET, OVERLAY, Entry
from components.secrets import version


@dataclass(frozen=True, kw_only=True)
class BurstNodesArgs:
    """Where nodes are, who calls them, and the token."""

    region: str
    network: Network
    company: Sequence[str]
    """CIDRs of the machines on-prem."""
    registry: Registry
    """Whose images they may pull: with a credential provider that their own image has."""
    token: pulumi.Input[str]
    """An agent token of the cluster, not the server's: with it one joins and does nothing else."""
    protect: bool = True
    """Keeps the secret: without it no node joins any more."""


class BurstNodes(pulumi.ComponentResource):
    """What lets machines in AWS join; fulfils ``shapes.BurstNodes``."""

    identity: pulumi.Output[str]
    secret: pulumi.Output[str]

    def __init__(
        self, name: str, args: BurstNodesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:aws:BurstNodes", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        secret, content = self._secret()
        role, access = self._role(secret)
        self._profile = aws.iam.InstanceProfile(f"{name}-profile", role=role.name, opts=self._child)
        self._group, rules = self._guard()
        self._ready = (content, access, *rules)

        self.identity = role.arn
        self.secret = secret.arn
        self.register_outputs({"identity": self.identity, "secret": self.secret})

    @property
    def profile(self) -> pulumi.Output[str]:
        """ARN of what gives a machine the role."""
        return self._profile.arn

    @property
    def group(self) -> pulumi.Output[str]:
        """Id of the security group of every node."""
        return self._group.id

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """What must be there before the first machine starts."""
        return self._ready

    def _secret(self) -> tuple[aws.secretsmanager.Secret, pulumi.Resource]:
        token = pulumi.Output.secret(self._args.token)
        secret = aws.secretsmanager.Secret(
            f"{self._name}-join",
            description="Token with which burst nodes join the cluster",
            # Whoever deletes it has the token still: nothing to bring back.
            recovery_window_in_days=0,
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )
        content = aws.secretsmanager.SecretVersion(
            f"{self._name}-join-version",
            secret_id=secret.id,
            secret_string_wo=token,
            secret_string_wo_version=version(token),
            opts=self._child,
        )
        return secret, content

    def _role(self, secret: aws.secretsmanager.Secret) -> tuple[aws.iam.Role, pulumi.Resource]:
        role = aws.iam.Role(
            f"{self._name}-role",
            assume_role_policy=policies.document(policies.machines(domain(self._args.region))),
            opts=self._child,
        )
        access = aws.iam.RolePolicy(
            f"{self._name}-access",
            role=role.id,
            policy=policies.document(
                policies.read_join(secret.arn), *policies.pull(self._args.registry.repositories)
            ),
            opts=self._child,
        )
        return role, access

    def _guard(self) -> tuple[aws.ec2.SecurityGroup, Sequence[pulumi.Resource]]:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-group",
            vpc_id=self._args.network.network,
            description="Burst nodes: called by the cluster alone",
            opts=self._child,
        )
        rules: list[pulumi.Resource] = [
            self._let_in(group, entry, cidr)
            for cidr in self._args.company
            for entry in (KUBELET, *OVERLAY)
        ]
        rules += [self._let_in(group, entry, None) for entry in OVERLAY]
        # Pods call out from the node, and the cluster's NetworkPolicies say whom: a second list
        # here would be forgotten.
        way_out = aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-out",
            security_group_id=group.id,
            ip_protocol="-1",
            cidr_ipv4=ANYWHERE,
            opts=self._child,
        )
        return group, [*rules, way_out]

    def _let_in(
        self, group: aws.ec2.SecurityGroup, entry: Entry, cidr: str | None
    ) -> pulumi.Resource:
        """From machines on-prem, or without a CIDR from other burst nodes."""
        source = "nodes" if cidr is None else cidr.replace("/", "-")
        return aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-{entry.name}-from-{source}",
            security_group_id=group.id,
            ip_protocol=entry.protocol,
            from_port=entry.first,
            to_port=entry.last,
            cidr_ipv4=cidr,
            referenced_security_group_id=group.id if cidr is None else None,
            opts=self._child,
        )
