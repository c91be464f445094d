"""The sections of a stack's settings that are about people: who logs in, and what teams get."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt, StringConstraints

from infra.sections import IMAGE, LABEL, HostName, PoolName, Section, VolumeSize, setting

Member = Annotated[
    str,
    StringConstraints(
        pattern=r"^([^@\s/:]+@[^@\s/:]+\.[^@\s/:]+|group:[^\s]+|[^@\s/:]{1,60})$", max_length=254
    ),
]
MEMBERS = "a list of e-mail addresses, group:NAME, or user names where the login has no e-mail"
Requirement = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9.!+_-]+$"
    ),
]
PROFILE = r"^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$"
ProfileName = Annotated[str, StringConstraints(pattern=PROFILE)]
Cores = Annotated[float, Field(ge=0.1, le=256, strict=False, allow_inf_nan=False)]
Gpus = Annotated[StrictInt, Field(ge=0, le=10000)]
Url = Annotated[
    str, StringConstraints(pattern=rf"^https?://{LABEL}(\.{LABEL})*(:[0-9]{{1,5}})?(/[^\s?#]*)?$")
]


class Provider(StrEnum):
    """Who says who somebody is."""

    GOOGLE = "google"
    GITHUB = "github"
    OIDC = "oidc"
    DUMMY = "dummy"


class Login(Section):
    """How people log in."""

    provider: Provider = setting(
        ...,
        "Who says who somebody is.",
        "one of google, github, oidc; dummy, one password for all, in the stack dev alone",
    )
    client_id: str | None = setting(
        None,
        "Client id that the provider gave this platform; its secret is spillway:loginClientSecret.",
        "the client id, a text",
        min_length=1,
    )
    hosted_domain: HostName | None = setting(
        None,
        "Google: only accounts of this domain.",
        "a domain such as example.com; for google only",
    )
    organizations: tuple[str, ...] = setting(
        (),
        "GitHub: only members of these organizations.",
        "a list of organizations, or organization:team; for github only",
    )
    issuer: Url | None = setting(
        None,
        "OIDC: where the provider describes itself, below /.well-known/openid-configuration.",
        "an https URL; for oidc only",
    )
    username_claim: str = setting(
        "email", "OIDC: claim that names a person.", "the name of a claim", min_length=1
    )
    groups_claim: str = setting(
        "groups", "OIDC: claim that lists a person's groups.", "the name of a claim", min_length=1
    )
    scopes: tuple[str, ...] = setting(
        ("openid", "email", "profile"), "OIDC: what is asked for.", "a list of scopes"
    )


class Size(Section):
    """How large the notebooks of a profile are."""

    cpu: Cores = setting(1, "Most cores.", "a number from 0.1 to 256")
    memory: VolumeSize = setting(
        "2Gi", "Most memory.", "a Kubernetes quantity of at least 1Gi, such as 4Gi"
    )


class Idle(Section):
    """When something that nobody uses ends."""

    server_minutes: StrictInt = setting(
        60, "A notebook server.", "a whole number from 1 to 100000", ge=1, le=100000
    )
    kernel_minutes: StrictInt = setting(
        30, "A kernel without a running cell.", "a whole number from 1 to 100000", ge=1, le=100000
    )


class Notebooks(Section):
    """The hub and the servers it starts."""

    node_port: StrictInt | None = setting(
        None,
        "Port on every node that leads to the hub; needs cluster.network.pods.",
        "a whole number from 30000 to 32767",
        ge=30000,
        le=32767,
    )
    home_size: VolumeSize = setting(
        "10Gi", "Size of each home directory.", "a Kubernetes quantity of at least 1Gi, such as 5Gi"
    )
    sizes: dict[ProfileName, Size] = setting(
        {},
        "Other sizes of the profiles than infra/profiles.py has.",
        "a map of small, large, spark, gpu to: cpu, memory",
    )
    idle: Idle = setting(
        Idle(), "When something that nobody uses ends.", "a map with: serverMinutes, kernelMinutes"
    )
    named_servers: StrictInt = setting(
        3,
        "Servers a person may have besides the first.",
        "a whole number from 0 to 20",
        ge=0,
        le=20,
    )
    start_seconds: StrictInt = setting(
        300,
        "How long a server may take to start.",
        "a whole number from 30 to 3600",
        ge=30,
        le=3600,
    )
    internet: StrictBool = setting(
        True, "Let notebooks and jobs call public addresses.", "true or false"
    )
    pre_pull: StrictBool = setting(
        True, "Keep the images of the profiles on every node.", "true or false"
    )


class GpuQuota(Section):
    """GPUs a tenant may hold at a time."""

    onprem: StrictInt = setting(
        0, "On the company's own machines.", "a whole number from 0 to 10000", ge=0, le=10000
    )
    burst: StrictInt = setting(
        0,
        "In the cloud: times the price, what the tenant can spend an hour.",
        "a whole number from 0 to 10000",
        ge=0,
        le=10000,
    )
    pools: dict[PoolName, Gpus] = setting(
        {},
        "How they are divided, where onprem or burst has several pools.",
        "a map of pools' names to whole numbers from 0 to 10000",
    )


class Quota(Section):
    """What a tenant may hold at a time."""

    cpu: StrictInt = setting(16, "Cores.", "a whole number from 1 to 100000", ge=1, le=100000)
    memory: VolumeSize = setting(
        "64Gi", "Memory.", "a Kubernetes quantity of at least 1Gi, such as 64Gi"
    )
    gpu: GpuQuota = setting(GpuQuota(), "GPUs.", "a map with: onprem, burst, pools")


class Tenant(Section):
    """A team."""

    members: tuple[Member, ...] = setting((), "Who works in it.", MEMBERS)
    admins: tuple[Member, ...] = setting((), "Who may also stop and start its servers.", MEMBERS)
    quota: Quota = setting(Quota(), "What it may hold at a time.", "a map with: cpu, memory, gpu")
    profiles: tuple[ProfileName, ...] = setting(
        (),
        "Profiles its people may choose; all of them when none is named.",
        "a list of small, large, spark, and gpu-POOL for each of cluster.pools",
    )
    image: str | None = setting(
        None,
        "Image of its notebooks instead of the platform's own; made from images/notebook.",
        "an image with its tag or digest, such as registry.example.com/vision:7",
        pattern=IMAGE,
    )
    requirements: tuple[Requirement, ...] = setting(
        (),
        "Python packages its notebooks have besides those of the platform.",
        "a list of exact versions, such as polars==1.35.2",
    )
