"""What stands after `up`: a whole cluster, and pods that can do no more than they need."""

import pytest
import yaml
from testbed import NAMESPACE, OTHER, TENANT, Testbed, references

from rig import stack
from rig.errors import RigError

KEY = "/var/run/secrets/kubernetes.io/serviceaccount"


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
    assert outputs["hubNodePort"] == int(bed.hub.rpartition(":")[2])


def test_both_replicas_serve_and_every_job_is_done(bed: Testbed):
    bed.whole()
    jobs = bed.get("jobs")

    assert len(bed.pods("mlflow")) == 2
    tenants = bed.get("namespaces", "-A", "-l", "spillway.dev/tenant=true")
    # Two owners of databases, MLflow's bucket, a bucket for each tenant, and the schema.
    assert len(tenants) >= 2
    assert len(jobs) == 4 + len(tenants)
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
    ("app", "role", "uid"),
    [
        ("mlflow", "server", "10001"),
        ("postgres", "server", "999"),
        ("object-store", "server", "1000"),
        ("jupyterhub", "hub", "10002"),
        ("jupyterhub", "proxy", "10003"),
        ("jupyterhub", "tracking-ui", "10002"),
    ],
)
def test_a_server_is_an_unprivileged_user_on_a_root_it_cannot_write(bed: Testbed, app, role, uid):
    pod = bed.pods(app, role)[0]
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


def test_only_servers_that_ask_the_api_server_have_a_key_to_it(bed: Testbed):
    keys = {
        (app, role): "token" in bed.execute(bed.pods(app, role)[0], "sh", "-c", f"ls {KEY} || :")
        for app, role in (
            ("mlflow", "server"),
            ("jupyterhub", "hub"),
            ("jupyterhub", "tracking-ui"),
            ("jupyterhub", "proxy"),
            ("postgres", "server"),
            ("object-store", "server"),
        )
    }

    assert [role for role, has in keys.items() if has] == [
        ("mlflow", "server"),
        ("jupyterhub", "hub"),
        ("jupyterhub", "tracking-ui"),
    ]


def test_the_tracking_servers_key_shows_namespaces_and_nothing_else(bed: Testbed):
    def may(verb: str, what: str, namespace: str = "") -> bool:
        group, _, kind = what.rpartition("/")
        resource, _, part = kind.partition(":")
        asked = {"verb": verb, "group": group, "resource": resource, "subresource": part}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{NAMESPACE}:mlflow",
                "resourceAttributes": {**asked, "namespace": namespace},
            },
        }
        words = ("create", "-f", "-", "-o", "jsonpath={.status.allowed}")
        return bed.kubectl(*words, given=yaml.safe_dump(review)).strip() == "true"

    assert may("list", "namespaces")
    for verb, what in (
        ("create", "namespaces"),
        ("list", "pods"),
        ("get", "secrets"),
        ("create", "serviceaccounts:token"),
        ("list", "mlflow.kubeflow.org/experiments"),
    ):
        for space in (NAMESPACE, TENANT, OTHER, "kube-system"):
            assert not may(verb, what, space), f"{verb} {what} in {space}"


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
