"""What stands after `up`: a whole cluster, and pods that can do no more than they need."""

import pytest
import yaml
from testbed import NAMESPACE, Testbed, references

from rig import stack
from rig.errors import RigError


def test_every_process_of_the_node_runs(bed: Testbed):
    states = bed.rig.status()

    assert set(states.values()) == {"RUNNING"}
    assert set(bed.processes()) == set(states)


def test_a_second_up_changes_nothing(bed: Testbed):
    bed.whole()

    stack.up(bed.stack, extra=["--expect-no-changes"])


def test_up_tells_where_mlflow_is(bed: Testbed):
    outputs = stack.outputs(bed.stack)

    assert outputs["mlflowTrackingUri"] == "http://mlflow.spillway.svc:5000"
    assert outputs["mlflowNodePort"] == int(bed.url.rpartition(":")[2])


def test_both_replicas_serve_and_every_job_is_done(bed: Testbed):
    bed.whole()
    jobs = bed.get("jobs")

    assert len(bed.pods("mlflow")) == 2
    assert len(jobs) == 3
    assert all(job["status"].get("succeeded") == 1 for job in jobs)


def test_the_schema_was_migrated_before_the_first_server_started(bed: Testbed):
    jobs = {
        job["metadata"]["labels"]["app.kubernetes.io/component"]: job for job in bed.get("jobs")
    }
    done = jobs["migration"]["status"]["completionTime"]
    servers = bed.get(
        "pods", "-l", "app.kubernetes.io/component=server,app.kubernetes.io/name=mlflow"
    )

    assert all(done <= pod["metadata"]["creationTimestamp"] for pod in servers)


@pytest.mark.parametrize(
    ("app", "uid"), [("mlflow", "10001"), ("postgres", "999"), ("object-store", "1000")]
)
def test_a_server_is_an_unprivileged_user_on_a_root_it_cannot_write(bed: Testbed, app, uid):
    pod = bed.pods(app)[0]
    probe = (
        "id -u; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; touch /etc/x /usr/x || :"
    )

    said = bed.execute(pod, "sh", "-c", f"({probe}) 2>&1").splitlines()

    assert said[0] == uid
    assert {line.split()[0]: line.split()[1] for line in said[1:4]} == {
        "CapEff:": "0000000000000000",
        "NoNewPrivs:": "1",
        "Seccomp:": "2",
    }
    assert [line.rpartition(": ")[2] for line in said[4:]] == ["Read-only file system"] * 2


def test_no_pod_has_a_key_to_the_api_server(bed: Testbed):
    for app in ("mlflow", "postgres", "object-store"):
        said = bed.execute(bed.pods(app)[0], "sh", "-c", "ls /var/run/secrets 2>&1 || :")
        assert "No such file" in said


def test_a_privileged_pod_is_refused_in_the_platforms_namespace(bed: Testbed):
    container = {
        "name": "x",
        "image": references(["mlflow"])["mlflow"],
        "securityContext": {"privileged": True},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged", "namespace": NAMESPACE},
        "spec": {"containers": [container]},
    }

    with pytest.raises(RigError, match="violates PodSecurity"):
        bed.kubectl("apply", "-f", "-", given=yaml.safe_dump(pod))
