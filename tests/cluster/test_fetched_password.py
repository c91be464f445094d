"""The password that a cloud keeps and changes, with a real client, server and database."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testbed import Testbed

from components.mlflow import driver_url

SCRIPT = Path(__file__).with_name("fetched_password.py")
ROLE = "fetched"
"""Neither MLflow's nor the administrator's; its database has the same name."""
PASSWORDS = {name: secrets.token_hex(16) for name in ("first", "second", "wrong")}


@pytest.fixture(scope="module")
def told(bed: Testbed) -> Iterator[dict[str, Any]]:
    """What a pod of the tracking server saw, from its start to the change of its password."""
    bed.sql(f"create role {ROLE} login password '{PASSWORDS['first']}';")
    bed.sql(f"create database {ROLE} owner {ROLE};")
    url = driver_url(f"postgresql://{ROLE}@database:5432/{ROLE}", fetched=True)
    given = json.dumps({"url": url, **PASSWORDS})
    try:
        words = (bed.pods()[0], "/opt/mlflow/bin/python", "-c", SCRIPT.read_text())
        yield json.loads(bed.execute(*words, given=given, timeout=180))
    finally:
        bed.sql(f"drop database {ROLE} with (force);")
        bed.sql(f"drop role {ROLE};")


def test_secrets_manager_refuses_all_but_one_call_one_key_and_one_secret(told: dict[str, Any]):
    assert told["another call"] == "UnknownOperationException"
    assert told["another key"] == "UnrecognizedClientException"
    assert told["another secret"] == "ResourceNotFoundException"


def test_the_password_is_fetched_once_and_opens_the_database(told: dict[str, Any]):
    assert told["first"] == [ROLE, 1]
    assert told["second"] == [ROLE, 1]


def test_a_changed_password_is_fetched_when_the_old_one_is_refused(told: dict[str, Any]):
    assert told["changed"] == [ROLE, 2]
    assert told["after"] == [ROLE, 2]


def test_mlflow_migrates_and_stores_with_a_fetched_password(told: dict[str, Any]):
    status, output = told["migration"]
    assert status == 0, output
    assert "schema empty -> " in output
    assert told["experiment"] == "fetched"


def test_a_wrong_secret_is_read_again_once_and_is_then_the_databases_own_error(
    told: dict[str, Any],
):
    error, reads = told["wrong"]
    assert f'password authentication failed for user "{ROLE}"' in error
    assert reads == 2


def test_without_the_name_of_a_secret_the_error_says_what_to_set(told: dict[str, Any]):
    assert "$SPILLWAY_DATABASE_SECRET: the ARN of the secret" in told["without a secret"]


def test_no_fetched_password_is_an_argument_or_in_a_log(bed: Testbed, told: dict[str, Any]):
    logs = [bed.kubectl("logs", "-n", "spillway", pod) for pod in (*bed.pods(), "database-0")]
    texts = [*told["arguments"], *logs, json.dumps(told)]

    assert any("uvicorn" in text for text in told["arguments"])
    assert any(f'failed for user "{ROLE}"' in text for text in logs), "the log of these logins"
    assert [text for text in texts if any(value in text for value in PASSWORDS.values())] == []
