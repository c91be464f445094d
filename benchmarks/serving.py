"""Benchmark of models behind the front door: what the door costs, what a shadow costs, and many.

The load comes from the node itself, over connections that stay open. "Direct" is the same pod at
its own address, without TLS; both are asked in turn.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.bench_rig import PEOPLE, TENANT, BenchRig
from benchmarks.cpu_use import Clock
from benchmarks.errors import BenchmarkError
from benchmarks.model_load import Order, seconds_of_each
from benchmarks.report import Report, Row
from benchmarks.spawn import percentile
from components.labels import ROLE_LABEL
from components.model import path
from components.model_pod import HTTP
from rig import gateway, paths, toolchain
from rig.node import machine
from rig.steps import console, step

HOST = "models.spillway.localhost"
HTTPS = 30443
DOOR = "front-door"
GATEWAY = "istio=ingressgateway"
MODEL, SHADOWED = "iris", "shadowed"
BODY = json.dumps(
    {
        "parameters": {"content_type": "np"},
        "inputs": [
            {"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}
        ],
    }
)
ROUNDS = 5
SECONDS = 10
RATE = 50
SLOWER, THROUGHPUT, SHADOW_GOAL = 1.3, 0.8, 1.1
MANY, ROUTES = 50, 300
OWN = (MODEL, f"{MODEL}-a")
"""What the operator makes for the model; its second Service is for calls within a graph."""
MIB = 2**20
Model = dict[str, Any]


@dataclass(frozen=True)
class Round:
    """One load on one address."""

    rate: float
    times: Sequence[float]

    def slow(self, share: float) -> float:
        """Seconds within which this share of the requests was answered."""
        return percentile(self.times, share)


def serving(bench: BenchRig) -> Report:
    """The door's price, a shadow's price, and how soon the door hears of a change."""
    trained(bench)
    declare(bench, {MODEL: version(1)})
    with tempfile.TemporaryDirectory(dir=bench.layout.state) as folder:
        callers = Callers(bench, Path(folder))
        rows = [*_overhead(bench, callers), *_shadow(bench, callers), *_routes(bench)]
    notes = (
        f"A scikit-learn model of four numbers, one server, one row a request, {SECONDS} s a "
        f"round, {ROUNDS} rounds of each in turn after one that does not count; ratios are medians "
        "of the rounds' ratios.",
        "Callers, door, model and everything else share the machine's cores.",
    )
    return Report(rows=rows, notes=notes)


# -- the stack ------------------------------------------------------------------------------------


def version(number: int, cpu: float = 0.25, memory: str = "512Mi") -> Model:
    """A model of the tenant with one version."""
    return {
        "tenant": TENANT,
        "versions": [{"uri": f"models:/{MODEL}/{number}"}],
        "resources": {"cpu": cpu, "memory": memory},
    }


def declare(bench: BenchRig, models: dict[str, Model]) -> float:
    """Seconds until the stack has these models and no others."""
    file = bench.project / "Pulumi.dev.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"]["spillway:models"] = models
    file.write_text(yaml.safe_dump(document))
    return bench.up().seconds


@cache
def trained(bench: BenchRig) -> None:
    """A model is in the registry, once: somebody trains it in a notebook."""
    _ = bench.first_up
    with step("training a model in a notebook"):
        _train(bench)


def _train(bench: BenchRig) -> None:
    found = os.pathsep.join([str(paths.ROOT), str(paths.ROOT / "tests" / "cluster")])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.trainer", bench.hub],
        cwd=paths.ROOT,
        env={**os.environ, "PYTHONPATH": found},
        # Arguments can be read by everybody.
        input=json.dumps({"name": PEOPLE[0], "password": bench.password()}),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise BenchmarkError(f"no model was trained: {said[0]}")


# -- callers --------------------------------------------------------------------------------------


class Callers:
    """Who asks, from the node."""

    def __init__(self, bench: BenchRig, folder: Path) -> None:
        self._bench = bench
        self._vegeta = toolchain.ensure_all(["vegeta"])["vegeta"]
        words = ("create", "token", "job", "-n", TENANT, "--audience", HOST, "--duration=3h")
        self._headers = {"Authorization": f"Bearer {bench.kubectl.run(*words).strip()}"}
        self._authority = folder / "ca.crt"
        secret = ("get", "secret", "front-door-certificate", "-n", DOOR, "-o")
        template = r"go-template={{index .data `ca.crt` | base64decode}}"
        self._authority.write_text(bench.kubectl.run(*secret, template))

    def door(self, rate: int | None, model: str = MODEL) -> Round:
        """As anybody calls it."""
        return self._run(
            Order(
                url=f"https://{HOST}:{HTTPS}{path(TENANT, model)}/infer",
                connect_to=f"{self._bench.layout.address}:{HTTPS}",
                authority=self._authority,
                headers=self._headers,
                body=BODY,
                seconds=SECONDS,
                rate=rate,
            )
        )

    def pod(self, rate: int | None) -> Round:
        """The server itself."""
        (pod,) = pods(self._bench, MODEL)
        return self._run(
            Order(
                url=f"http://{pod['status']['podIP']}:{HTTP}/v2/models/{MODEL}/infer",
                headers={},
                body=BODY,
                seconds=SECONDS,
                rate=rate,
            )
        )

    def _run(self, order: Order) -> Round:
        times = seconds_of_each(self._bench.layout, self._vegeta, order)
        return Round(len(times) / order.seconds, times)


def pods(bench: BenchRig, model: str, *more: str) -> list[dict[str, Any]]:
    """The servers of a model; ``more`` are further conditions on their labels."""
    chosen = ",".join([f"app.kubernetes.io/instance={model},{ROLE_LABEL}=model", *more])
    return _pods(bench, TENANT, chosen)


def _pods(bench: BenchRig, namespace: str, chosen: str) -> list[dict[str, Any]]:
    words = ("get", "pods", "-n", namespace, "-l", chosen, "-o", "json")
    found = json.loads(bench.kubectl.run(*words))
    return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]


# -- what is measured -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """A round as fast as it goes, and what a request of it took of a core: seconds."""

    round: Round
    door: float
    server: float


def _overhead(bench: BenchRig, callers: Callers) -> list[Row]:
    steady: list[tuple[Round, Round]] = []
    clocks = _clock(bench, _pods(bench, DOOR, GATEWAY)), _clock(bench, pods(bench, MODEL))
    full: list[tuple[Work, Work]] = []
    with step("a round that does not count"):
        # Connections are made, and code runs for the first time.
        _ = callers.door(RATE), callers.pod(RATE)
    for number in range(1, ROUNDS + 1):
        with step(f"door and pod in turn, round {number} of {ROUNDS}"):
            steady.append((callers.door(RATE), callers.pod(RATE)))
            full.append((_work(clocks, callers.door), _work(clocks, callers.pod)))
        rates = [work.round.rate for work in full[-1]]
        console.print(f"  {rates[0]:.0f} and {rates[1]:.0f} requests/s")
    return [*_times(steady), *_rates(full)]


def _clock(bench: BenchRig, found: Sequence[dict[str, Any]]) -> Clock:
    return Clock(bench.layout.cgroup, [pod["metadata"]["uid"] for pod in found])


def _work(clocks: tuple[Clock, Clock], ask: Callable[[int | None], Round]) -> Work:
    """Of the door and of the server."""
    before = [clock.seconds() for clock in clocks]
    done = ask(None)
    after = [clock.seconds() for clock in clocks]
    door, server = (
        (end - begin) / len(done.times) for begin, end in zip(before, after, strict=True)
    )
    return Work(done, door=door, server=server)


def _times(steady: Sequence[tuple[Round, Round]]) -> list[Row]:
    def at(share: float, goal: str = "") -> Row:
        ratios = [door.slow(share) / pod.slow(share) for door, pod in steady]
        door, pod = (
            statistics.median(1000 * pair[side].slow(share) for pair in steady) for side in (0, 1)
        )
        what = f"p{share * 100:.0f} at {RATE} requests/s, door ÷ direct"
        return _ratio(f"{what} ({door:.1f} and {pod:.1f} ms)", ratios, goal)

    return [at(0.5), at(0.99, f"≤ {SLOWER}")]


def _rates(full: Sequence[tuple[Work, Work]]) -> list[Row]:
    rates = [door.round.rate / pod.round.rate for door, pod in full]
    each = [statistics.median(pair[side].round.rate for pair in full) for side in (0, 1)]

    def core(what: str, seconds: Sequence[float]) -> Row:
        shown = [f"{1000 * one:.2f}" for one in seconds]
        median = 1000 * statistics.median(seconds)
        return Row(what=what, result=f"{median:.2f} ms", samples=", ".join(shown))

    return [
        _ratio(
            f"requests/s as fast as they go, door ÷ direct ({each[0]:.0f} and {each[1]:.0f})",
            rates,
            f"≥ {THROUGHPUT}",
        ),
        core("of it, a request's time on a core: the door", [door.door for door, _ in full]),
        core("the server behind the door", [door.server for door, _ in full]),
        core("the server asked directly", [pod.server for _, pod in full]),
    ]


def _shadow(bench: BenchRig, callers: Callers) -> list[Row]:
    """The same model twice, one with a shadow that hangs, asked in turn.

    A shadow that works takes CPU of the same machine, which is its own price and not that of
    waiting for it.
    """
    shadowed = version(1) | {"strategy": "shadow"}
    shadowed["versions"] = [{"uri": f"models:/{MODEL}/{number}"} for number in (1, 2)]
    declare(bench, {MODEL: version(1), SHADOWED: shadowed})
    ratios: list[float] = []
    with _frozen(bench):
        with step("a round that does not count"):
            _ = callers.door(RATE, SHADOWED), callers.door(RATE)
        for number in range(1, ROUNDS + 1):
            with step(f"with a shadow that hangs and without, round {number} of {ROUNDS}"):
                pair = (callers.door(RATE, SHADOWED), callers.door(RATE))
            ratios.append(pair[0].slow(0.95) / pair[1].slow(0.95))
    return [_ratio("p95 with a shadow that hangs ÷ without a shadow", ratios, f"≤ {SHADOW_GOAL}")]


@contextmanager
def _frozen(bench: BenchRig) -> Iterator[None]:
    """The shadow takes connections and answers nothing."""
    (pod,) = pods(bench, SHADOWED, "version=b")
    (container,) = pod["status"]["containerStatuses"]
    task = container["containerID"].removeprefix("containerd://")
    ctr = ("ctr", "--namespace=k8s.io", "tasks")
    machine.run_inside(bench.layout, *ctr, "pause", task)
    try:
        yield
    finally:
        machine.run_inside(bench.layout, *ctr, "resume", task)


def many(bench: BenchRig) -> Report:
    """So many models on the one node, and the memory that an idle one holds."""
    trained(bench)
    names = [f"many-{number}" for number in range(MANY)]
    models = {name: version(1, cpu=0.01, memory="384Mi") for name in names}
    # What another benchmark left goes first: the engine deletes last, and the node is then full.
    declare(bench, {names[0]: models[names[0]]})
    took = declare(bench, models)
    node = bench.kubectl.run("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}").strip()
    text = bench.kubectl.run("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary")
    used = [
        pod["memory"]["workingSetBytes"] / MIB
        for pod in json.loads(text)["pods"]
        if pod["podRef"]["namespace"] == TENANT and pod["podRef"]["name"].startswith("many-")
    ]
    if len(used) != MANY:
        raise BenchmarkError(f"the kubelet knows {len(used)} of {MANY} servers")
    rows = [
        Row(what=f"from 1 to {MANY} models on the node, until all answer", result=f"{took:.0f} s"),
        Row(
            what="memory of an idle model (working set), median and most",
            result=f"{statistics.median(used):.0f} and {max(used):.0f} MiB",
        ),
    ]
    return Report(rows=rows)


def _routes(bench: BenchRig) -> list[Row]:
    """As many routes as ``ROUTES`` models would have, made as the operator makes them."""
    kinds = "virtualservices,destinationrules,services"
    text = bench.kubectl.run("get", kinds, "-n", TENANT, "-o", "json")
    own = [item for item in json.loads(text)["items"] if item["metadata"]["name"] in OWN]
    copies = json.dumps([_bare(item) for item in own])
    made = [item for n in range(ROUTES) for item in json.loads(copies.replace(MODEL, f"copy-{n}"))]
    before = _pushes(bench)
    bench.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": made}))
    machine.wait_for(lambda: _known(bench, f"copy-{ROUTES - 1}"), 300, "the last route")
    took = _pushes(bench).since(before)
    return [
        Row(
            what=f"from a change to the door that has it, while {len(made)} objects of {ROUTES} "
            f"models come ({took.by_time[float('inf')]} pushes), p50 and p99",
            result=f"{took.quantile(0.5):.1f} and {took.quantile(0.99):.1f} s",
        )
    ]


def _bare(item: dict[str, Any]) -> dict[str, Any]:
    """Without what belongs to the one that is copied."""
    spec = {k: v for k, v in item["spec"].items() if not k.startswith("clusterIP")}
    meta = {key: item["metadata"][key] for key in ("name", "namespace")}
    return {**{k: item[k] for k in ("apiVersion", "kind")}, "metadata": meta, "spec": spec}


def _pushes(bench: BenchRig) -> gateway.Seen:
    """How long changes took to arrive, by the control plane's own measure: seconds."""
    words = ("get", "pods", "-n", "istio-system", "-l", "app=istiod", "-o")
    address = bench.kubectl.run(*words, "jsonpath={.items[0].status.podIP}")
    script = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
    page = f"http://{address}:15014/metrics"
    text = machine.run_inside(bench.layout, sys.executable, "-c", script, page)
    seen = gateway.Seen()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "pilot_proxy_convergence_time_bucket":
                seen.by_time[float(sample.labels["le"])] += int(sample.value)
    return seen


def _known(bench: BenchRig, model: str) -> bool | None:
    """Whether the door has the model's route."""
    command = ("pilot-agent", "request", "GET", "config_dump?resource=dynamic_route_configs")
    target = "deployment/istio-ingressgateway"
    text = bench.kubectl.run("exec", target, "-n", DOOR, "--", *command)
    return True if f"/seldon/{TENANT}/{model}/" in text else None


def _ratio(what: str, ratios: Sequence[float], goal: str) -> Row:
    return Row(
        what=what,
        result=f"{statistics.median(ratios):.2f}",
        goal=goal,
        samples=", ".join(f"{ratio:.2f}" for ratio in ratios),
    )
