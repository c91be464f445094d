"""What the gate needs of a stack's settings: the only place that knows where they come from.

A settings object is read through ``model_dump``, so this depends on the names of the keys that
people write and on nothing else of ``infra.settings``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from infra.config_errors import PROJECT
from infra.gate.plan import PlanError


class Dumped(Protocol):
    """A settings model."""

    def model_dump(
        self, *, mode: str, by_alias: bool, exclude_unset: bool = False
    ) -> dict[str, Any]:
        """Its keys as people write them."""
        ...


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class Pool(_Part):
    """Machines with GPUs."""

    tier: str
    accelerator: str
    gpus_per_node: int = 1
    nodes: tuple[str, ...] = ()
    max_nodes: int | None = None
    spot: bool | None = None
    time_slices: int | None = None


class Gpus(_Part):
    """GPUs a tenant may hold at a time."""

    onprem: int = 0
    burst: int = 0


class Quota(_Part):
    """What a tenant may hold."""

    gpu: Gpus = Gpus()


class Tenant(_Part):
    """A team."""

    quota: Quota = Quota()


class Cluster(_Part):
    """The pools of the cluster."""

    pools: dict[str, Pool] = Field(default_factory=dict[str, Pool])


class Budget(_Part):
    """What a plan may cost at most; None: anything."""

    idle_per_month: float | None = None
    burst_per_hour: float | None = None


class Prices(_Part):
    """What the company's own machines cost."""

    onprem_gpu_hour: float | None = None


class Terms(_Part):
    """The terms a plan is judged by."""

    cloud: str = "none"
    namespace: str = "spillway"
    cluster: Cluster = Cluster()
    tenants: dict[str, Tenant] = Field(default_factory=dict[str, Tenant])
    budget: Budget = Budget()
    prices: Prices = Prices()
    allow: tuple[str, ...] = ()


def terms(
    settings: "Terms | Dumped | Mapping[str, Any] | None", config: Mapping[str, str]
) -> Terms:
    """The terms in the settings; without settings, in the configuration that the plan was made of.

    Of a plan alone, what settings leave out has the gate's defaults, which are those of
    ``infra.settings``.
    """
    if isinstance(settings, Terms):
        return settings
    if settings is None:
        return _checked(_own(config))
    if isinstance(settings, Mapping):
        return _checked(settings)
    values = settings.model_dump(mode="json", by_alias=True)
    # A default of the model is no price that anybody set: the report says whose it is.
    said = settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return _checked({**values, "prices": said.get("prices") or {}})


def read(path: Path) -> Terms:
    """The terms in a stack file, checked like the program checks them."""
    # Here, so that a plan can be judged where the program's own packages are not installed.
    import pulumi  # noqa: PLC0415

    from infra import settings  # noqa: PLC0415

    try:
        return terms(settings.read(path), {})
    except (OSError, pulumi.RunError) as error:
        raise PlanError(str(error)) from None


def _own(config: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, text in config.items():
        space, _, name = key.partition(":")
        if space == PROJECT:
            found[name] = _decoded(text)
    return found


def _decoded(text: str) -> Any:
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _checked(values: Mapping[str, Any]) -> Terms:
    try:
        return Terms.model_validate(cast("dict[str, Any]", values))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PlanError(f"{PROJECT}:{where} cannot be used: {first['msg']}") from None
