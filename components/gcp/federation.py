"""Workload identity federation: Google believes the tokens that the cluster signs.

The cluster's public keys are part of the provider, so nothing of it has to be reachable.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_random as random
from pulumi_gcp import iam

from components.shapes import TENANT_ACCOUNTS, Subject

NAMESPACE = "assertion['kubernetes.io']['namespace']"
ACCOUNT = "assertion['kubernetes.io']['serviceaccount']['name']"
NOBODY = "nobody"
LONGEST_SUBJECT = 127
LONGEST_MAPPING = 2048
LONGEST_CONDITION = 4096
"""https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers"""
LONGEST_ID = 32
RANDOM_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Believed:
    """Whose tokens Google takes, and which of them are the tracking server's."""

    tracking: Sequence[Subject]
    others: Sequence[Subject]
    tenants: Sequence[str]
    """Namespaces whose ``TENANT_ACCOUNTS`` are believed."""

    def __post_init__(self) -> None:
        """Refuse what Google would refuse, or what would mean something else in an expression."""
        for subject in self.subjects:
            check_length(subject)
        for tenant in self.tenants:
            if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", tenant):
                raise ValueError(f"{tenant!r} is no namespace")
        if len(self.condition) > LONGEST_CONDITION:
            raise ValueError(
                f"the names of {len(self.tenants)} tenants make a condition of "
                f"{len(self.condition)} characters: Google takes {LONGEST_CONDITION}"
            )
        if len(self.mapping["attribute.part"]) > LONGEST_MAPPING:
            raise ValueError(f"too many subjects for a mapping of {LONGEST_MAPPING} characters")

    @property
    def subjects(self) -> list[Subject]:
        """The service accounts that are named."""
        return [*self.tracking, *self.others]

    @property
    def condition(self) -> str:
        """Nobody else's token is exchanged at all, whatever is granted to whom."""
        subjects, tenants = _one_of([s.name for s in self.subjects]), _one_of(self.tenants)
        worker = f"{NAMESPACE} in {tenants} && {ACCOUNT} in {_one_of(TENANT_ACCOUNTS)}"
        return f"assertion.sub in {subjects} || {worker}"

    def knows(self, subject: Subject) -> bool:
        """Whether the condition holds for the tokens of a service account."""
        worker = subject.namespace in self.tenants and subject.account in TENANT_ACCOUNTS
        return subject in self.subjects or worker

    @property
    def mapping(self) -> dict[str, str]:
        """What grants can speak of: one account, a tenant's namespace, or the tracking server."""
        tracking = _one_of([s.name for s in self.tracking])
        return {
            "google.subject": "assertion.sub",
            "attribute.namespace": NAMESPACE,
            "attribute.part": f"assertion.sub in {tracking} ? 'tracking' : '{NOBODY}'",
        }


def check_length(subject: Subject) -> None:
    """Google exchanges no token with a longer subject; Kubernetes would allow it."""
    if len(subject.name) > LONGEST_SUBJECT:
        raise ValueError(f"{subject.name}: Google takes {LONGEST_SUBJECT} characters")


def _one_of(names: Sequence[str]) -> str:
    # JSON's strings are CEL's, quotes and all.
    return json.dumps(list(names), separators=(",", ":"))


class Federation:
    """The pool, and the names of those in it; not a component, only its resources' home."""

    def __init__(  # noqa: PLR0913 - a provider is made of exactly these
        self,
        name: str,
        *,
        project: str,
        issuer: str,
        jwks: str,
        believed: Believed,
        protect: bool,
        parent: pulumi.Resource,
    ) -> None:
        # A deleted pool or role keeps its id for weeks: every life of a stack gets its own.
        mark = random.RandomId(
            f"{name}-life",
            byte_length=RANDOM_BYTES,
            opts=pulumi.ResourceOptions(parent=parent, protect=protect),
        )
        self.life = mark.hex
        prefix = name[: LONGEST_ID - 1 - 2 * RANDOM_BYTES].rstrip("-")
        pool = iam.WorkloadIdentityPool(
            f"{name}-pool",
            project=project,
            workload_identity_pool_id=pulumi.Output.concat(prefix, "-", mark.hex),
            # Its id is in every grant: another pool, and nobody may do anything.
            opts=pulumi.ResourceOptions(parent=parent, protect=protect),
        )
        provider = iam.WorkloadIdentityPoolProvider(
            f"{name}-provider",
            project=project,
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id="kubernetes",
            attribute_mapping=believed.mapping,
            attribute_condition=believed.condition,
            # No audiences of our own: then a token must be made for this very provider.
            oidc={"issuer_uri": issuer, "jwks_json": jwks},
            # Google keeps a deleted one's id for weeks, so a second one could never take its place.
            opts=pulumi.ResourceOptions(parent=parent, protect=protect),
        )
        self._pool, self._provider = pool.name, provider.name

    @property
    def audience(self) -> pulumi.Output[str]:
        """Whom a token is for: this provider."""
        return pulumi.Output.concat("//iam.googleapis.com/", self._provider)

    def one(self, subject: Subject) -> pulumi.Output[str]:
        """A single service account."""
        return pulumi.Output.concat(
            "principal://iam.googleapis.com/", self._pool, "/subject/", subject.name
        )

    def all_with(self, attribute: str, value: str) -> pulumi.Output[str]:
        """Everybody with this value in a mapped attribute."""
        return pulumi.Output.concat(
            "principalSet://iam.googleapis.com/", self._pool, f"/attribute.{attribute}/{value}"
        )
