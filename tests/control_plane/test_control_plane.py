"""The control plane for rehearsals: what a real API server and kwok do, and how it all ends."""

import json
import os
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from workloads import (
    SECONDS,
    UNPRIVILEGED,
    alive,
    await_condition,
    await_death,
    deployment,
    job,
    namespace,
    template,
)

from rig import toolchain
from rig.control_plane import ControlPlane, FakeNode
from rig.control_plane.api import Api
from rig.errors import RigError
from rig.node.machine import wait_for
from rig.offline import offline

ROOT = Path(__file__).parents[2]
EVERY = {
    *("supervisor", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"),
}


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> Api:
    return plane.api


# -- what it does ----------------------------------------------------------------------------------


def test_a_deployment_becomes_available(api):
    apps = f"/apis/apps/v1/namespaces/{namespace(api)}/deployments"
    api.create(apps, deployment(template()))
    await_condition(api, f"{apps}/x", "Available")
    assert api.get(f"{apps}/x")["status"]["readyReplicas"] == 2


def test_a_deployment_that_no_node_can_hold_does_not(api):
    space = namespace(api)
    apps = f"/apis/apps/v1/namespaces/{space}/deployments"
    api.create(apps, deployment(template({"cpu": "1001"})))
    pods = f"/api/v1/namespaces/{space}/pods"
    names = wait_for(
        lambda: [p["metadata"]["name"] for p in api.get(pods)["items"]] or None, SECONDS, "pods"
    )
    await_condition(api, f"{pods}/{names[0]}", "PodScheduled", "False")
    await_condition(api, f"{apps}/x", "Available", "False")


def test_a_job_completes(api):
    jobs = f"/apis/batch/v1/namespaces/{namespace(api)}/jobs"
    api.create(jobs, job())
    await_condition(api, f"{jobs}/x", "Complete")


def test_a_service_gets_the_addresses_of_ready_pods(api):
    space = namespace(api)
    services = f"/api/v1/namespaces/{space}/services"
    spec = {"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": 8080}]}
    api.create(services, {"metadata": {"name": "x"}, "spec": spec})
    api.create(f"/apis/apps/v1/namespaces/{space}/deployments", deployment(template()))
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"

    def ready() -> set[str] | None:
        ends = [e for s in api.get(slices)["items"] for e in s["endpoints"] or ()]
        addresses = {e["addresses"][0] for e in ends if e["conditions"]["ready"]}
        return addresses if len(addresses) == 2 else None

    assert wait_for(ready, SECONDS, "two endpoints")


def test_a_load_balancer_gets_an_address_and_other_services_get_none(api):
    space = namespace(api)
    for name, kind in (("door", "LoadBalancer"), ("inner", "ClusterIP")):
        spec = {"type": kind, "selector": {"app": "x"}, "ports": [{"port": 443}]}
        service = {"metadata": {"name": name}, "spec": spec}
        api.create(f"/api/v1/namespaces/{space}/services", service)

    def addresses(name: str) -> list[dict[str, str]]:
        service = api.get(f"/api/v1/namespaces/{space}/services/{name}")
        return service["status"]["loadBalancer"].get("ingress", [])

    wait_for(lambda: addresses("door") or None, SECONDS, "an address")
    assert addresses("inner") == []


def test_a_claim_is_bound_when_its_pod_has_a_node_and_its_volume_goes_with_it(api):
    space = namespace(api)
    claims = f"/api/v1/namespaces/{space}/persistentvolumeclaims"
    for name in ("used", "unused"):
        size = {"requests": {"storage": "1Gi"}}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": size}
        api.create(claims, {"metadata": {"name": name}, "spec": spec})
    pods = f"/api/v1/namespaces/{space}/pods"
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "used"}}
    api.create(pods, {**template(volumes=[volume]), "metadata": {"name": "x"}})
    await_condition(api, f"{pods}/x", "Ready")
    used = api.get(f"{claims}/used")
    assert used["status"]["phase"] == "Bound"
    assert used["spec"]["storageClassName"] == "local-path"
    assert api.get(f"{claims}/unused")["status"]["phase"] == "Pending"

    api.delete(f"{pods}/x")
    api.delete(f"{claims}/used")
    path = f"/api/v1/persistentvolumes/{used['spec']['volumeName']}"
    wait_for(lambda: api.get(path) is None or None, SECONDS, "the end of the volume")


def test_a_namespace_goes_with_all_that_is_in_it(api):
    space = namespace(api)
    apps = f"/apis/apps/v1/namespaces/{space}/deployments"
    api.create(apps, deployment(template()))
    await_condition(api, f"{apps}/x", "Available")
    api.delete(f"/api/v1/namespaces/{space}")
    path = f"/api/v1/namespaces/{space}"
    wait_for(lambda: api.get(path) is None or None, SECONDS, "the end of the namespace")


def test_a_wrong_manifest_is_refused_and_a_right_one_is_not(api):
    apps = f"/apis/apps/v1/namespaces/{namespace(api)}/deployments"
    with pytest.raises(RigError, match="`selector` does not match template `labels`"):
        api.create(apps, deployment(template(), selector="y"))
    wrong = deployment(template())
    wrong["spec"]["replica"] = 2
    with pytest.raises(RigError, match=r'unknown field "spec.replica"'):
        api.create(f"{apps}?fieldValidation=Strict", wrong)
    api.create(f"{apps}?fieldValidation=Strict", deployment(template()))


def test_only_who_has_a_certificate_gets_in_and_secrets_are_for_the_owner_alone(plane):
    kubectl = toolchain.ensure_all(["kubectl"])["kubectl"]
    owner = [str(kubectl), f"--kubeconfig={plane.kubeconfig}", "get", "--raw", "/api/v1/secrets"]
    assert "SecretList" in subprocess.run(owner, capture_output=True, text=True, check=True).stdout
    trust = ssl.create_default_context(cafile=plane.folder / "pki" / "ca.crt")
    with pytest.raises(urllib.error.HTTPError, match="Forbidden"):
        urllib.request.urlopen(f"{plane.server}/api/v1/secrets", context=trust)
    assert stat.S_IMODE(plane.folder.stat().st_mode) == 0o700
    keys = [*plane.folder.glob("pki/*.key"), plane.kubeconfig]
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys} == {0o600}


# -- several, and the end --------------------------------------------------------------------------


def test_two_at_once_are_two_clusters_with_the_nodes_that_each_was_given(programs, plane, tmp_path):
    gpu = FakeNode(name="gpu-0", labels={"pool": "burst"}, resources={"nvidia.com/gpu": "8"})
    others = [
        ControlPlane(tmp_path / name, programs=programs, nodes=[gpu], storage_classes=["fast"])
        for name in ("a", "b")
    ]
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ControlPlane.start, others))
        assert len({p.port for p in [plane, *others]}) == 3
        others[0].api.create("/api/v1/namespaces", {"metadata": {"name": "only-here"}})
        assert others[1].api.get("/api/v1/namespaces/only-here") is None
        node = others[1].api.get("/api/v1/nodes/gpu-0")
        assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"
        assert node["metadata"]["labels"]["pool"] == "burst"
    finally:
        for other in others:
            other.stop()


def test_a_stop_leaves_no_process_and_of_a_given_folder_only_the_logs(programs, tmp_path):
    mine = ControlPlane(tmp_path / "mine", programs=programs)
    with mine:
        pids = dict(mine.pids)
        assert set(pids) == EVERY
        assert all(map(alive, pids.values()))
        with pytest.raises(RigError, match="in use by another control plane"):
            ControlPlane(tmp_path / "mine", programs=programs).start()
    assert not any(map(alive, pids.values()))
    assert {file.name for file in mine.folder.iterdir()} == {"logs", "lock"}


@pytest.mark.parametrize("victims", [["holder"], ["supervisor"], ["holder", "supervisor"]])
def test_nothing_outlives_a_kill(victims, programs, tmp_path):
    text = (
        "import json, sys\nfrom pathlib import Path\nfrom rig.control_plane import ControlPlane\n"
        "programs = {k: Path(v) for k, v in json.loads(sys.argv[1]).items()}\n"
        "with ControlPlane(programs=programs) as plane:\n"
        "    print(json.dumps([str(plane.folder), plane.pids]), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    given = json.dumps({name: str(path) for name, path in programs.items()})
    holder = subprocess.Popen(
        [sys.executable, "-c", text, given],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert holder.stdout
    folder, pids = json.loads(holder.stdout.readline())
    everybody = {**pids, "holder": holder.pid}
    assert set(pids) == EVERY
    assert all(map(alive, everybody.values()))
    for victim in victims:
        os.kill(everybody[victim], signal.SIGKILL)
    await_death(pids)
    if victims == ["holder"]:
        wait_for(lambda: not Path(folder).exists() or None, 10, "the end of the folder")
    holder.communicate()


def test_one_process_can_be_killed_and_started_again_and_the_others_go_on(programs, tmp_path):
    with ControlPlane(tmp_path / "mine", programs=programs) as mine:
        mine.run("sleeper", ["sleep", "1000"])
        before = dict(mine.pids)
        mine.kill("sleeper")
        assert not alive(before["sleeper"])
        assert "sleeper" not in mine.pids
        with pytest.raises(RigError, match="no process 'sleeper'; there are supervisor, etcd"):
            mine.kill("sleeper")
        mine.restart("sleeper")
        mine.api.create("/api/v1/namespaces", {"metadata": {"name": "kept"}})
        mine.restart("kube-apiserver")
        assert mine.api.get("/api/v1/namespaces/kept")
        assert mine.failure is None
        after = dict(mine.pids)
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"sleeper", "kube-apiserver"}
    assert not any(map(alive, after.values()))


def test_what_runs_besides_takes_all_others_with_it_when_it_ends_by_itself(programs, tmp_path):
    mine = ControlPlane(tmp_path / "mine", programs=programs)
    mine.start()
    mine.run("short", ["sh", "-c", "sleep 1; echo alas; exit 3"])
    with pytest.raises(RigError, match="short ended with status 3: alas"):
        mine.wait()
    mine.stop()


def test_what_has_lives_left_is_started_anew_and_then_takes_all_with_it(programs, tmp_path):
    mine = ControlPlane(tmp_path / "mine", programs=programs)
    mine.start()
    mine.run("cat", ["sh", "-c", "echo a life; exec sleep 1000"], lives=2)
    first = mine.pids["cat"]
    os.kill(first, signal.SIGKILL)
    second = wait_for(
        lambda: next((p for n, p in mine.pids.items() if n == "cat" and p != first), None),
        SECONDS,
        "another life",
    )
    assert mine.failure is None
    assert mine.api.ready()
    os.kill(second, signal.SIGKILL)
    with pytest.raises(RigError, match="cat ended with status -9: a life"):
        mine.wait()
    mine.stop()


def kill(plane: ControlPlane, name: str) -> None:
    os.kill(plane.pids[name], signal.SIGKILL)
    await_death(plane.pids)


def test_a_process_that_dies_ends_it_all_and_is_named(programs):
    mine = ControlPlane(programs=programs)
    with pytest.raises(RigError, match=r"kwok ended with status -9: .*kwok.log"), mine:
        kill(mine, "kwok")
    shutil.rmtree(mine.folder)


def test_a_start_that_fails_says_why_and_leaves_nothing(programs, tmp_path):
    mine = ControlPlane(tmp_path, programs={**programs, "kube-scheduler": Path("/bin/false")})
    with pytest.raises(RigError, match=r"kube-scheduler ended with status 1: no word \(log: "):
        mine.start()
    assert len(mine.pids) > 3
    assert not any(map(alive, mine.pids.values()))


def test_it_needs_no_privilege_and_no_network(programs):
    text = (
        "import json, socket, sys\nfrom pathlib import Path\n"
        "from workloads import *\nfrom rig.control_plane import ControlPlane\n"
        "programs = {k: Path(v) for k, v in json.loads(sys.argv[1]).items()}\n"
        "with ControlPlane(programs=programs) as plane:\n"
        "    jobs = '/apis/batch/v1/namespaces/default/jobs'\n"
        "    plane.api.create(jobs, job())\n"
        "    await_condition(plane.api, f'{jobs}/x', 'Complete')\n"
        "capabilities = Path('/proc/self/status').read_text().split('CapEff:')[1].split()[0]\n"
        "print(json.dumps([[n for _, n in socket.if_nameindex()], int(capabilities, 16)]))\n"
    )
    given = json.dumps({name: str(path) for name, path in programs.items()})
    command = [*UNPRIVILEGED, *offline([sys.executable, "-c", text, given])]
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["lo"], 0]
