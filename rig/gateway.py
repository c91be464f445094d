"""What the front door counted: requests, errors and times of each version of a model.

From Envoy's own statistics of where it sent requests, so a version that does not answer at all is
seen, too. Source of the names: Envoy's documentation of cluster statistics.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from rig.errors import RigError
from rig.node.addons import Cluster

NAMESPACE = "front-door"
PODS = "istio=ingressgateway"
REQUESTS = "envoy_cluster_upstream_rq_total"
"""By class of status, as Istio names it; the parser puts ``_total`` behind all counters."""
TIMES = "envoy_cluster_upstream_rq_time_bucket"
SERVER = re.compile(
    r"^outbound\|\d+\|(?P<place>[a-z])\|(?P<service>[^.]+)\.(?P<tenant>[^.]+)\.svc\b"
)


@dataclass(frozen=True, kw_only=True)
class Version:
    """The place of a version among those of a model: its first is ``a``."""

    tenant: str
    model: str
    place: str


@dataclass(frozen=True)
class Seen:
    """What became of the requests that a version got."""

    by_class: Counter[str] = field(default_factory=Counter[str])
    """Number of answers, by the first digit of their status; Envoy's own 503 is a 5."""
    by_time: Counter[float] = field(default_factory=Counter[float])
    """Number of answers that took at most so many milliseconds."""

    @property
    def requests(self) -> int:
        """All that were answered, or failed."""
        return self.by_class.total()

    @property
    def error_rate(self) -> float:
        """Share of the requests that the server failed; those that clients got wrong are none."""
        return self.by_class["5"] / self.requests if self.requests else 0.0

    def quantile(self, share: float) -> float:
        """Milliseconds in which this share was answered, as Prometheus reckons it."""
        wanted = share * self.by_time[float("inf")]
        below, counted = 0.0, 0
        for edge in sorted(self.by_time):
            count = self.by_time[edge]
            if count >= wanted:
                if edge == float("inf") or count == counted:
                    return below
                return below + (edge - below) * (wanted - counted) / (count - counted)
            below, counted = edge, count
        return below

    def since(self, before: "Seen") -> "Seen":
        """What came after ``before``."""
        return Seen(self.by_class - before.by_class, self.by_time - before.by_time)


Statistics = dict[Version, Seen]


def read(cluster: Cluster) -> Statistics:
    """What all pods of the front door have counted since they are there."""
    found: Statistics = {}
    for pod in _pods(cluster):
        command = ("pilot-agent", "request", "GET", "stats/prometheus")
        add(found, cluster.run("exec", pod, "-n", NAMESPACE, "--", *command))
    return found


def _pods(cluster: Cluster) -> list[str]:
    words = ("get", "pods", "-n", NAMESPACE, "-l", PODS, "-o", "json")
    pods = json.loads(cluster.run(*words, "--field-selector=status.phase=Running"))["items"]
    if not pods:
        raise RigError("the front door has no pods: is the stack up, and has it spillway:domain?")
    return [pod["metadata"]["name"] for pod in pods]


def add(found: Statistics, text: str) -> None:
    """Add one pod's statistics, as it prints them for Prometheus."""
    for sample in _samples(text):
        if version := _version(sample.labels):
            seen = found.setdefault(version, Seen())
            if sample.name == REQUESTS:
                seen.by_class[sample.labels["response_code_class"][0]] += int(sample.value)
            elif sample.name == TIMES:
                seen.by_time[float(sample.labels["le"])] += int(sample.value)


def _samples(text: str) -> Iterable[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples


def _version(labels: dict[str, str]) -> Version | None:
    matched = SERVER.match(labels.get("cluster_name", ""))
    if matched is None:
        return None
    place = matched["place"]
    model = matched["service"].removesuffix(f"-{place}")
    return Version(tenant=matched["tenant"], model=model, place=place)
