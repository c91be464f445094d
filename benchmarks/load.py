"""Load on an MLflow server, in a process of its own: ``python -m benchmarks.load URL SECONDS``.

The environment says who it is, as for any client (``MLFLOW_TRACKING_TOKEN``, ``MLFLOW_WORKSPACE``).
Threads with a connection each that stays open; every one logs to a run of its own and reads it
back, in turn. Prints what it counted as JSON.
"""

import http.client
import json
import os
import resource
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.bench_rig import headers

CONNECTIONS = 8
"""In each process."""
API = "/api/2.0/mlflow"
EXPERIMENT = "benchmark-rate"
OK = 200


@dataclass
class Count:
    """What one process did."""

    requests: int = 0
    refused: int = 0
    cpu: float = 0.0
    """Seconds of CPU that the client itself took: it must not be what is measured."""
    times: list[float] = field(default_factory=list[float])
    """Seconds of each request."""


class Client:
    """One connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._link = http.client.HTTPConnection(self._host, self._port, timeout=30)
        self._headers = {"Content-Type": "application/json", **headers(os.environ)}

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Status and answer of one request."""
        text = None if body is None else json.dumps(body)
        self._link.request(method, API + path, text, self._headers)
        answer = self._link.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")

    def new_run(self) -> str:
        """A run to log to."""
        status, found = self.ask("GET", f"/experiments/get-by-name?experiment_name={EXPERIMENT}")
        if status == OK:
            experiment = found["experiment"]["experiment_id"]
        else:
            status, made = self.ask("POST", "/experiments/create", {"name": EXPERIMENT})
            if status != OK:  # another client was quicker
                return self.new_run()
            experiment = made["experiment_id"]
        _, run = self.ask("POST", "/runs/create", {"experiment_id": experiment})
        return run["run"]["info"]["run_id"]


def _work(client: Client, run: str, until: float, count: Count) -> None:
    number = 0
    while (began := time.monotonic()) < until:
        if number % 2:
            status, _ = client.ask("GET", f"/runs/get?run_id={run}")
        else:
            metric = {"key": "loss", "value": 1 / (number + 1), "step": number}
            stamp = time.time_ns() // 1_000_000
            body = {"run_id": run, "timestamp": stamp, **metric}
            status, _ = client.ask("POST", "/runs/log-metric", body)
        # One list per thread is not needed: appending is atomic.
        count.times.append(time.monotonic() - began)
        count.refused += status != OK
        number += 1


def main() -> None:
    """Load the server for the time given, then tell."""
    url, seconds = sys.argv[1], float(sys.argv[2])
    clients = [Client(url) for _ in range(CONNECTIONS)]
    runs = [client.new_run() for client in clients]
    count, until = Count(), time.monotonic() + seconds
    own = resource.getrusage(resource.RUSAGE_SELF)
    threads = [
        threading.Thread(target=_work, args=(client, run, until, count))
        for client, run in zip(clients, runs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = resource.getrusage(resource.RUSAGE_SELF)
    count.requests = len(count.times)
    count.cpu = now.ru_utime + now.ru_stime - own.ru_utime - own.ru_stime
    json.dump(asdict(count), sys.stdout)


if __name__ == "__main__":
    main()
