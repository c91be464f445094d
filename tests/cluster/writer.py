"""A client that logs without end and notes what the server acknowledged; a process of its own.

Arguments: the server's URL, a run, and the file for the notes. It ends when its standard input
does. What fails is tried again until it is acknowledged, as a training job would.
"""

import os
import sys
import threading
import time
from pathlib import Path

os.environ |= {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests import RequestException

ended = threading.Event()


def write(client: MlflowClient, run: str, kind: str, step: int) -> None:
    if kind == "metric":
        client.log_metric(run, "noted", step * 0.5, step=step)
    else:
        client.log_text(run, f"content of {step}\n" * 50, f"files/{step}.txt")


def main() -> None:
    url, run, notes = sys.argv[1:]
    client = MlflowClient(tracking_uri=url)
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    with Path(notes).open("a", buffering=1) as file:
        for step in range(10**6):
            for kind in ("metric", "artifact"):
                while not ended.is_set():
                    try:
                        write(client, run, kind, step)
                    except (MlflowException, RequestException) as error:
                        file.write(f"failed {step} {type(error).__name__}\n")
                        time.sleep(0.2)
                        continue
                    file.write(f"{kind} {step}\n")
                    break
            if ended.is_set():
                return


if __name__ == "__main__":
    main()
