"""The section of a stack's settings about models that are served."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StringConstraints

from components.model import NAME_LENGTH
from infra.sections import IMAGE, Accelerator, NamespaceName, Section, in_bytes, setting

MEBIBYTE = 2**20
SMALLEST = 128
"""Mebibytes; a server with the smallest model takes more."""


def _memory(quantity: str) -> str:
    if in_bytes(quantity) < SMALLEST * MEBIBYTE:
        raise ValueError("too small")
    return quantity


ModelName = Annotated[
    str, StringConstraints(pattern=rf"^[a-z]([-a-z0-9]{{0,{NAME_LENGTH - 2}}}[a-z0-9])?$")
]
NAMES = f"lower-case letters, digits and '-', at most {NAME_LENGTH}, the first a letter"
Share = Annotated[StrictInt, Field(ge=0, le=100)]
Memory = Annotated[str, AfterValidator(_memory)]
Cores = Annotated[float, Field(ge=0.01, le=256, strict=False, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0.1, le=100_000, strict=False, allow_inf_nan=False)]
CPU_PERCENT = 80
"""Where nothing is said that a version is judged by."""
Uri = Annotated[
    str,
    StringConstraints(
        pattern=r"^(models:/[^/@\s]+(/[0-9]+|@[^/@\s]+)|runs:/[^/\s]+/\S+|(s3|gs)://[^/\s]+/\S+)$"
    ),
]


class Strategy(StrEnum):
    """How a version takes over from another."""

    ROLLING = "rolling"
    CANARY = "canary"
    A_B = "a-b"
    SHADOW = "shadow"
    BLUE_GREEN = "blue-green"
    CHAMPION_CHALLENGER = "champion-challenger"


class Version(Section):
    """One version of a model."""

    uri: Uri = setting(
        ...,
        "Where it is: in MLflow's registry, in a run, or in the tenant's bucket.",
        "one of models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN/FOLDER, s3://BUCKET/FOLDER, "
        "gs://BUCKET/FOLDER",
    )
    traffic: Share | None = setting(
        None,
        "Percent of the requests that it answers; of a shadow, percent that it gets a copy of.",
        "a whole number from 0 to 100",
    )


class Resources(Section):
    """What each server of a model may use."""

    cpu: Cores = setting(0.25, "Cores it asks for.", "a number from 0.01 to 256")
    memory: Memory = setting(
        "512Mi", "Most memory.", f"a Kubernetes quantity of at least {SMALLEST}Mi, such as 1Gi"
    )


class Gpu(Section):
    """GPUs of each pod, which waits for them in its team's queue."""

    accelerator: Accelerator = setting(
        ..., "Which GPU.", f"one of {', '.join(Accelerator)}; of a pool of cluster.pools"
    )
    count: StrictInt = setting(
        1,
        "GPUs in one pod.",
        "a whole number from 1 to 16, no more than a machine has",
        ge=1,
        le=16,
    )
    image: str | None = setting(
        None,
        "Image instead of the platform's model-server, which computes on CPUs: docs/models.md.",
        "an image with its tag or digest, such as registry.example.com/model-server:gpu",
        pattern=IMAGE,
    )


class Autoscaling(Section):
    """More servers of a version while those that are there have much to do."""

    max_replicas: StrictInt = setting(
        ..., "Most servers of each version.", "a whole number from 2 to 64", ge=2, le=64
    )
    cpu_percent: StrictInt | None = setting(
        None,
        "Of the cores that a server asks for: with more in use on average there are more servers. "
        f"Left out it is {CPU_PERCENT}, or nothing where requestsPerSecond is given.",
        "a whole number from 10 to 1000",
        ge=10,
        le=1000,
    )
    requests_per_second: Rate | None = setting(
        None,
        "Requests that each server is meant to get on average: with more there are more servers.",
        "a number from 0.1 to 100000",
    )
    calm_seconds: StrictInt = setting(
        300,
        "How long fewer servers must have been enough until some go.",
        "a whole number from 0 to 3600",
        ge=0,
        le=3600,
    )


class Model(Section):
    """A model as an API, at models.DOMAIN/seldon/TENANT/NAME/v2/models/NAME/infer."""

    tenant: NamespaceName = setting(
        ..., "The team whose it is, and whose accounts may call it.", "one of spillway:tenants"
    )
    versions: tuple[Version, ...] = setting(
        ...,
        "What answers; with most strategies two.",
        "a list of maps with: uri, traffic",
        min_length=1,
        max_length=8,
    )
    strategy: Strategy = setting(
        Strategy.ROLLING,
        "How a version takes over from another.",
        f"one of {', '.join(Strategy)}",
    )
    replicas: StrictInt = setting(
        1,
        "Servers of each version; the fewest, if there is autoscaling.",
        "a whole number from 1 to 64",
        ge=1,
        le=64,
    )
    autoscaling: Autoscaling | None = setting(
        None,
        "More servers under load.",
        "a map with: maxReplicas, cpuPercent, requestsPerSecond, calmSeconds",
    )
    resources: Resources = setting(
        Resources(), "What each server may use.", "a map with: cpu, memory"
    )
    image: str | None = setting(
        None,
        "Image instead of the platform's model-server, for models whose libraries it does not "
        "have: docs/models.md.",
        "an image with its tag or digest, such as registry.example.com/model-server:tensorflow",
        pattern=IMAGE,
    )
    gpu: Gpu | None = setting(None, "GPUs of each server.", "a map with: accelerator, count, image")
    start_seconds: StrictInt = setting(
        600,
        "How long a version may take until it answers; after that the change has failed.",
        "a whole number from 30 to 3600",
        ge=30,
        le=3600,
    )
    anonymous: StrictBool = setting(False, "Let anybody call it, without a token.", "true or false")


def count_requests(models: Mapping[str, Model]) -> bool:
    """Whether any of them is scaled by the requests that it gets."""
    said = [model.autoscaling for model in models.values() if model.autoscaling]
    return any(scaling.requests_per_second is not None for scaling in said)
