"""Each pod is killed in turn while a client logs; nothing the server acknowledged is lost."""

from collections.abc import Callable

import requests
from logging_client import Writer
from mlflow.tracking import MlflowClient
from testbed import NAMESPACE, Testbed, until

CONNECTIONS = 2
"""That the writer keeps open at a time."""


def delete(bed: Testbed, app: str) -> None:
    """As when a node is lost: no time to finish anything."""
    pod = bed.pods(app)[0]
    uid = ("-o", "jsonpath={.metadata.uid}")
    old = bed.kubectl("get", "pod", pod, "-n", NAMESPACE, *uid)
    bed.kubectl(
        "delete", "pod", pod, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false"
    )
    uids = lambda: [p["metadata"]["uid"] for p in bed.get("pods")]  # noqa: E731
    until(lambda: True if old not in uids() else None, 30, f"{pod} gone")


def kill(bed: Testbed, app: str) -> None:
    bed.kill_container(bed.pods(app)[0])


def test_nothing_acknowledged_is_lost_when_each_pod_is_killed(
    bed: Testbed, client: MlflowClient, writer: Writer
):
    bed.whole()
    writer.goes_on()
    blows: list[tuple[Callable[[Testbed, str], None], str]] = [
        (delete, "mlflow"),
        (delete, "mlflow"),
        (kill, "mlflow"),
        (delete, "postgres"),
        (kill, "postgres"),
        (delete, "object-store"),
        (kill, "object-store"),
    ]
    for blow, app in blows:
        blow(bed, app)
        bed.whole()
        writer.goes_on()
    writer.end()

    assert writer.failed(), "at least the database's death was felt"
    assert writer.lost(bed, client) == []


def test_replacing_one_of_two_servers_costs_no_more_than_its_closing_connections(
    bed: Testbed, writer: Writer
):
    bed.whole()
    writer.goes_on()
    before = len(writer.failed())

    bed.kubectl("delete", "pod", bed.pods("mlflow")[0], "-n", NAMESPACE, "--wait=true", timeout=90)
    bed.whole()
    writer.goes_on()

    failed = writer.failed()
    # The pod drains before it ends, so nobody is refused. But a kept-alive connection is closed at
    # its end, and HTTP/1.1 cannot tell a client that is just sending on it. The writer sends each
    # request once, on a connection for metrics and one for artifacts; clients as shipped try again.
    assert len(failed[before:]) <= CONNECTIONS


def test_nobody_on_the_hub_notices_that_the_database_was_started_anew(bed: Testbed):
    bed.whole()
    bed.person("ada").servers()

    delete(bed, "postgres")
    bed.whole()

    bed.person("ada").servers()


def test_the_database_is_whole_after_all_that(bed: Testbed):
    bed.whole()
    check = (
        "pg_amcheck --no-strict-names -h /var/run/postgresql -U postgres -d mlflow --heapallindexed"
    )
    install = "create extension if not exists amcheck"
    bed.sql(f"{install};")

    said = bed.execute(
        "database-0", "sh", "-c", f"PGPASSWORD=$POSTGRES_PASSWORD {check} 2>&1 && echo whole"
    )

    assert said.splitlines()[-1] == "whole"
    assert requests.get(f"{bed.url}/health", timeout=10).text == "OK"
