"""Lets a model's new version take over if the front door saw it do well, or takes it back."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rich.table import Table

from rig.errors import RigError
from rig.gateway import Seen, Statistics, Version

ALL = 100
"""Percent."""
P95, MEDIAN = 0.95, 0.5


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How well the new version must do."""

    requests: int = 100
    """That it must have got; of fewer nothing can be said."""
    errors: float = 1.0
    """Percent of its requests that may fail beyond those that fail with the old version."""
    slower: float = 1.2
    """Times as long as the old version may it take, at the 95th percentile."""

    def broken_by(self, old: Seen, new: Seen) -> list[str]:
        """Why the new version may not take over; nothing if it may."""
        reasons = list[str]()
        more = ALL * (new.error_rate - old.error_rate)
        if more > self.errors:
            reasons.append(f"{more:.1f} % more errors than before; at most {self.errors:g} %")
        if old.requests and new.quantile(P95) > self.slower * old.quantile(P95):
            times = new.quantile(P95) / max(old.quantile(P95), 0.1)
            reasons.append(f"p95 is {times:.2f} times the old one's; at most {self.slower:g}")
        return reasons


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A model with an old and a new version, as the stack's file has them."""

    model: str
    tenant: str
    uris: tuple[str, str]
    shares: tuple[int, int]

    def version(self, place: str) -> Version:
        """As the gateway knows it."""
        return Version(tenant=self.tenant, model=self.model, place=place)

    def seen(self, found: Statistics) -> tuple[Seen, Seen]:
        """Of the old version and of the new one."""
        return found.get(self.version("a"), Seen()), found.get(self.version("b"), Seen())


def choice(settings: Mapping[str, Any], model: str, file: str) -> Choice:
    """The model in a stack's configuration, which is as written and not checked here."""
    models: dict[str, Any] = settings.get("spillway:models") or {}
    if model not in models:
        near = get_close_matches(model, models, 1, 0)
        hint = f" (nearest: {near[0]})" if near else ""
        known = ", ".join(models) or "there are none"
        raise RigError(f"MODEL={model}: one of spillway:models in {file}: {known}{hint}")
    said: dict[str, Any] = models[model]
    versions: list[dict[str, Any]] = said.get("versions") or []
    shares = [version.get("traffic") for version in versions]
    match shares:
        case [int(old), int(new)]:
            pass
        case _:
            raise RigError(
                f"MODEL={model}: needs two versions with traffic, the new one second, such as "
                f"strategy canary with 90 and 10; it has {len(versions)} with {shares} in {file}"
            )
    if not new:
        raise RigError(
            f"MODEL={model}: {versions[1]['uri']} gets no requests; give it some traffic in {file}"
        )
    uris = (versions[0]["uri"], versions[1]["uri"])
    return Choice(model=model, tenant=said["tenant"], uris=uris, shares=(old, new))


def watch(chosen: Choice, read: Callable[[], Statistics], seconds: int) -> tuple[Seen, Seen]:
    """What becomes of the requests from now on, for so long."""
    before = chosen.seen(read())
    # The time itself is what is asked for.
    time.sleep(seconds)
    after = chosen.seen(read())
    return after[0].since(before[0]), after[1].since(before[1])


def table(chosen: Choice, seen: tuple[Seen, Seen]) -> Table:
    """The numbers, for people."""
    shown = Table()
    columns = ("", "version", "traffic", "requests", "errors", "error rate", "p50 ms", "p95 ms")
    for column in columns:
        left = column in {"", "version"}
        shown.add_column(column, justify="left" if left else "right", overflow="fold")
    places = zip(("old", "new"), chosen.uris, chosen.shares, seen, strict=True)
    for place, uri, share, counts in places:
        shown.add_row(
            place,
            uri,
            f"{share} %",
            str(counts.requests),
            str(counts.by_class["5"]),
            f"{counts.error_rate:.2%}",
            f"{counts.quantile(MEDIAN):.1f}",
            f"{counts.quantile(P95):.1f}",
        )
    return shown
