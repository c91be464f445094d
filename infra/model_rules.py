"""Rules about models that need more than one setting."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from infra.config_errors import Path, Problem
from infra.models import Model, Strategy

if TYPE_CHECKING:
    from infra.settings import Settings

ALL = 100
"""Percent."""
ISSUER = "the API server's --service-account-issuer: models believe its tokens"
COUNTS = {
    Strategy.ROLLING: (1, 1),
    Strategy.CANARY: (2, 2),
    Strategy.A_B: (2, 8),
    Strategy.SHADOW: (2, 2),
    Strategy.BLUE_GREEN: (2, 2),
    Strategy.CHAMPION_CHALLENGER: (2, 8),
}
"""Fewest and most versions."""


def problems(settings: Settings) -> Iterator[Problem]:
    """Every broken rule, in the order of the file."""
    if not settings.models:
        return
    if settings.domain is None:
        yield Problem(("domain",), None, "a domain such as ds.example.com: models need one")
    if settings.cluster.issuer is None:
        yield Problem(("cluster", "issuer"), None, ISSUER)
    for name, model in settings.models.items():
        yield from tenant(("models", name), model.tenant, settings)
        yield from _versions(("models", name), model)
        yield from _scaling(("models", name), model)
        yield from _image(("models", name), model)


def tenant(path: Path, named: str, settings: Settings) -> Iterator[Problem]:
    """Whose something is must be a team of the stack."""
    if named in settings.tenants:
        return
    near = get_close_matches(named, settings.tenants, 1, 0)
    known = f"one of spillway:tenants: {', '.join(settings.tenants) or 'there are none'}"
    nearest = f" (nearest: {near[0]})" if near else ""
    yield Problem((*path, "tenant"), named, known + nearest)


def _scaling(path: Path, model: Model) -> Iterator[Problem]:
    if model.autoscaling and model.autoscaling.max_replicas <= model.replicas:
        yield Problem(
            (*path, "autoscaling", "maxReplicas"),
            model.autoscaling.max_replicas,
            f"a whole number over replicas, which is {model.replicas}",
        )


def _image(path: Path, model: Model) -> Iterator[Problem]:
    if model.image and model.gpu and model.gpu.image:
        yield Problem(
            (*path, "image"), model.image, "left out: gpu.image says already what its servers run"
        )


def _versions(path: Path, model: Model) -> Iterator[Problem]:
    strategy, uris = model.strategy, [version.uri for version in model.versions]
    fewest, most = COUNTS[strategy]
    if not fewest <= len(uris) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        yield Problem(
            (*path, "versions"), uris, f"a list of {wanted}: the strategy is {strategy.value}"
        )
        return
    if twice := next((uri for at, uri in enumerate(uris) if uri in uris[:at]), None):
        yield Problem((*path, "versions"), uris, f"different versions: {twice} is there twice")
    yield from _shares(path, model)


def _shares(path: Path, model: Model) -> Iterator[Problem]:
    shares = [version.traffic for version in model.versions]
    first = shares[0]
    place = (*path, "versions", 0, "traffic")
    if model.strategy in {Strategy.ROLLING, Strategy.SHADOW}:
        if first not in {None, ALL}:
            yield Problem(place, first, "left out: the first version answers everything")
        return
    if None in shares:
        at = shares.index(None)
        yield Problem(
            (*path, "versions", at, "traffic"),
            None,
            f"a whole number from 0 to {ALL}: the strategy is {model.strategy.value}",
        )
        return
    given = [share for share in shares if share is not None]
    if sum(given) != ALL:
        yield Problem(
            (*path, "versions"), given, f"versions whose traffic sums to {ALL}, not {sum(given)}"
        )
    elif model.strategy is Strategy.BLUE_GREEN and ALL not in given:
        yield Problem((*path, "versions"), given, f"{ALL} for one and 0 for the other")
    elif model.strategy is Strategy.CHAMPION_CHALLENGER and given[0] <= max(given[1:]):
        yield Problem(place, given[0], "more than each challenger has: the first is the champion")
