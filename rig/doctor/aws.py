"""AWS: the account, limits of vCPUs against burst pools, machines in the zones.

Limits count vCPUs that run at the same time, by families of machines, on-demand and spot apart:
https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from infra.settings import Settings
from rig.doctor.findings import Finding, fine, unanswered, wrong
from rig.doctor.needs import Need, needs, offered, unsold
from rig.facts import Facts, Question

LIMITS: Final = {
    ("g", False): ("L-DB2E81BA", "Running On-Demand G and VT instances"),
    ("g", True): ("L-3819A6DF", "All G and VT Spot Instance Requests"),
    ("p", False): ("L-417A185B", "Running On-Demand P instances"),
    ("p", True): ("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
    ("p5", True): ("L-C4BD4855", "All P5 Spot Instance Requests"),
}
"""Code and name of the limit, by family and whether it is spot; that of P5 is from memory."""


def ask(settings: Settings, name: str, *words: str) -> Question:
    """A question in the stack's region."""
    assert settings.aws  # noqa: S101 - the settings' rules
    return Question(name, ("aws", *words, "--region", settings.aws.region, "--output", "json"))


def questions(settings: Settings) -> Sequence[Question]:
    """All that the checks ask."""
    machines = sorted({need.machine for need in needs(settings, "aws")})
    codes = sorted({_limit(need)[0] for need in needs(settings, "aws")})
    return [
        _identity(settings),
        *([_types(settings, machines), _offerings(settings, machines)] if machines else []),
        *(_quota(settings, code) for code in codes),
    ]


def check(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """Everything about the account; one finding alone if it does not answer."""
    assert settings.aws  # noqa: S101
    identity = facts.ask(_identity(settings))
    if identity.error:
        yield from unanswered("AWS", identity, "sign in: aws sso login, or aws configure")
        return
    account = identity.value["Account"]
    if account != settings.aws.account:
        yield wrong(
            f"signed in to AWS account {account}, the stack's is {settings.aws.account}",
            "choose the profile of the stack's account: export AWS_PROFILE=…",
        )
        return
    yield fine(f"signed in to AWS account {account}")
    yield from unsold(settings, "aws")
    wanted = needs(settings, "aws")
    if wanted:
        yield from _limits(settings, facts, wanted)
        yield from _zones(settings, facts, wanted)


def _identity(settings: Settings) -> Question:
    return ask(settings, "aws identity", "sts", "get-caller-identity")


def _types(settings: Settings, machines: Sequence[str]) -> Question:
    words = ("ec2", "describe-instance-types", "--instance-types", *machines)
    return ask(settings, "aws types", *words)


def _offerings(settings: Settings, machines: Sequence[str]) -> Question:
    chosen = f"Name=instance-type,Values={','.join(machines)}"
    words = ("ec2", "describe-instance-type-offerings", "--location-type", "availability-zone")
    return ask(settings, "aws offerings", *words, "--filters", chosen)


def _quota(settings: Settings, code: str) -> Question:
    words = ("service-quotas", "get-service-quota", "--service-code", "ec2", "--quota-code", code)
    return ask(settings, f"aws quota {code}", *words)


def _limit(need: Need) -> tuple[str, str]:
    family = need.machine.partition(".")[0]
    if need.spot and family.startswith("p5"):
        return LIMITS["p5", True]
    letter = re.match("[a-z]", family)
    return LIMITS[letter[0] if letter else "g", need.spot]


def _limits(settings: Settings, facts: Facts, wanted: Sequence[Need]) -> Iterator[Finding]:
    """Pools that share a limit need it together."""
    answer = facts.ask(_types(settings, sorted({need.machine for need in wanted})))
    yield from unanswered("machine types", answer, "a role that may ec2:DescribeInstanceTypes")
    vcpus = {
        kind["InstanceType"]: int(kind["VCpuInfo"]["DefaultVCpus"])
        for kind in (answer.value or {}).get("InstanceTypes", [])
    }
    groups: defaultdict[tuple[str, str], list[Need]] = defaultdict(list)
    for need in wanted:
        if need.machine in vcpus:
            groups[_limit(need)].append(need)
    for (code, name), members in groups.items():
        quota = facts.ask(_quota(settings, code))
        yield from unanswered(name, quota, "a role that may servicequotas:GetServiceQuota")
        if not quota.error:
            has = float(quota.value["Quota"]["Value"])
            most = sum(need.nodes * vcpus[need.machine] for need in members)
            yield _compare(settings, f"{name} ({code})", has, most, members)


def _compare(
    settings: Settings, name: str, has: float, most: int, members: Sequence[Need]
) -> Finding:
    pools = ", ".join(f"{need.nodes} {need.machine} of {need.pool}" for need in members)
    what = f"{name}: {has:g} vCPUs, {pools} need {most}"
    if has >= most:
        return fine(what)
    code = name.rpartition("(")[2].rstrip(")")
    region = settings.aws.region if settings.aws else ""
    fix = (
        "aws service-quotas request-service-quota-increase --service-code ec2 "
        f"--quota-code {code} --desired-value {most} --region {region}; or lower maxNodes"
    )
    return wrong(what, fix)


def _zones(settings: Settings, facts: Facts, wanted: Sequence[Need]) -> Iterator[Finding]:
    assert settings.aws  # noqa: S101
    answer = facts.ask(_offerings(settings, sorted({need.machine for need in wanted})))
    yield from unanswered("zones", answer, "a role that may ec2:DescribeInstanceTypeOfferings")
    if answer.error:
        return
    pairs = {(o["InstanceType"], o["Location"]) for o in answer.value["InstanceTypeOfferings"]}
    zones = [settings.aws.region + letter for letter in settings.aws.zones]
    for need in wanted:
        sold = sorted(zone for machine, zone in pairs if machine == need.machine)
        yield offered(need, zones, sold, "spillway:aws.zones")
