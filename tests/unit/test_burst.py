"""Burst pools: what a node says of itself is what the autoscaler was told, in both clouds."""

import base64
import json
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import aws_builders
import builders_gcp
import pytest
import yaml
from iam import allows
from pulumi.runtime.rpc import is_rpc_secret
from recording import recorded

from components.aws.burst import AUTOSCALER, TEMPLATE
from components.cluster.nodes import NodePool, Taint
from components.gcp.burst import GPUS, shared_out
from components.gcp.kube_env import VARIABLES, kube_env
from infra.catalog import ACCELERATORS, Absent

BUILDERS = {"aws": aws_builders, "gcp": builders_gcp}
GPU = {"aws": "k8s.amazonaws.com/accelerator", "gcp": "cloud.google.com/gke-accelerator"}
SOLD = [
    (cloud, name, machine)
    for cloud in BUILDERS
    for name, accelerator in ACCELERATORS.items()
    if not isinstance(offered := accelerator.machines(cloud), Absent)
    for machine in offered
]
each_machine = pytest.mark.parametrize(
    ("cloud", "accelerator", "machine"), SOLD, ids=[f"{c}-{m.name}" for c, _, m in SOLD]
)
each_cloud = pytest.mark.parametrize("cloud", BUILDERS)


def pool_of(accelerator: str, gpus: int, shares: int = 1) -> NodePool:
    return NodePool(name="pool", tier="burst", accelerator=accelerator, gpus=gpus, shares=shares)


@cache
def made(cloud: str, accelerator: str = "l4", machine: str = "", gpus: int = 1, **more: Any):
    build, pool = BUILDERS[cloud], pool_of(accelerator, gpus, more.pop("shares", 1))
    changes = {"pool": pool, **more} | ({"machine": machine} if machine else {})
    return recorded(lambda: build.burst_pool(machines=build.machines(**changes)).urn)


def script_of(cloud: str, engine) -> str:
    template = engine.named("pool-l4-template")
    if cloud == "gcp":
        return template["metadata"]["startup-script"]
    return base64.b64decode(template["userData"]).decode()


def flags(script: str) -> dict[str, list[str]]:
    """What k3s is called with, by flag."""
    (call,) = (c for c in script.replace("\\\n", " ").splitlines() if c.startswith("set -- agent"))
    words = shlex.split(call)[3:]
    found: dict[str, list[str]] = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        found.setdefault(name, []).append(value)
    return found


def pairs(values: list[str]) -> dict[str, str]:
    return dict(value.split("=", 1) for value in values)


def variable(text: str, name: str) -> str:
    """As the autoscaler looks for one: an item without "=" fails all that it asks for later."""
    content = yaml.safe_load(text)
    assert all(isinstance(value, str) for value in content.values())
    items = [item.strip(" ").partition("=") for item in content[VARIABLES].split(";")]
    assert all(found for _, found, _ in items), "also for what is not there at all"
    keys = [key.strip(" ") for key, _, _ in items]
    return items[keys.index(name)][2].strip(" \"'")


def test_the_last_variable_has_nothing_behind_it():
    text = made("gcp").named("pool-l4-template")["metadata"]["kube-env"]
    assert not yaml.safe_load(text)[VARIABLES].endswith(";")


def told(cloud: str, engine) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Labels, taints and resources of a node that is not there, as the autoscaler reads them."""
    if cloud == "gcp":
        text = engine.named("pool-l4-template")["metadata"]["kube-env"]
        names = ("node_labels", "node_taints", "extended_resources")
        labels, taints, resources = (pairs(variable(text, n).split(",")) for n in names)
        return labels, taints, resources
    tags = {t["key"]: t["value"] for t in engine.named("pool-l4-group")["tags"]}
    parts = (f"{TEMPLATE}/{kind}/" for kind in ("label", "taint", "resources"))
    labels, taints, resources = (
        {k.removeprefix(p): v for k, v in tags.items() if k.startswith(p)} for p in parts
    )
    assert resources.pop("ephemeral-storage") == "180Gi"
    return labels, taints, resources


@each_machine
def test_a_node_is_what_the_autoscaler_was_told_and_what_the_pool_says(cloud, accelerator, machine):
    engine = made(cloud, accelerator, machine.name, machine.gpus, shares=4)
    pool = pool_of(accelerator, machine.gpus, shares=4)

    labels, taints, resources = told(cloud, engine)
    given = flags(script_of(cloud, engine))
    on_node = pairs(given["--node-label"])
    only_there = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
    assert {k: v for k, v in on_node.items() if k not in only_there} == labels
    assert set(only_there) < set(on_node)
    assert labels.items() > pool.labels.items()
    assert set(labels) - set(pool.labels) == {GPU[cloud], "node.kubernetes.io/instance-type"}
    assert labels["node.kubernetes.io/instance-type"] == machine.name
    assert taints == pairs(given["--node-taint"]) == {t.key: t.text for t in pool.taints}
    assert len(given["--node-taint"]) == len(pool.taints) == 2
    assert resources == dict(pool.resources) == {"nvidia.com/gpu": str(4 * machine.gpus)}


@each_cloud
def test_a_node_joins_by_its_own_identity_with_a_token_from_a_file(cloud):
    engine = made(cloud)
    given = flags(script_of(cloud, engine))

    assert given["--server"] == ["$server"]
    assert given["--token-file"] == ["/etc/rancher/k3s/join-token"]
    assert "--token" not in given
    assert given["--node-name"] == ["$pool-$id"]
    assert "provider-id=$provider" in given["--kubelet-arg"]


@each_cloud
def test_the_token_is_in_the_secret_alone(cloud):
    engine = made(cloud)
    inputs = engine.named("pool-l4-nodes-join-version")

    plain = {r.name: json.dumps(r.inputs, default=str) for r in engine.resources}
    assert [n for n, i in plain.items() if "hunter2joins" in i] == ["pool-l4-nodes-join-version"]
    names = {"aws": ("secretStringWo", "secretString"), "gcp": ("secretDataWo", "secretData")}
    write_only, kept = names[cloud]
    assert is_rpc_secret(inputs[write_only])
    assert kept not in inputs
    assert is_rpc_secret(inputs[f"{write_only}Version"]), "a hash of a secret is one"


SHELLS = ["bash -n", "sh -n"]
LINT = Path(sys.executable).with_name("shellcheck")


@each_cloud
@pytest.mark.parametrize("shell", [*SHELLS, f"{LINT} -s sh -"], ids=["bash", "sh", "shellcheck"])
def test_shells_and_their_critic_take_the_script(cloud, shell):
    command = shlex.split(shell)
    assert shutil.which(command[0])
    done = subprocess.run(
        command, input=script_of(cloud, made(cloud)), text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


STUBS = {
    "curl": """case "$*" in
*api/token*) echo session ;;
*instance-id|*instance/id) echo id-7 ;;
*local-ipv4|*/0/ip) echo 10.64.0.9 ;;
*availability-zone) echo eu-central-1a ;;
*instance/zone) echo projects/1/zones/europe-west3-a ;;
*project-id) echo example-ds ;;
*instance/name) echo pool-l4-x7k2 ;;
*default/token) echo '{"access_token":"pass","expires_in":9}' ;;
*versions/latest:access) printf '{"payload": {\\n "data": "am9pbi1tZQ=="\\n}}' ;;
*) exit 22 ;;
esac""",
    "aws": 'case "$*" in *--secret-id*) echo join-me ;; *) exit 1 ;; esac',
    "k3s": "echo 'k3s version v1.36.2+k3s1 (abc)'",
    "iptables": 'echo "$@" >"$HOME/iptables"',
    "systemd-run": 'printf "%s\\n" "$@" >"$HOME/called"',
    "sleep": "exit 0",
}


def play(cloud: str, tmp_path: Path, **broken: str) -> subprocess.CompletedProcess[str]:
    """The script on a machine of which nothing is real."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, body in {**STUBS, **broken}.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    script = script_of(cloud, made(cloud)).replace("/usr/local/bin/k3s", f"{tools}/k3s")
    script = script.replace("/etc/rancher", str(tmp_path / "rancher"))
    path = f"{tools}:/usr/bin:/bin"
    return subprocess.run(
        ["sh"],
        input=script,
        env={"PATH": path, "HOME": str(tmp_path)},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("cloud", "provider", "zone"),
    [
        ("aws", "aws:///eu-central-1a/id-7", "eu-central-1a"),
        ("gcp", "gce://example-ds/europe-west3-a/pool-l4-x7k2", "europe-west3-a"),
    ],
)
def test_the_script_runs_and_calls_k3s(cloud, provider, zone, tmp_path):
    done = play(cloud, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    called = (tmp_path / "called").read_text().splitlines()
    assert f"provider-id={provider}" in called
    assert f"topology.kubernetes.io/zone={zone}" in called
    assert {"pool-id-7", "10.64.0.9", "https://10.10.0.5:6443"} < set(called)
    assert "join-me" not in "".join(called)
    token = tmp_path / "rancher" / "k3s" / "join-token"
    assert token.read_text() == "join-me"
    assert token.stat().st_mode & 0o077 == 0
    assert "169.254.169.254" in (tmp_path / "iptables").read_text()


@each_cloud
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"curl": "exit 7"}, "the metadata server does not answer"),
        ({"k3s": "echo 'k3s version v1.35.0+k3s1 (a)'"}, "the image has k3s 'v1.35.0+k3s1'"),
        ({"iptables": "exit 4"}, ""),
    ],
    ids=["no metadata", "another k3s", "no wall"],
)
def test_a_machine_that_cannot_join_says_why_and_ends(cloud, broken, said, tmp_path):
    done = play(cloud, tmp_path, **broken)

    assert done.returncode != 0
    assert said in done.stderr
    assert not (tmp_path / "called").exists()


def test_machines_in_aws_start_at_none_and_answer_to_nobody():
    engine = made("aws")
    group, template = engine.named("pool-l4-group"), engine.named("pool-l4-template")

    assert (group["minSize"], group["maxSize"]) == (0, 5)
    assert "desiredCapacity" not in group
    assert engine.requests["pool-l4-group"].ignoreChanges == ["desiredCapacity"]
    assert group["suspendedProcesses"] == ["AZRebalance"]
    assert group["waitForCapacityTimeout"] == "0"
    assert template["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    (interface,) = template["networkInterfaces"]
    assert interface["associatePublicIpAddress"] == "false"
    (disk,) = template["blockDeviceMappings"]
    assert (disk["ebs"]["encrypted"], disk["ebs"]["volumeType"]) == ("true", "gp3")


def test_the_autoscaler_may_scale_the_group_and_no_other():
    tags = {t["key"]: t["value"] for t in made("aws").named("pool-l4-group")["tags"]}
    identity = recorded(lambda: aws_builders.identity(cluster="prod").urn)
    policy = identity.named("identity-autoscaler-access")["policy"]

    facts = {f"aws:ResourceTag/{k}": v for k, v in tags.items() if k.startswith(AUTOSCALER)}
    assert allows(policy, "autoscaling:SetDesiredCapacity", "arn:x", context=facts)
    del facts[f"aws:ResourceTag/{AUTOSCALER}/prod"]
    assert not allows(policy, "autoscaling:SetDesiredCapacity", "arn:x", context=facts)


@pytest.mark.parametrize(("spot", "on_demand"), [(True, 0), (False, 100)])
def test_spot_in_aws_is_spot_alone(spot, on_demand):
    policy = made("aws", spot=spot).named("pool-l4-group")["mixedInstancesPolicy"]

    share = policy["instancesDistribution"]["onDemandPercentageAboveBaseCapacity"]
    assert share == on_demand
    assert policy["launchTemplate"]["overrides"] == [{"instanceType": "g6.xlarge"}]


def test_a_node_in_aws_reads_the_token_pulls_images_and_does_nothing_else():
    engine = recorded(lambda: aws_builders.burst_nodes().urn)
    policy = engine.named("nodes-access")["policy"]
    secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"

    assert allows(policy, "secretsmanager:GetSecretValue", f"{secret}nodes-join-AbCdEf")
    assert not allows(policy, "secretsmanager:GetSecretValue", f"{secret}other-AbCdEf")
    for action in ("secretsmanager:PutSecretValue", "s3:GetObject", "ecr:PutImage"):
        assert not allows(policy, action, f"{secret}nodes-join-AbCdEf")
    assert not allows(policy, "ecr:BatchGetImage", "arn:aws:ecr:eu-central-1:1:repository/other")
    trust = engine.named("nodes-role")["assumeRolePolicy"]
    assert allows(trust, "sts:AssumeRole", principal="ec2.amazonaws.com")
    assert not allows(trust, "sts:AssumeRole", principal="lambda.amazonaws.com")


@pytest.mark.parametrize("spot", [True, False])
def test_machines_in_google_cloud_start_at_none_in_every_zone(spot):
    engine = made("gcp", spot=spot)
    template = engine.named("pool-l4-template")

    groups = engine.of("InstanceGroupManager")
    assert {g["zone"] for g in groups.values()} == {"europe-west3-a", "europe-west3-b"}
    for name, group in groups.items():
        assert group["targetSize"] == 0
        assert engine.requests[name].ignoreChanges == ["targetSize"]
    assert template["metadata"]["block-project-ssh-keys"] == "true"
    assert "accessConfigs" not in template["networkInterfaces"][0]
    assert template["scheduling"]["onHostMaintenance"] == "TERMINATE"
    assert template["scheduling"]["provisioningModel"] == ("SPOT" if spot else "STANDARD")
    assert template["scheduling"].get("instanceTerminationAction") == ("DELETE" if spot else None)
    assert template["shieldedInstanceConfig"]["enableVtpm"] is True


def test_gpus_are_added_only_where_the_machine_has_none():
    added = made("gcp", "t4", "n1-standard-4").named("pool-l4-template")["guestAccelerators"]
    assert added == [{"type": "nvidia-tesla-t4", "count": 1}]
    assert made("gcp").named("pool-l4-template")["guestAccelerators"] == []


def test_google_has_a_name_for_every_gpu_that_it_sells():
    assert set(GPUS) == {a for cloud, a, _ in SOLD if cloud == "gcp"}


def test_a_node_in_google_cloud_reads_the_token_and_pulls_images():
    engine = recorded(lambda: builders_gcp.burst_nodes().urn)

    member = "serviceAccount:spillway-dev-nodes@example-ds.iam.gserviceaccount.com"
    assert engine.named("nodes-reads-join") == {
        "project": "example-ds",
        "secretId": "nodes-join-id",
        "role": "roles/secretmanager.secretAccessor",
        "member": member,
    }
    assert engine.named("nodes-pulls")["role"] == "roles/artifactregistry.reader"
    assert engine.of("IAMMember") == {}


@each_cloud
def test_nodes_are_called_by_the_cluster_alone(cloud):
    engine = recorded(lambda: BUILDERS[cloud].burst_nodes().urn)

    if cloud == "gcp":
        walls = engine.of("Firewall").values()
        assert {r for w in walls for r in w["sourceRanges"]} == {"10.10.0.0/16", "10.96.0.0/20"}
        assert all(w["targetServiceAccounts"] for w in walls)
        ports = {p for w in walls for a in w["allows"] for p in a["ports"]}
        assert ports == {"10250", "8472", "51820-51821"}
    else:
        rules = engine.of("SecurityGroupIngressRule").values()
        assert {r.get("cidrIpv4") for r in rules} == {"10.10.0.0/16", None}
        assert all("cidrIpv4" in r or r["referencedSecurityGroupId"] for r in rules)
        assert {r["fromPort"] for r in rules} == {10250, 8472, 51820}


@pytest.mark.parametrize(
    ("most", "expected"),
    [(5, {"a": 3, "b": 2}), (8, {"a": 4, "b": 4}), (1, {"a": 1})],
)
def test_all_zones_together_have_no_more_than_the_pool(most, expected):
    assert shared_out(most, ["a", "b"]) == expected


@pytest.mark.parametrize(
    ("labels", "taints", "said"),
    [
        ({"a": "b;c"}, [], "part values"),
        ({"a": "b,c"}, [], "part values"),
        ({}, [Taint(key="a", value="b")] * 2, "one taint"),
    ],
)
def test_what_the_autoscaler_would_read_otherwise_is_refused(labels, taints, said):
    with pytest.raises(ValueError, match=said):
        kube_env(labels, taints, {})
