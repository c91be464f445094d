"""Every pod of every component is restricted, and secrets are nowhere but in Secrets."""

import json

import builders
import pytest
from recording import recorded

KNOWN = {
    "mlflow-server",
    "jupyterhub-hub",
    "jupyterhub-tracking-ui",
    "seldon-operator",
    "request-meter-server",
}
"""Workloads that must ask the API server: who calls, people's servers, tokens of tenants, models,
the gateway's pods."""


@pytest.fixture
def built():
    return recorded(builders.everything)


def pods(engine):
    found = {
        name: inputs["spec"]["template"]
        for kind in ("Deployment", "StatefulSet", "Job", "DaemonSet")
        for name, inputs in engine.of(kind).items()
    }
    assert len(found) == 12, "a new workload? count it here"
    return found


def specs(engine):
    return {name: template["spec"] for name, template in pods(engine).items()}


def containers(engine):
    return {
        f"{name}/{c['name']}": c
        for name, spec in specs(engine).items()
        for c in [*spec["containers"], *spec.get("initContainers", [])]
    }


def secrets_of(container):
    whole = {e["secretRef"]["name"] for e in container.get("envFrom", [])}
    single = [
        e["valueFrom"]["secretKeyRef"]["name"] for e in container.get("env", []) if "valueFrom" in e
    ]
    return whole | set(single)


def test_no_pod_runs_as_root(built):
    for name, spec in specs(built).items():
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["runAsGroup"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not any(spec.get(host) for host in ("hostNetwork", "hostPID", "hostIPC")), name


def test_no_container_has_privileges_or_a_writable_root(built):
    for name, container in containers(built).items():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_no_pod_has_a_token_for_the_api_server_but_those_that_must(built):
    named = {
        account["metadata"].get("name", name)
        for name, account in built.of("ServiceAccount").items()
    }
    for name, spec in specs(built).items():
        assert spec["automountServiceAccountToken"] is (name in KNOWN), name
        assert spec["serviceAccountName"] in named, name
    accounts = built.of("ServiceAccount").values()
    assert all(a["automountServiceAccountToken"] is False for a in accounts)
    used = [spec["serviceAccountName"] for spec in specs(built).values()]
    assert len(set(used)) == len(used), "an account of its own for each"


def test_no_pod_gets_variables_injected_for_services(built):
    assert all(spec["enableServiceLinks"] is False for spec in specs(built).values())


def test_every_container_says_what_it_needs_and_no_cpu_limit_throttles_it(built):
    for name, container in containers(built).items():
        resources = container["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}, name
        assert resources["limits"].keys() == {"memory"}, name


def test_what_a_container_writes_to_is_a_volume_with_a_limit(built):
    for name, spec in specs(built).items():
        volumes = {v["name"]: v for v in spec["volumes"]}
        mounted = {m["name"] for c in spec["containers"] for m in c["volumeMounts"]}
        assert mounted == set(volumes), name
        assert all(v["emptyDir"]["sizeLimit"] for v in volumes.values() if "emptyDir" in v), name
        idle = name == "jupyterhub-puller-images"
        paths = {m["mountPath"] for c in spec["containers"] for m in c["volumeMounts"]}
        assert ("/tmp" in paths) is not idle, name
        allowed = {"emptyDir", "persistentVolumeClaim", "configMap", "secret"}
        assert {k for v in volumes.values() for k in v} - {"name"} <= allowed, name


def test_servers_have_all_three_probes(built):
    kinds = ("Deployment", "StatefulSet")
    lasting = [name for kind in kinds for name in built.of(kind)]
    servers = [c for name, c in containers(built).items() if name.partition("/")[0] in lasting]
    assert len(servers) == 8
    for container in servers:
        assert container.keys() >= {"startupProbe", "readinessProbe", "livenessProbe"}


def test_secret_values_are_in_secrets_only(built):
    elsewhere = [r for r in built.children() if not r.typ.endswith(":Secret")]
    assert "hunter2" in json.dumps([r.inputs for r in built.children()], default=str)
    for child in elsewhere:
        assert "hunter2" not in json.dumps(child.inputs, default=str), child.name


def test_pods_are_given_secrets_by_reference_and_never_as_arguments(built):
    for name, container in containers(built).items():
        assert secrets_of(container) <= set(built.of("Secret")), name
        words = container.get("command", []) + container.get("args", [])
        assert not any("$(" in word for word in words), name


def test_every_pod_rolls_when_a_secret_of_its_changes(built):
    """The Secret's generated name is in the pod's template, so a new one is a new template."""
    used = {name for c in containers(built).values() for name in secrets_of(c)}

    # A tenant's own Secret is for pods that people start.
    assert used == set(built.of("Secret")) - {"vision-storage"}
    assert all("name" not in built.of("Secret")[name]["metadata"] for name in used)


def test_images_are_pulled_as_the_caller_says(engine, resolve):
    resolve(lambda: builders.database(pull_policy="Never").urn)

    pulled = [
        inputs["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"]
        for kind in ("StatefulSet", "Job")
        for inputs in engine.of(kind).values()
    ]
    assert pulled == ["Never", "Never"]
