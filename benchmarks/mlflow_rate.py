"""Benchmark of MLflow through its Service, against the same image run by hand.

By hand means: one container started with ``ctr run`` on the node's own network, with the pods'
settings and as many workers as all pods together, on the same database and store. Both are asked
from the machine, at the node's address, in turn.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.bench_rig import NAMESPACE, PROBE, BenchRig, answers
from benchmarks.errors import BenchmarkError
from benchmarks.report import Report, Row
from rig import paths
from rig.node import machine
from rig.steps import console, step

GOAL = 0.8
ROUNDS = 4
SECONDS = 20
WARM_UP_SECONDS = 5
PROCESSES = 2
"""One could be busier with itself than with the server."""
PORT = 5000
CONTAINER = "spillway-by-hand"
OWN = ("MLFLOW_", "AWS_", "SPILLWAY_", "DO_NOT_TRACK", "KUBERNETES_SERVICE_")
"""What the stack sets, and where the API server is; the rest comes from the image."""
ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod finds its service account."""


@dataclass(frozen=True)
class Round:
    """One load on one server."""

    rate: float
    middle: float
    """Median seconds of a request."""
    slow: float
    """Seconds within which 95 % of the requests were answered."""
    client: float
    """Share of one core that the client took."""


def mlflow_rate(bench: BenchRig) -> Report:
    """Requests a second, through the Service and by hand, in turn."""
    _ = bench.first_up
    deployment = _get(bench, "deployment", "mlflow")
    through: list[Round] = []
    direct: list[Round] = []
    identity = bench.identity()
    with _by_hand(bench, deployment, identity) as by_hand:
        targets = (("the Service", bench.url, through), ("by hand", by_hand, direct))
        for name, url, _ in targets:
            with step(f"warming up: {name}"):
                _load(url, WARM_UP_SECONDS, identity)
        for number in range(1, ROUNDS + 1):
            for name, url, rounds in targets:
                with step(f"load, round {number} of {ROUNDS}: {name}"):
                    rounds.append(_load(url, SECONDS, identity))
                console.print(f"  {rounds[-1].rate:.0f} requests/s")
    ratio = statistics.median(r.rate for r in through) / statistics.median(r.rate for r in direct)
    replicas, workers = _sizes(deployment)
    rows = [
        Row(what="rate, Service ÷ by hand", result=f"{ratio:.2f}", goal=f"≥ {GOAL}"),
        *_rows(f"Service, {replicas} pods with {workers} workers each", through),
        *_rows(f"by hand, {replicas * workers} workers", direct),
    ]
    share = statistics.median(r.client for r in [*through, *direct])
    notes = (
        f"{PROCESSES * load.CONNECTIONS} connections that stay open, half of the requests "
        f"`runs/log-metric`, half `runs/get`; {SECONDS} s a round.",
        f"The client takes {share:.0%} of a core, on the cores of the servers and the database.",
    )
    return Report(rows=rows, notes=notes)


def _rows(name: str, rounds: Sequence[Round]) -> list[Row]:
    rates = [r.rate for r in rounds]
    middle = statistics.median(r.middle for r in rounds)
    slow = statistics.median(r.slow for r in rounds)
    return [
        Row(
            what=f"{name}: requests/s",
            result=f"{statistics.median(rates):.0f}",
            samples=", ".join(f"{rate:.0f}" for rate in rates),
        ),
        Row(
            what=f"{name}: median and 95th percentile",
            result=f"{middle * 1000:.0f} and {slow * 1000:.0f} ms",
        ),
    ]


def _load(url: str, seconds: int, identity: Mapping[str, str]) -> Round:
    command = [sys.executable, "-m", "benchmarks.load", url, str(seconds)]
    clients = [
        subprocess.Popen(
            command,
            cwd=paths.ROOT,
            env={**os.environ, **identity},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        counts = [json.loads(client.communicate(timeout=seconds + 60)[0]) for client in clients]
    finally:
        for client in clients:
            client.kill()
            client.wait()
    if refused := sum(count["refused"] for count in counts):
        raise BenchmarkError(f"{url} refused {refused} requests")
    times = sorted(time for count in counts for time in count["times"])
    return Round(
        rate=len(times) / seconds,
        middle=times[len(times) // 2],
        slow=times[len(times) * 95 // 100],
        client=sum(count["cpu"] for count in counts) / seconds,
    )


@contextmanager
def _by_hand(
    bench: BenchRig, deployment: dict[str, Any], identity: Mapping[str, str]
) -> Iterator[str]:
    """URL of a container beside Kubernetes."""
    ctr = machine.inside(bench.layout, "ctr", "--namespace=k8s.io")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    replicas, _ = _sizes(deployment)
    shares = replicas * int(container["resources"]["requests"]["cpu"].removesuffix("m"))
    user = deployment["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    url = f"http://{bench.layout.address}:{PORT}"
    with (
        # Keys go by file: arguments can be read by everybody.
        tempfile.NamedTemporaryFile("w", dir=bench.layout.state) as variables,
        tempfile.TemporaryDirectory(dir=bench.layout.state) as account,
        (bench.layout.logs / "by-hand.log").open("w") as log,
    ):
        variables.writelines(f"{k}={v}\n" for k, v in _environment(bench, deployment).items())
        variables.flush()
        _become(bench, deployment, Path(account))
        run = subprocess.Popen(
            [
                *(*ctr, "run", "--rm", "--net-host", "--seccomp", "--read-only"),
                *("--cgroup", f"/{bench.layout.cgroup}/by-hand"),
                # As much say as the pods have together.
                *("--cpu-shares", str(shares * 1024 // 1000)),
                *("--env-file", variables.name),
                *_tmpfs("/tmp", user),  # noqa: S108 - a mount of its own
                *_tmpfs("/prometheus", user),
                *("--mount", f"type=bind,src={account},dst={ACCOUNT},options=rbind:ro"),
                *(container["image"], CONTAINER, *container["command"]),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            with step("starting MLflow by hand"):
                machine.wait_for(
                    lambda: answers(url + PROBE, identity) or _ended(run, log.name) or None,
                    90,
                    "MLflow by hand",
                )
            yield url
        finally:
            _stop(ctr, run)


def _become(bench: BenchRig, deployment: dict[str, Any], folder: Path) -> None:
    """Put down what Kubernetes gives the pods of the server: their account."""
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    token = bench.kubectl.run("create", "token", account, "-n", NAMESPACE)
    words = ("configmap", "kube-root-ca.crt", "-n", NAMESPACE)
    authority = bench.kubectl.run("get", *words, "-o", r"jsonpath={.data.ca\.crt}")
    files = {"token": token.strip(), "ca.crt": authority, "namespace": NAMESPACE}
    # The server's user reads them; nobody else gets past the rig's own folder.
    folder.chmod(0o755)
    for name, content in files.items():
        (folder / name).write_text(content)


def _ended(run: "subprocess.Popen[bytes]", log: str) -> bool:
    if run.poll() is not None:
        # The log goes with the rig.
        said = Path(log).read_text(errors="replace").strip().splitlines()[-1:]
        raise BenchmarkError(f"MLflow by hand ended (exit {run.returncode}): {''.join(said)}")
    return False


def _stop(ctr: Sequence[str], run: "subprocess.Popen[bytes]") -> None:
    for signal in ("SIGTERM", "SIGKILL"):
        subprocess.run(
            [*ctr, "tasks", "kill", "--signal", signal, CONTAINER], capture_output=True, check=False
        )
        try:
            run.wait(15)
        except subprocess.TimeoutExpired:
            continue
        return
    run.kill()


def _tmpfs(path: str, user: int) -> tuple[str, str]:
    # runc may give it the mode of the image's folder: the owner must be right as well.
    options = f"rw:mode=1777:uid={user}:gid={user}"
    return "--mount", f"type=tmpfs,src=tmpfs,dst={path},options={options}"


def _environment(bench: BenchRig, deployment: dict[str, Any]) -> dict[str, str]:
    """The pods' settings with all workers in one server, and addresses instead of names."""
    printed = bench.kubectl.run("exec", "-n", NAMESPACE, "deployment/mlflow", "--", "env")
    pairs = (line.partition("=") for line in printed.splitlines())
    found = {key: value for key, _, value in pairs if key.startswith(OWN)}
    for name in ("database", "object-store"):
        address = _get(bench, "service", name)["spec"]["clusterIP"]
        for key in ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_S3_ENDPOINT_URL"):
            found[key] = found[key].replace(f"{name}.{NAMESPACE}.svc", address)
    replicas, workers = _sizes(deployment)
    return found | {"MLFLOW_PORT": str(PORT), "MLFLOW_WORKERS": str(replicas * workers)}


def _sizes(deployment: dict[str, Any]) -> tuple[int, int]:
    """Replicas, and workers in each."""
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    workers = next(e["value"] for e in env if e["name"] == "MLFLOW_WORKERS")
    return deployment["spec"]["replicas"], int(workers)


def _get(bench: BenchRig, kind: str, name: str) -> dict[str, Any]:
    return json.loads(bench.kubectl.run("get", kind, name, "-n", NAMESPACE, "-o", "json"))
