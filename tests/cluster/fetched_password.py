"""Runs in a pod of the tracking server and logs in as in a cloud: with a fetched password.

PostgreSQL, boto3 and MLflow are the real ones. Secrets Manager is a server in this process that
knows one call, one key and one secret. Standard input has the URL and the passwords, as no
argument may; what happened is printed as JSON.
"""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

GIVEN = json.load(sys.stdin)
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:database"
KEY = "of-this-pod"
said: dict[str, Any] = {}


class Manager(BaseHTTPRequestHandler):
    """Secrets Manager: https://docs.aws.amazon.com/secretsmanager/latest/apireference/"""

    password = GIVEN["first"]
    answered = 0

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["X-Amz-Target"] != "secretsmanager.GetSecretValue":
            self.answer(400, {"__type": "UnknownOperationException"})
        elif f"Credential={KEY}/" not in self.headers["Authorization"]:
            self.answer(400, {"__type": "UnrecognizedClientException"})
        elif asked["SecretId"] != ARN:
            self.answer(400, {"__type": "ResourceNotFoundException"})
        else:
            Manager.answered += 1
            secret = {"username": "any", "password": Manager.password}
            self.answer(200, {"ARN": ARN, "SecretString": json.dumps(secret)})

    def answer(self, status: int, content: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


def engine() -> Engine:
    """Connects anew for each use."""
    return create_engine(GIVEN["url"], poolclass=NullPool)


def ask(engine: Engine) -> list[Any]:
    """Who the database says we are, and how often the secret has been read by then."""
    with engine.connect() as connection:
        return [connection.scalar(text("select current_user")), Manager.answered]


def refused(**asked: str) -> str:
    try:
        boto3.client("secretsmanager", **asked).get_secret_value(SecretId=ARN)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "nothing"


try:
    engine()
except RuntimeError as error:
    said["without a secret"] = str(error)

server = ThreadingHTTPServer(("127.0.0.1", 0), Manager)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ |= {
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://127.0.0.1:{server.server_port}",
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": "not checked",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "SPILLWAY_DATABASE_SECRET": ARN,
    "MLFLOW_BACKEND_STORE_URI": GIVEN["url"],
}

# What the server refuses, or what it grants says nothing.
said["another key"] = refused(aws_access_key_id="another", aws_secret_access_key="x")
try:
    boto3.client("secretsmanager").list_secrets()
except ClientError as error:
    said["another call"] = error.response["Error"]["Code"]
os.environ["SPILLWAY_DATABASE_SECRET"] = f"{ARN}-of-others"
try:
    ask(engine())
except ClientError as error:
    said["another secret"] = error.response["Error"]["Code"]
os.environ["SPILLWAY_DATABASE_SECRET"] = ARN

# A pod's life: it starts, goes on, and meets the weekly change.
ours = engine()
said["first"], said["second"] = ask(ours), ask(ours)
with ours.begin() as connection:
    connection.execute(text(f"alter role current_user password '{GIVEN['second']}'"))
Manager.password = GIVEN["second"]
said["changed"], said["after"] = ask(ours), ask(ours)

# MLflow's own two uses.
done = subprocess.run(["mlflow-migrate"], capture_output=True, text=True, check=False)
said["migration"] = [done.returncode, done.stdout + done.stderr]
store = SqlAlchemyStore(GIVEN["url"], "mlflow-artifacts:/")
said["experiment"] = store.get_experiment(store.create_experiment("fetched")).name

Manager.password, before = GIVEN["wrong"], Manager.answered
try:
    ask(engine())
except OperationalError as error:
    said["wrong"] = [str(error.orig), Manager.answered - before]

said["arguments"] = [f.read_text() for f in Path("/proc").glob("[0-9]*/cmdline")]
print(json.dumps(said))
