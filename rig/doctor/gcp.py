"""Google Cloud: interfaces that are on, limits of GPUs, machines in the zones.

GPUs have a limit by region and model, spot apart, and one over all regions that is zero in new
projects: https://cloud.google.com/compute/resource-usage#gpu_quota
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from infra.settings import Settings
from rig.doctor.findings import Finding, fine, unanswered, unsure, wrong
from rig.doctor.needs import Need, needs, offered, unsold
from rig.facts import Facts, Question

MODELS: Final = {
    "t4": "NVIDIA_T4_GPUS",
    "l4": "NVIDIA_L4_GPUS",
    "a100-40gb": "NVIDIA_A100_GPUS",
    "a100-80gb": "NVIDIA_A100_80GB_GPUS",
    "h100": "NVIDIA_H100_GPUS",
}
"""Names of the region's limits; those of spot begin with PREEMPTIBLE_."""
EVERYWHERE: Final = "GPUS_ALL_REGIONS"
SERVICES: Final = (
    "artifactregistry",
    "cloudkms",
    "compute",
    "iam",
    "iamcredentials",
    "secretmanager",
    "servicenetworking",
    "sqladmin",
    "storage",
    "sts",
)
"""What the stack's resources are made through."""


def ask(settings: Settings, name: str, *words: str) -> Question:
    """A question to the stack's project."""
    assert settings.gcp  # noqa: S101 - the settings' rules
    project = ("--project", settings.gcp.project)
    return Question(name, ("gcloud", *words, *project, "--quiet", "--format=json"))


def questions(settings: Settings) -> Sequence[Question]:
    """All that the checks ask."""
    machines = sorted({need.machine for need in needs(settings, "gcp")})
    return [
        _services(settings),
        _project(settings),
        _region(settings),
        *([_types(settings, machines)] if machines else []),
    ]


def check(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """Everything about the project; one finding alone if it does not answer."""
    answer = facts.ask(_services(settings))
    if answer.error:
        yield from unanswered("Google Cloud", answer, "sign in: gcloud auth login")
        return
    yield from _enabled(settings, answer.value)
    yield from unsold(settings, "gcp")
    wanted = needs(settings, "gcp")
    if wanted:
        yield from _limits(settings, facts, wanted)
        yield from _zones(settings, facts, wanted)


def _services(settings: Settings) -> Question:
    return ask(settings, "gcp services", "services", "list", "--enabled")


def _project(settings: Settings) -> Question:
    return ask(settings, "gcp project", "compute", "project-info", "describe")


def _region(settings: Settings) -> Question:
    assert settings.gcp  # noqa: S101
    return ask(settings, "gcp region", "compute", "regions", "describe", settings.gcp.region)


def _types(settings: Settings, machines: Sequence[str]) -> Question:
    assert settings.gcp  # noqa: S101
    chosen = f"--filter=name=({' '.join(machines)}) AND zone~^{settings.gcp.region}-"
    return ask(settings, "gcp types", "compute", "machine-types", "list", chosen)


def _enabled(settings: Settings, listed: Sequence[Any]) -> Iterator[Finding]:
    assert settings.gcp  # noqa: S101
    on = {service["config"]["name"].removesuffix(".googleapis.com") for service in listed}
    if missing := [f"{name}.googleapis.com" for name in SERVICES if name not in on]:
        yield wrong(
            f"interfaces that are off in {settings.gcp.project}: {', '.join(missing)}",
            f"gcloud services enable {' '.join(missing)} --project {settings.gcp.project}",
        )
    else:
        yield fine(f"all interfaces are on in {settings.gcp.project}")


def _limits(settings: Settings, facts: Facts, wanted: Sequence[Need]) -> Iterator[Finding]:
    """Pools of the same GPU share a limit; all of them share the one over all regions."""
    assert settings.gcp  # noqa: S101
    region, project = facts.ask(_region(settings)), facts.ask(_project(settings))
    yield from unanswered("limits of the region", region, "a role with compute.regions.get")
    yield from unanswered("limits of the project", project, "a role with compute.projects.get")
    asked: defaultdict[str, int] = defaultdict(int)
    for need in wanted:
        asked[("PREEMPTIBLE_" if need.spot else "") + MODELS[need.accelerator]] += need.all_gpus
    if not region.error:
        for metric, most in asked.items():
            yield _compare(metric, settings.gcp.region, region.value["quotas"], most)
    if not project.error:
        everything = sum(need.all_gpus for need in wanted)
        yield _compare(EVERYWHERE, "all regions", project.value["quotas"], everything)


def _compare(metric: str, where: str, quotas: Sequence[Any], most: int) -> Finding:
    quota = next((q for q in quotas if q["metric"] == metric), None)
    if quota is None:
        return unsure(f"{metric} in {where} is not listed", "look at IAM & Admin > Quotas")
    free = float(quota["limit"]) - float(quota["usage"])
    what = f"{metric} in {where}: {free:g} of {quota['limit']:g} free, the pools need {most}"
    if free >= most:
        return fine(what)
    fix = f"ask for {quota['usage'] + most:g} under IAM & Admin > Quotas, or lower maxNodes"
    if float(quota["limit"]) >= most:
        # What is in use may be these very pools, bursting now.
        return unsure(what, fix)
    return wrong(what, fix)


def _zones(settings: Settings, facts: Facts, wanted: Sequence[Need]) -> Iterator[Finding]:
    assert settings.gcp  # noqa: S101
    answer = facts.ask(_types(settings, sorted({need.machine for need in wanted})))
    yield from unanswered("zones", answer, "a role with compute.machineTypes.list")
    if answer.error:
        return
    pairs = {(kind["name"], kind["zone"].rpartition("/")[2]) for kind in answer.value}
    zones = [f"{settings.gcp.region}-{letter}" for letter in settings.gcp.zones]
    for need in wanted:
        sold = sorted(zone for machine, zone in pairs if machine == need.machine)
        yield offered(need, zones, sold, "spillway:gcp.zones")
