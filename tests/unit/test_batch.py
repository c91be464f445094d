"""What is declared for a table that is scored: its Job or its schedule, and what its pod may."""

import json
from typing import Any

import builders
import pulumi
import pytest
from recording import recorded

from components.cluster.gpu_pods import Gpus
from infra import cron, stack
from rig import images

NIGHTLY = "0 3 * * *"
TRACKED = "models:/iris/7"
IN_BUCKET = "s3://tenant-vision/models/iris"


def declared(storage: Any = builders.storage, **changes: Any) -> Any:
    return recorded(lambda: builders.batch(storage=storage(), **changes).urn)


def job(**changes: Any) -> dict[str, Any]:
    return declared(**changes).named("nightly-job")


def cron_job(**changes: Any) -> dict[str, Any]:
    return declared(schedule=NIGHTLY, **changes).named("nightly-schedule")


def pod(**changes: Any) -> dict[str, Any]:
    return job(**changes)["spec"]["template"]["spec"]


def scorer(**changes: Any) -> dict[str, Any]:
    (container,) = pod(**changes)["containers"]
    return container


# -- pods -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [TRACKED, IN_BUCKET])
@pytest.mark.parametrize("storage", [builders.storage, builders.cloud_storage])
def test_every_container_is_restricted_and_mounts_what_there_is(model, storage):
    spec = pod(model=model, storage=storage)

    assert spec["securityContext"]["runAsNonRoot"] is True
    for container in [*spec["initContainers"], *spec["containers"]]:
        security = container["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["resources"]["limits"].keys() == {"memory"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in spec["volumes"]}
    names = [volume["name"] for volume in spec["volumes"]]
    assert len(names) == len(set(names))
    assert all(v["emptyDir"]["sizeLimit"] for v in spec["volumes"] if "emptyDir" in v)


def test_the_model_has_the_tenants_bucket_and_no_token_of_the_cluster():
    spec = pod()
    (fetcher,), (main,) = spec["initContainers"], spec["containers"]

    assert spec["serviceAccountName"] == "job"
    assert spec["automountServiceAccountToken"] is False
    assert fetcher["args"] == [TRACKED, "/mnt/models"]
    assert "identity" in {mount["name"] for mount in fetcher["volumeMounts"]}
    assert {mount["name"] for mount in main["volumeMounts"]} == {"model", "tmp"}
    assert main["envFrom"] == [{"secretRef": {"name": "storage"}}]
    env = {e["name"]: e["value"] for e in main["env"]}
    assert env == {
        "AWS_ENDPOINT_URL_S3": "http://object-store.spillway.svc:9000",
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.parametrize("model", [TRACKED, "gs://artifacts/tenants/vision/iris"])
def test_in_a_cloud_it_is_who_the_pod_is_that_opens_the_bucket(model):
    main = scorer(model=model, storage=builders.cloud_storage)

    assert "login" in {mount["name"] for mount in main["volumeMounts"]}
    assert {e["name"] for e in main["env"]} >= {
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_APPLICATION_CREDENTIALS",
    }
    assert "envFrom" not in main


def test_it_scores_what_was_said_with_the_model_that_was_fetched():
    main = scorer()

    assert main["command"] == ["/opt/model-server/bin/python", "-m", "spillway_batch"]
    assert main["args"] == [
        "/mnt/models",
        "s3://tenant-vision/in/",
        "s3://tenant-vision/scored/",
        "--model",
        TRACKED,
        "--name",
        "nightly",
    ]


def test_policies_of_the_tenant_know_its_pods_and_no_server_of_models_is_among_them():
    labels = job()["spec"]["template"]["metadata"]["labels"]

    assert labels["spillway.dev/role"] == "job"
    assert labels["app.kubernetes.io/instance"] == "nightly"


# -- GPUs -----------------------------------------------------------------------------------------

QUEUED = {"kueue.x-k8s.io/queue-name": "default", "kueue.x-k8s.io/priority-class": "job"}
FOUR = Gpus(accelerator="a100-80gb", count=4)


def test_a_job_with_gpus_waits_in_its_teams_queue_and_its_pods_do_not_once_more():
    made, scheduled = job(gpus=FOUR), cron_job(gpus=FOUR)["spec"]["jobTemplate"]

    for owner in (made, scheduled):
        assert owner["metadata"]["labels"].items() >= QUEUED.items()
        assert not QUEUED.keys() & owner["spec"]["template"]["metadata"]["labels"].keys()
    assert not QUEUED.keys() & cron_job(gpus=FOUR)["metadata"]["labels"].keys()


def test_what_scores_asks_for_gpus_on_machines_that_have_enough():
    spec = pod(gpus=FOUR)
    (fetcher,), (main,) = spec["initContainers"], spec["containers"]

    assert main["resources"]["limits"]["nvidia.com/gpu"] == "4"
    assert main["resources"]["requests"]["nvidia.com/gpu"] == "4"
    assert "nvidia.com/gpu" not in json.dumps(fetcher)
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchExpressions"] == [
        {"key": "spillway.dev/accelerator", "operator": "In", "values": ["a100-80gb"]},
        {"key": "spillway.dev/gpus", "operator": "Gt", "values": ["3"]},
    ]
    assert "tolerations" not in spec


def test_a_job_without_gpus_says_nothing_of_them():
    for made in (job(), cron_job()):
        text = json.dumps(made)
        assert not [word for word in ("kueue", "nvidia", "affinity") if word in text]


# -- once -----------------------------------------------------------------------------------------


def test_an_up_does_not_wait_for_hours():
    assert job()["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}


def test_a_job_is_tried_again_but_not_where_that_is_hopeless():
    spec = job()["spec"]

    assert spec["backoffLimit"] == 5
    assert "ttlSecondsAfterFinished" not in spec
    assert "activeDeadlineSeconds" not in spec
    hopeless, disrupted = spec["podFailurePolicy"]["rules"]
    assert hopeless == {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}}
    assert disrupted["action"] == "Ignore"
    # The API server takes a policy on failures with this alone.
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_two_pods_never_write_to_one_output():
    engine = declared()

    assert engine.named("nightly-job")["spec"]["podReplacementPolicy"] == "Failed"
    assert engine.requests["nightly-job"].deleteBeforeReplace
    assert cron_job()["spec"]["concurrencyPolicy"] == "Forbid"


@pytest.mark.parametrize(
    "changes",
    [{"model": "models:/iris/8"}, {"output": "s3://tenant-vision/o"}, {"memory": "2Gi"}],
    ids=str,
)
def test_another_job_has_another_name_and_the_same_one_the_same(changes):
    before, again, after = (m["metadata"]["name"] for m in (job(), job(), job(**changes)))

    assert before == again
    assert before.startswith("nightly-")
    assert before != after


@pytest.mark.parametrize("name", ["", "n" * 31])
def test_a_name_that_does_not_fit_is_refused(name):
    with pytest.raises(ValueError, match="1 to 30 characters"):
        recorded(lambda: builders.batch(batch=name).urn)


# -- by a schedule --------------------------------------------------------------------------------


def test_a_schedule_runs_the_same_job_one_at_a_time():
    made = cron_job()
    spec = made["spec"]

    assert made["metadata"]["name"] == "nightly"
    assert (spec["schedule"], spec["timeZone"]) == (NIGHTLY, "Etc/UTC")
    assert spec["startingDeadlineSeconds"] == 3600
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)
    assert spec["jobTemplate"]["spec"] == job()["spec"]
    assert declared(schedule=NIGHTLY).of("Job") == {}


@pytest.mark.parametrize(
    "expression",
    [
        NIGHTLY,
        "*/15 * * * *",
        "0,30 9-17 1-7 jan,JUL mon-fri",
        "59 23 31 12 6",
        "5/10 0-23/2 ? * ?",
        "0  3 * * *",
    ],
)
def test_what_the_cluster_takes_for_a_schedule_is_one(expression):
    assert cron.schedule(expression) == expression


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "@daily",
        "TZ=Europe/Berlin 0 3 * * *",
        "0 3 * *",
        "0 3 * * * *",
        "60 3 * * *",
        "0 24 * * *",
        "0 3 0 * *",
        "0 3 * 13 *",
        "0 3 * * 7",
        "0 3 * * mon-sun",
        "0 3 * feb-jan *",
        "jan 3 * * *",
        "*/0 * * * *",
        "*-5 * * * *",
        "1,,2 * * * *",
        "-1 * * * *",
        "\u0663 * * * *",
    ],
)
def test_what_the_cluster_would_refuse_is_no_schedule(expression):
    with pytest.raises(ValueError, match=r"."):
        cron.schedule(expression)


# -- the stack ------------------------------------------------------------------------------------

BATCH = {
    "tenant": "vision",
    "model": TRACKED,
    "input": "s3://tenant-vision/in/",
    "output": "s3://tenant-vision/scored/",
}


def run(resolve: Any, **batch: Any) -> None:
    config = builders.stack_config("dev")
    del config["spillway:domain"]
    config["spillway:batch"] = json.dumps({"nightly": {**BATCH, **batch}})
    pulumi.runtime.set_all_config(config, [])
    resolve(stack.assemble)


def test_a_table_is_scored_in_a_stack_without_models_and_without_a_door(engine, resolve):
    run(resolve)

    made = engine.named("batch-nightly-job")
    assert made["metadata"]["namespace"] == "vision"
    (main,) = made["spec"]["template"]["spec"]["containers"]
    assert main["image"].startswith("localhost/spillway/model-server:")
    assert main["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert not [r.name for r in engine.resources if r.name.startswith(("seldon", "front-door"))]


def test_a_schedule_and_resources_are_the_stack_files(engine, resolve):
    run(resolve, schedule=NIGHTLY, resources={"cpu": 2, "memory": "4Gi"})

    spec = engine.named("batch-nightly-schedule")["spec"]["jobTemplate"]["spec"]
    (main,) = spec["template"]["spec"]["containers"]
    assert main["resources"]["requests"] == {"cpu": "2000m", "memory": "4Gi"}


def test_gpus_and_what_uses_them_are_the_stack_files(engine, resolve):
    config = builders.stack_config("dev")
    pools = json.loads(builders.stack_config("prod")["spillway:cluster"])["pools"]
    cluster = json.loads(config["spillway:cluster"]) | {"pools": {"a100": pools["a100"]}}
    tenants = json.loads(config["spillway:tenants"])
    tenants["vision"]["quota"]["gpu"] = {"onprem": 2}
    gpu = {"accelerator": "a100-80gb", "count": 2, "image": "example.com/model-server:gpu"}
    config |= {
        "spillway:cluster": json.dumps(cluster),
        "spillway:tenants": json.dumps(tenants),
        "spillway:batch": json.dumps({"nightly": {**BATCH, "gpu": gpu}}),
    }
    del config["spillway:domain"]
    pulumi.runtime.set_all_config(config, [])
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("chart", "manifest"):
            patch.setattr(f"infra.charts.{kind}", lambda _: builders.ROLE)
        patch.setattr(
            "components.cluster.queue.definition", lambda name, *given: _plain(name, given)
        )
        resolve(stack.assemble)

    made = engine.named("batch-nightly-job")
    (main,) = made["spec"]["template"]["spec"]["containers"]
    assert made["metadata"]["labels"].items() >= QUEUED.items()
    assert main["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert main["image"] == "example.com/model-server:gpu"


def _plain(name: str, given: tuple[Any, ...]) -> pulumi.Resource:
    return builders.k8s.core.v1.ConfigMap(
        name, metadata={"labels": builders.labels("test", name, "definition")}, opts=given[-1]
    )


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({}, False),
        ({"spillway:models": {"iris": {}}}, False),
        ({"spillway:models": {"iris": {}}, "spillway:domain": "ds.example.com"}, True),
        ({"spillway:batch": {"nightly": BATCH}}, True),
        ({"spillway:batch": {"nightly": BATCH}, "spillway:login": {"provider": "dummy"}}, True),
    ],
    ids=["nothing", "models without a door", "models", "a batch", "a batch beside notebooks"],
)
def test_the_images_of_models_are_built_for_those_who_run_models(settings, needed):
    found = [image for image in images.wanted(settings) if isinstance(image, str)]

    assert (set(images.serving_images()) <= set(found)) is needed
    assert len(found) == len(set(found))
