"""Spark's executors with GPUs: what the team may hold, in its queue, on machines that fit."""

import json
import os
import subprocess
from typing import Any

import builders
import pytest
import yaml
from hub_code import profiles as hub_profiles
from hub_code import told as hub_told
from recording import recorded
from test_profiles import load, tenants
from test_spark_login import FOLDER, POD, SPARK, settled

from components.cluster import gpu_pods
from components.cluster.gpu_pods import Gpus
from components.cluster.queue import GATE, LOCAL_QUEUE, PARENT_ANNOTATION, PRIORITY_LABEL
from components.pods import camel
from infra.profiles import widest

KNOWN = {"a100-80gb": 8, "l4": 1}
TOLD = {"SPILLWAY_SPARK_GPUS": json.dumps(KNOWN)}
LABEL = "spark.kubernetes.executor.label."


def conf(gpus: int, accelerator: str | None = None, **environ: str) -> dict[str, str]:
    wanted = SPARK["gpu_conf"]({**TOLD, **environ}, gpus, accelerator)
    return SPARK["spark_conf"](POD, "vision", wanted)


def refused(gpus: int, accelerator: str | None = None, **environ: str) -> str:
    with pytest.raises(RuntimeError) as error:
        conf(gpus, accelerator, **environ)
    # What IPython shows in place of a traceback.
    (line,) = error.value._render_traceback_()
    assert "\n" not in line
    return line


# -- what Spark is told ---------------------------------------------------------------------------


def test_executors_ask_for_gpus_and_each_task_has_one():
    found = conf(4, "a100-80gb")

    assert found["spark.executor.resource.gpu.amount"] == "4"
    assert found["spark.executor.resource.gpu.vendor"] == "nvidia.com"
    assert found["spark.executor.resource.gpu.discoveryScript"] == "/opt/spillway/gpus"
    assert found["spark.task.resource.gpu.amount"] == "1"
    assert found["spark.kubernetes.executor.node.selector.spillway.dev/accelerator"] == "a100-80gb"


def test_they_wait_in_the_queue_with_the_same_labels_as_jobs():
    found = conf(1, "l4")

    queued = gpu_pods.queued(Gpus(accelerator="l4"), "job")
    assert {name: found[f"{LABEL}{name}"] for name in queued} == queued
    assert queued["kueue.x-k8s.io/queue-name"] == LOCAL_QUEUE


def test_the_queue_does_not_take_them_for_a_part_of_the_notebook():
    """Spark names the notebook's pod as their controller: Kueue's FindAncestorJobManagedByKueue."""
    found = conf(1, "l4")

    assert found[f"spark.kubernetes.executor.annotation.{PARENT_ANNOTATION}"] == "spark"
    assert found[f"{LABEL}kueue.x-k8s.io/managed"] == "true"


def test_executors_without_gpus_say_nothing_of_them():
    assert conf(0) == SPARK["spark_conf"](POD, "vision", {})
    assert not [name for name in conf(0) if "gpu" in name or "kueue" in name]


def test_the_only_kind_needs_no_name():
    one = {"SPILLWAY_SPARK_GPUS": '{"l4": 2}'}

    assert conf(2, **one)["spark.kubernetes.executor.node.selector.spillway.dev/accelerator"] == (
        "l4"
    )


@pytest.mark.parametrize(
    ("gpus", "accelerator", "said"),
    [
        (1, "rtx", "'rtx': accelerator must be one of a100-80gb (at most 8 an executor), l4"),
        (1, None, "accelerator must be one of a100-80gb"),
        (2, "l4", "executors with 2 GPUs l4: there are a100-80gb (at most 8 an executor), l4 (at"),
        (-1, "l4", "executors with -1 GPUs l4"),
    ],
)
def test_what_there_is_not_is_one_line_that_names_what_there_is(gpus, accelerator, said):
    assert said in refused(gpus, accelerator)


@pytest.mark.parametrize("told", ["", "{}"])
def test_a_team_without_gpus_is_told_so(told):
    assert "your team has none" in refused(1, "l4", SPILLWAY_SPARK_GPUS=told)


# -- the pod --------------------------------------------------------------------------------------


def executor(login: str | None = None, gpus: int = 0) -> dict[str, Any]:
    template = (FOLDER / "executor.yaml").read_text()
    return yaml.safe_load(SPARK["executor_pod"](template, login, gpus))


def test_the_queue_passes_over_machines_that_have_fewer():
    pod = executor(gpus=4)

    models = gpu_pods.placed({"containers": []}, Gpus(accelerator="l4", count=4))
    required = "required_during_scheduling_ignored_during_execution"
    (wanted,) = models["affinity"]["node_affinity"][required]["node_selector_terms"]
    affinity = pod["spec"].pop("affinity")
    (term,) = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert affinity["podAffinity"] == camel(models["affinity"]["pod_affinity"])
    assert term["matchExpressions"] == wanted["match_expressions"][1:]
    assert pod == executor()
    assert "tolerations" not in pod["spec"]


def test_with_gpus_it_still_logs_in_to_a_cloud():
    login = json.dumps({"volumes": [{"name": "login"}], "mounts": [{"name": "login"}]})
    pod = executor(login, 1)

    assert {"name": "login"} in pod["spec"]["volumes"]
    assert pod["spec"].keys() - executor(login)["spec"].keys() == {"affinity"}


def test_it_says_which_gpus_it_has_as_spark_reads_it(tmp_path):
    driver = tmp_path / "nvidia-smi"
    driver.write_text(
        '#!/bin/sh\n[ "$*" = "--query-gpu=index --format=csv,noheader" ] && seq 0 2\n'
    )
    driver.chmod(0o755)

    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([FOLDER / "gpus"], env={"PATH": path}, check=True, capture_output=True)
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": ["0", "1", "2"]}


def test_without_a_driver_there_is_an_error_and_no_empty_list(tmp_path):
    for tool in ("sed", "paste", "sh"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    done = subprocess.run(
        [FOLDER / "gpus"], env={"PATH": str(tmp_path)}, check=False, capture_output=True
    )

    assert done.returncode != 0
    assert done.stdout == b""


def test_the_image_has_what_spark_is_told_of():
    (line,) = [
        line for line in (FOLDER / "Dockerfile").read_text().splitlines() if " gpus " in line
    ]

    assert line.startswith("COPY --chmod=0755 ")
    assert SPARK["DISCOVERY"] == f"{line.split()[-1]}gpus"


# -- who tells it ---------------------------------------------------------------------------------


def test_a_server_with_spark_is_told_what_the_team_may_hold():
    made = recorded(
        lambda: builders.jupyterhub(teams={"vision": builders.team(spark_gpus=KNOWN)}).urn
    )
    document = made.named("jupyterhub-told")["data"]["hub.json"]
    tenant = hub_told.parse(document).tenants["vision"]

    # KubeSpawner formats each variable: single braces would be names that it does not know.
    told = settled(tenant, spark=True)["SPILLWAY_SPARK_GPUS"].format(username="ada")
    assert json.loads(told) == KNOWN
    assert "SPILLWAY_SPARK_GPUS" not in settled(tenant, spark=False)


def test_a_team_without_gpus_is_told_of_none():
    document = recorded(lambda: builders.jupyterhub().urn).named("jupyterhub-told")["data"]
    tenant = hub_told.parse(document["hub.json"]).tenants["vision"]

    assert "SPILLWAY_SPARK_GPUS" not in settled(tenant, spark=True)


@pytest.mark.parametrize(
    ("gpu", "found"),
    [
        ({}, {}),
        ({"onprem": 4, "burst": 2}, {"a100-80gb": 4, "l4": 1}),
        ({"onprem": 12}, {"a100-80gb": 8}),
        ({"burst": 2}, {"l4": 1}),
    ],
)
def test_one_pod_has_no_more_than_a_machine_or_the_team(gpu, found, engine):
    file = load(tenants=tenants(**gpu))

    assert widest(file, file.tenants["vision"]) == found


def test_gpus_of_a_cloud_that_was_not_chosen_are_none(engine):
    file = load(tenants=tenants(onprem=1, burst=2), cloud="none")

    assert widest(file, file.tenants["vision"]) == {"a100-80gb": 1}


# -- who lets it through --------------------------------------------------------------------------


def expressions(build: Any, policy: str) -> dict[str, str]:
    spec = recorded(lambda: build().urn).named(policy)["spec"]
    return {v["message"]: v["expression"] for v in spec["validations"]}


def said_of(found: dict[str, str], *words: str) -> str:
    (expression,) = [e for m, e in found.items() if all(word in m for word in words)]
    return expression


def test_who_asks_for_a_gpu_is_held_by_the_queue_whoever_owns_it():
    found = expressions(builders.spend_guard, "spend-guard-pods-policy")

    held = said_of(found, "spec.schedulingGates", PARENT_ANNOTATION)
    assert f"schedulingGates.orValue([]).exists(g, g.name == '{GATE}')" in held
    named = said_of(found, "names a queue")
    for expression in (held, named):
        assert expression.startswith("request.operation != 'CREATE' || !")
        assert "object.spec.containers.all(c, " in expression
        assert "object.spec.?initContainers.orValue([]).all(c, " in expression
        assert expression.count("startsWith('nvidia.com/')") == 4
        # Its pods are of Jobs, which are held as a whole.
        assert expression.endswith("system:serviceaccount:kube-system:job-controller'")


@pytest.mark.parametrize(
    ("policy", "priority"), [("guard-pods-policy", "job"), ("guard-models-policy", "serving")]
)
def test_nobody_takes_the_turn_of_another(policy, priority):
    expression = said_of(expressions(builders.guard, policy), PRIORITY_LABEL)

    wanted = f"labels[?'{PRIORITY_LABEL}'].orValue('{priority}') == '{priority}'"
    assert wanted in expression


def test_a_teams_own_deployment_with_gpus_names_a_queue():
    expression = said_of(expressions(builders.guard, "guard-models-policy"), "names a queue")

    assert "q.?metadata.?labels[?'kueue.x-k8s.io/queue-name'].hasValue() || " in expression
    assert "s.containers.all(c, " in expression
    assert "s.?initContainers.orValue([]).all(c, " in expression


def test_what_models_and_executors_say_is_what_the_guards_take():
    assert gpu_pods.queued(Gpus(accelerator="l4"), "serving")[PRIORITY_LABEL] == "serving"
    assert conf(1, "l4")[f"{LABEL}{PRIORITY_LABEL}"] == "job"


def test_the_hub_and_the_stack_mean_the_same_queue_and_machines():
    profile = {"title": "", "description": "", "cpu": 1, "memory": "1Gi", "accelerator": "l4"}
    notebook = hub_profiles.size(hub_told.Profile(**profile))

    stack = gpu_pods.queued(Gpus(accelerator="l4"), "serving")
    assert notebook["extra_labels"].keys() >= stack.keys()
    assert notebook["extra_labels"]["kueue.x-k8s.io/queue-name"] == LOCAL_QUEUE
    assert notebook["extra_resource_limits"] == gpu_pods.resources(Gpus(accelerator="l4"))
    assert notebook["node_selector"] == {"spillway.dev/accelerator": "l4"}
