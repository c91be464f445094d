"""What a plan comes to: everything that was found in it, and why it is refused or not judged."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from infra.gate.ceiling import Ceiling, ceiling
from infra.gate.dangers import dangers
from infra.gate.exposure import Exposure, Unjudged, exposures, unjudged
from infra.gate.floor import Floor, floors
from infra.gate.markdown import code, money
from infra.gate.plan import Plan, Resource
from infra.gate.precious import Finding, losses
from infra.gate.terms import Terms


@dataclass(frozen=True)
class Findings:
    """All that was found out about a plan."""

    plan: Plan
    terms: Terms

    @cached_property
    def losses(self) -> tuple[Finding, ...]:
        """Precious things that end."""
        return tuple(losses(self.plan))

    @cached_property
    def dangers(self) -> tuple[Finding, ...]:
        """Guards that are taken away."""
        return tuple(dangers(self.plan))

    @cached_property
    def exposures(self) -> tuple[Exposure, ...]:
        """What opens."""
        return tuple(exposures(self.plan))

    @cached_property
    def unjudged(self) -> tuple[Unjudged, ...]:
        """What may open, and cannot be looked at yet."""
        return tuple(unjudged(self.plan))

    @cached_property
    def floors(self) -> tuple[Floor, Floor]:
        """What stands there all month, before and after."""
        return floors(self.plan)

    @cached_property
    def ceiling(self) -> Ceiling:
        """The most in an hour."""
        return ceiling(self.terms)

    @property
    def allowed(self) -> frozenset[str]:
        """URNs the settings let go."""
        return frozenset(self.terms.allow)

    @cached_property
    def objections(self) -> frozenset[str]:
        """URNs of everything that only ``allow`` lets through."""
        opened = (e.resource.urn for e in self.exposures if e.opening.refused)
        return frozenset(f.resource.urn for f in (*self.losses, *self.dangers)) | {*opened}

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Why the plan is refused, a line of Markdown each; foreign words in code spans."""
        return (*self._refusals(), *self._over_budget())

    @cached_property
    def failures(self) -> tuple[str, ...]:
        """Why the plan cannot be judged, likewise."""
        found: list[str] = []
        if self.plan.errors:
            found.append("the engine could not plan all of it; what it said is below")
        if self.plan.truncated:
            found.append(
                "the engine stopped at something protected; make the plan with `--ignore-protect`"
            )
        return tuple(found)

    def _refusals(self) -> Iterator[str]:
        for f in (*self.losses, *self.dangers):
            if f.resource.urn not in self.allowed:
                yield f"{code(titled(f.resource))} is {f.what}: {f.why}"
        for e in self.exposures:
            if e.opening.refused and e.resource.urn not in self.allowed:
                yield f"{code(titled(e.resource))} opens to the internet: {code(e.opening.what)}"

    def _over_budget(self) -> Iterator[str]:
        if (most := self.terms.budget.idle_per_month) is not None:
            usd = self.floors[1].usd
            if not self.plan.whole:
                yield (
                    "the idle floor cannot be compared with `spillway:budget.idlePerMonth`: the "
                    "plan was made without `--show-sames`"
                )
            elif round(usd, 2) > most:
                yield (
                    f"the idle floor, {money(usd)} a month, is above "
                    f"`spillway:budget.idlePerMonth`, {money(most)}"
                )
        if (most := self.terms.budget.burst_per_hour) is not None:
            top = self.ceiling
            if top.missing:
                yield (
                    "the burst ceiling cannot be compared with `spillway:budget.burstPerHour`: no "
                    f"price for pool {', '.join(map(code, top.missing))}"
                )
            elif round(top.usd, 2) > most:
                yield (
                    f"the burst ceiling, {money(top.usd)} an hour, is above "
                    f"`spillway:budget.burstPerHour`, {money(most)}"
                )


def titled(resource: Resource) -> str:
    """A resource in two words."""
    return f"{short(resource.type)} {resource.name}"


def short(type_: str) -> str:
    """``aws:rds/instance:Instance`` as people say it: ``aws:rds:Instance``."""
    package, _, rest = type_.partition(":")
    module, _, kind = rest.rpartition(":")
    if not module or package == "kubernetes":
        return type_
    return f"{package}:{module.partition('/')[0]}:{kind}"
