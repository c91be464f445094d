"""When a new version of a model may take over, from what Envoy prints of its requests."""

from typing import Any

import pytest

from rig import gateway, promotion
from rig.errors import RigError
from rig.gateway import Seen, Statistics, Version
from rig.promotion import Rule

EDGES = (5, 10, 25, 50, 100)


def printed(cluster: str, answers: dict[str, int], times: tuple[int, ...]) -> str:
    """A server's part of the page; ``times`` are counts up to each of ``EDGES``, and of all."""
    name = f'cluster_name="{cluster}"'
    lines = ["# TYPE envoy_cluster_upstream_rq counter"]
    lines += [
        f'envoy_cluster_upstream_rq{{response_code_class="{code}",{name}}} {count}'
        for code, count in answers.items()
    ]
    lines += ["# TYPE envoy_cluster_upstream_rq_time histogram"]
    edges = [*map(str, EDGES), "+Inf"]
    lines += [
        f'envoy_cluster_upstream_rq_time_bucket{{{name},le="{edge}"}} {count}'
        for edge, count in zip(edges, times, strict=True)
    ]
    return "\n".join(lines) + "\n"


def server(place: str, service: str = "iris") -> str:
    return f"outbound|9000|{place}|{service}-{place}.vision.svc.cluster.local;"


def version(place: str) -> Version:
    return Version(tenant="vision", model="iris", place=place)


def seen(requests: int = 1000, errors: int = 0, slow: float = 10) -> Seen:
    """As many as said, and all in ``slow`` milliseconds at most."""
    found: Statistics = {}
    times = tuple(requests if edge >= slow else 0 for edge in (*EDGES, float("inf")))
    gateway.add(found, printed(server("a"), {"2xx": requests - errors, "5xx": errors}, times))
    return found[version("a")]


def test_each_version_is_known_by_its_place_and_other_servers_are_none():
    found: Statistics = {}
    text = printed(server("a"), {"2xx": 90, "5xx": 10}, (0, 50, 100, 100, 100, 100))
    text += printed(
        "outbound|8000||jupyterhub-proxy.spillway.svc.cluster.local;", {"2xx": 5}, (5,) * 6
    )
    gateway.add(found, text)
    gateway.add(found, text)

    assert found.keys() == {version("a")}
    assert found[version("a")].requests == 200
    assert found[version("a")].error_rate == 0.1


def test_times_are_reckoned_within_their_bucket_as_prometheus_does():
    found: Statistics = {}
    gateway.add(found, printed(server("a"), {"2xx": 100}, (0, 50, 100, 100, 100, 100)))

    assert found[version("a")].quantile(0.5) == 10
    assert found[version("a")].quantile(0.75) == pytest.approx(17.5)


def test_only_what_came_since_is_judged():
    before, after = seen(requests=1000, errors=500), seen(requests=1200, errors=501)

    assert after.since(before).requests == 200
    assert after.since(before).error_rate == 1 / 200


def test_a_version_that_does_as_well_takes_over():
    assert Rule().broken_by(seen(), seen(requests=200)) == []


@pytest.mark.parametrize(
    ("new", "why"),
    [(seen(errors=20), "2.0 % more errors"), (seen(slow=50), "p95 is")],
    ids=("errors", "slow"),
)
def test_a_version_that_does_worse_does_not(new: Seen, why: str):
    assert Rule().broken_by(seen(), seen()) == []

    (reason,) = Rule().broken_by(seen(), new)
    assert why in reason


def test_a_rule_may_be_wider():
    assert Rule(errors=5, slower=10).broken_by(seen(), seen(errors=20, slow=50)) == []


def stack(**changes: Any) -> dict[str, Any]:
    versions = [{"uri": "models:/iris/1", "traffic": 90}, {"uri": "models:/iris/2", "traffic": 10}]
    model = {"tenant": "vision", "strategy": "canary", "versions": versions, **changes}
    return {"spillway:models": {"iris": model}}


def test_the_second_version_is_the_new_one():
    chosen = promotion.choice(stack(), "iris", "Pulumi.dev.yaml")

    assert chosen.uris == ("models:/iris/1", "models:/iris/2")
    assert chosen.shares == (90, 10)


@pytest.mark.parametrize(
    ("settings", "model", "words"),
    [
        (stack(), "irish", "MODEL=irish: one of spillway:models in Pulumi.dev.yaml: iris (nearest"),
        ({}, "iris", "there are none"),
        (stack(versions=[{"uri": "models:/iris/1"}]), "iris", "needs two versions with traffic"),
        (
            stack(versions=[{"uri": "u:1", "traffic": 100}, {"uri": "u:2", "traffic": 0}]),
            "iris",
            "u:2 gets no requests",
        ),
    ],
)
def test_what_cannot_be_promoted_is_told_in_one_line(settings, model, words):
    promotion.choice(stack(), "iris", "Pulumi.dev.yaml")

    with pytest.raises(RigError) as told:
        promotion.choice(settings, model, "Pulumi.dev.yaml")
    assert words in str(told.value)
    assert "\n" not in str(told.value)
