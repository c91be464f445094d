"""Two database servers meet on one volume, as when a pod was deleted by force: the second waits."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from testbed import NAMESPACE, Testbed, until

RIVAL, ALONE = "rival", "alone"
WAITS = "postgres-entrypoint: another server still uses this volume; waiting for its end"
SERVES = "database system is ready to accept connections"


def rival(bed: Testbed, name: str, volume: dict[str, Any]) -> str:
    """The database's own pod under another name, with nothing of it but the volume changed.

    Without its labels, so no client is sent to it.
    """
    (server,) = bed.get("statefulsets", "-l", "app.kubernetes.io/name=postgres")
    spec = server["spec"]["template"]["spec"]
    others = [v for v in spec["volumes"] if "persistentVolumeClaim" not in v]
    spec |= {"volumes": [*others, {"name": "data", **volume}], "restartPolicy": "Never"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
    )


@pytest.fixture
def pods(bed: Testbed) -> Iterator[dict[str, str]]:
    """Pods to apply: one on the volume of the running server, one on an empty volume."""
    (claim,) = bed.get("pvc", "-l", "app.kubernetes.io/name=postgres")
    theirs = {"persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
    bed.sql("create table held (by text);")
    yield {RIVAL: rival(bed, RIVAL, theirs), ALONE: rival(bed, ALONE, {"emptyDir": {}})}
    delete(bed, RIVAL, ALONE)
    bed.whole()
    bed.sql("drop table held;")


def delete(bed: Testbed, *pods: str) -> None:
    words = ("pod", *pods, "-n", NAMESPACE, "--ignore-not-found", "--grace-period=5")
    bed.kubectl("delete", *words, timeout=60)


def says(bed: Testbed, pod: str, line: str) -> None:
    def found() -> bool | None:
        return True if line in bed.kubectl("logs", "-n", NAMESPACE, pod) else None

    until(found, 60, f"{pod}: {line}")


def held(bed: Testbed, pod: str, name: str) -> list[str]:
    """Leave a row by name; who has left one by now, as this pod's server sees it."""
    return [row for (row,) in bed.sql(f"insert into held values ('{name}'); table held;", pod)]


def test_a_second_server_on_the_volume_waits_until_the_first_has_ended(
    bed: Testbed, pods: dict[str, str]
):
    bed.whole()
    bed.kubectl("apply", "-f", "-", given="---\n".join(pods.values()))
    says(bed, ALONE, SERVES)
    says(bed, RIVAL, WAITS)

    # The first one is left alone, and writes.
    started = bed.sql("select pg_postmaster_start_time();")
    assert held(bed, "database-0", "first") == ["first"]
    assert bed.execute(RIVAL, "sh", "-c", "cat /proc/[0-9]*/comm").split().count("postgres") == 0
    assert SERVES not in bed.kubectl("logs", "-n", NAMESPACE, RIVAL)
    assert bed.sql("select pg_postmaster_start_time();") == started

    # It ends, and they change places: its own successor is the one that waits.
    bed.kubectl("delete", "pod", "database-0", "-n", NAMESPACE, "--wait=true", timeout=150)
    says(bed, RIVAL, SERVES)
    assert held(bed, RIVAL, "second") == ["first", "second"]
    says(bed, "database-0", WAITS)

    delete(bed, RIVAL, ALONE)
    bed.whole()
    assert held(bed, "database-0", "third") == ["first", "second", "third"]
