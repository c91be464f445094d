"""All that the platform makes of GPUs, on one fleet: whose machine it gets, and what people see.

The objects are the platform's own, from the code that makes them for a stack; Kueue and Cluster
Autoscaler are real. What programs make elsewhere is put together here as they do: the operator's
Deployment of a model, KubeSpawner's pod of a notebook, Spark's pod of an executor.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import builders
import pytest
import yaml
from hub_code import profiles as hub_profiles
from hub_code import queues as hub_queues
from hub_code import told as hub_told
from hub_code import waiting
from played import FLAGS, NODES, SECONDS, await_rented
from recording import recorded
from test_hub_code import DOCUMENT, profile, team
from test_spark_login import FOLDER, POD, SPARK

from components.cluster.gpu_pods import Gpus
from components.cluster.nodes import GPU, POOL_LABEL, NodePool
from infra import settings as stack_settings
from infra.people import Tenant
from infra.sections import Cluster
from rig import paths
from rig.control_plane.api import Api
from rig.errors import RigError
from rig.facts import Live
from rig.node.machine import wait_for
from rig.simulation import Fleet, Group
from rig.simulation.stages import WORK
from rig.simulation.stand import CONTEXT, standing
from rig.simulation.work import IMAGE, RESTRICTED
from rig.status import report
from rig.status.summary import Status

RENTED = NodePool(name="rented", tier="burst", accelerator="l4", gpus=1)
POOLS = {
    "own": {"tier": "onprem", "nodes": ["own-0"], "accelerator": "l4"},
    "rented": {"tier": "burst", "accelerator": "l4", "maxNodes": 5},
}
TENANTS = {
    "vision": {"members": ["a@example.com"], "quota": {"gpu": {"onprem": 1, "burst": 3}}},
    "speech": {"members": ["b@example.com"], "quota": {"gpu": {"onprem": 0, "burst": 1}}},
}
CONFIG = {
    "spillway:protect": False,
    "spillway:cluster": {"pools": POOLS},
    "spillway:tenants": TENANTS,
}
JOBS = "/apis/batch/v1/namespaces/vision/jobs"
MODELS = "/apis/apps/v1/namespaces/vision/deployments"
L4 = Gpus(accelerator="l4")
Object = dict[str, Any]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """With one GPU of the company's, and five that a cloud makes when they are wanted."""
    with standing(tmp_path_factory.mktemp("fleet"), CONFIG) as fleet:
        fleet.start_autoscaler([Group(pool=RENTED, most=5, boot_seconds=6)], FLAGS, factor=20)
        for account in ("model", "job"):
            path = "/api/v1/namespaces/vision/serviceaccounts"
            fleet.api.create(path, {"metadata": {"name": account}})
        yield fleet


# -- as it is made --------------------------------------------------------------------------------


def whole(value: Any) -> Any:
    """The engine's numbers are all floats."""
    if isinstance(value, dict):
        return {key: whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def model() -> Object:
    """The Deployment that the operator makes of a model's version."""
    made = whole(recorded(lambda: builders.model(gpus=L4).urn).named("iris-serving"))
    (predictor,) = made["spec"]["predictors"]
    (component,) = predictor["componentSpecs"]
    labels = component["metadata"]["labels"]
    template = {"metadata": {"labels": labels}, "spec": component["spec"]}
    return {
        "metadata": {"name": "iris"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def batch(name: str) -> Object:
    made = whole(recorded(lambda: builders.batch(gpus=L4).urn).named("nightly-job"))
    # How long it is played to work.
    made["spec"]["template"]["metadata"].setdefault("annotations", {})[WORK] = "3600s"
    return {"metadata": {**made["metadata"], "name": name}, "spec": made["spec"]}


def notebook(name: str) -> Object:
    found = hub_profiles.size(told().profiles["gpu"])
    container = {
        "name": "notebook",
        "image": IMAGE,
        "securityContext": dict(RESTRICTED),
        "resources": {"limits": found["extra_resource_limits"]},
    }
    return {
        "metadata": {
            "name": name,
            "labels": found["extra_labels"],
            "annotations": found["extra_annotations"],
        },
        "spec": {
            "containers": [container],
            "nodeSelector": found["node_selector"],
            "affinity": {
                "podAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": found[
                        "pod_affinity_preferred"
                    ]
                }
            },
        },
    }


def executor(driver: Object) -> Object:
    """What Spark adds to the template, from what it is told in the notebook."""
    conf = SPARK["gpu_conf"]({"SPILLWAY_SPARK_GPUS": '{"l4": 1}'}, 1, "l4")
    said = SPARK["spark_conf"](POD, "vision", conf)

    def of(kind: str) -> dict[str, str]:
        start = f"spark.kubernetes.executor.{kind}."
        return {k.removeprefix(start): v for k, v in said.items() if k.startswith(start)}

    pod = yaml.safe_load(SPARK["executor_pod"]((FOLDER / "executor.yaml").read_text(), None, 1))
    pod["metadata"] |= {
        "name": "exec-1",
        "labels": {**pod["metadata"]["labels"], **of("label")},
        "annotations": of("annotation"),
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": driver["metadata"]["name"],
                "uid": driver["metadata"]["uid"],
                "controller": True,
            }
        ],
    }
    pod["spec"]["nodeSelector"] = of("node.selector")
    pod["spec"]["containers"][0] |= {
        "image": IMAGE,
        "resources": {"limits": {GPU: said["spark.executor.resource.gpu.amount"]}},
    }
    return pod


# -- what is looked at ----------------------------------------------------------------------------


def told() -> Any:
    """What the hub knows of the stack."""
    own = {"accelerator": "l4", "title": "L4", "burst": False, "gpus": 1, "each": 1}
    rented = {**own, "burst": True, "gpus": 5, "price": 0.8048}
    gpus = {"vision": {"own": 1, "rented": 3}, "speech": {"own": 0, "rented": 1}}
    document = {
        **DOCUMENT,
        "profiles": {"gpu": profile(accelerator="l4")},
        "tenants": {name: team(name, profiles=["gpu"], gpus=gpus[name]) for name in TENANTS},
        "pools": {"own": own, "rented": rented},
    }
    return hub_told.parse(json.dumps(document))


def pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def pool_of(api: Api, namespace: str, selector: str = "", name: str = "") -> str:
    """Which pool a pod with these labels, or of this name, has got a machine of."""

    def node() -> str | None:
        found = api.get(f"{pods(namespace)}?labelSelector={selector}")["items"]
        named = [pod for pod in found if name in ("", pod["metadata"]["name"])]
        return next((n for pod in named if (n := pod["spec"].get("nodeName"))), None)

    found = wait_for(node, SECONDS, f"a machine for {selector or name}")
    return api.get(f"{NODES}/{found}")["metadata"]["labels"][POOL_LABEL]


@dataclass(frozen=True)
class HubsWay:
    """How the hub asks the API server, with its client's words."""

    api: Api

    async def list_namespaced_custom_object(self, *where: str, **_: Any) -> Any:
        return self.api.get("/apis/{}/{}/namespaces/{}/{}".format(*where))

    async def get_namespaced_custom_object(self, *where: str, **_: Any) -> Any:
        return self.api.get("/apis/{}/{}/namespaces/{}/{}/{}".format(*where))


def sentence(api: Api, space: str, name: str) -> str:
    """What the person who waits for this server is told on the page."""
    queues, way = hub_queues.Queues(), HubsWay(api)
    events = f"/api/v1/namespaces/{space}/events?fieldSelector=involvedObject.name%3D{name}"
    seen = waiting.Seen(
        pod=api.get(f"{pods(space)}/{name}"),
        workloads=asyncio.run(queues.workloads(way, space)),
        events=api.get(events)["items"],
        used=asyncio.run(queues.used(way, list(TENANTS))),
    )
    return waiting.sentence(seen, told(), space)


def await_word(api: Api, space: str, name: str, words: str) -> None:
    try:
        wait_for(lambda: words in sentence(api, space, name) or None, SECONDS, words)
    except RigError as error:
        raise AssertionError(f"{name} is told: {sentence(api, space, name)}") from error


def status(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Status:
    """What ``make status`` finds out with kubectl."""
    monkeypatch.setenv("KUBECONFIG", str(fleet.plane.kubeconfig))
    own = stack_settings.read(paths.ROOT / "Pulumi.prod.yaml")
    cluster = Cluster.model_validate({"pools": POOLS, "context": CONTEXT})
    tenants = {name: Tenant.model_validate(tenant) for name, tenant in TENANTS.items()}
    settings = own.model_copy(update={"cluster": cluster, "tenants": tenants})
    return report.status("prod", settings, Live(), datetime.now(UTC))


# -- the story ------------------------------------------------------------------------------------


def test_all_of_it_gets_own_machines_first_and_then_a_clouds(fleet, monkeypatch):
    api = fleet.api
    api.create(MODELS, model())
    assert pool_of(api, "vision", "spillway.dev/role%3Dmodel") == "own"
    api.create(JOBS, batch("nightly"))
    ada = api.create(pods("vision"), notebook("ada"))
    await_word(api, "vision", "ada", "a cloud L4 (about $0.80/h) is starting")
    assert pool_of(api, "vision", "job-name%3Dnightly") == "rented"
    assert pool_of(api, "vision", name="ada") == "rented"
    api.create(pods("vision"), executor(ada))
    assert pool_of(api, "vision", name="exec-1") == "rented"

    found = status(fleet, monkeypatch)
    assert sorted((work.what, *work.pools) for work in found.running) == [
        ("Spark", "rented"),
        ("job", "rented"),
        ("model", "own"),
        ("notebook", "rented"),
    ]
    assert [(pool.name, pool.gpus_used, pool.nodes_ready) for pool in found.pools] == [
        ("own", 1, 1),
        ("rented", 3, 3),
    ]
    assert found.waiting == ()


def test_who_waits_is_told_why_and_so_is_who_runs_the_platform(fleet, monkeypatch):
    api = fleet.api
    api.create(pods("speech"), notebook("bob"))
    assert pool_of(api, "speech", name="bob") == "rented"
    api.create(pods("speech"), notebook("cy"))
    await_word(
        api,
        "speech",
        "cy",
        "Queued: you are the next of your team. The company's only L4 is in use; your team holds "
        "the one cloud L4 that it may: it must end first",
    )

    found = status(fleet, monkeypatch)
    (waits,) = found.waiting
    assert (waits.tenant, waits.what, waits.name, waits.gpus) == ("speech", "notebook", "cy", 1)
    assert waits.reason
    assert {tenant.name: tenant.waiting for tenant in found.tenants} == {"vision": 0, "speech": 1}


def test_a_notebook_comes_before_a_job_and_puts_out_none_of_a_clouds(fleet, monkeypatch):
    api = fleet.api
    before = status(fleet, monkeypatch).running
    api.create(JOBS, batch("later"))
    api.create(pods("vision"), notebook("dee"))
    await_word(
        api,
        "vision",
        "dee",
        "Queued: you are the next of your team. The company's only L4 is in use; your team holds "
        "all 3 of the cloud L4 that it may: one must end first",
    )
    found = status(fleet, monkeypatch)
    assert [w.name for w in found.running] == [w.name for w in before]
    assert [w.name for w in found.waiting if w.tenant == "vision"] == ["dee", "later"]

    api.delete(f"{JOBS}/nightly?propagationPolicy=Background")
    assert pool_of(api, "vision", name="dee") == "rented"
    assert "later" in {work.name for work in status(fleet, monkeypatch).waiting}


def test_only_when_its_team_may_have_no_more_of_a_cloud_a_notebook_takes_a_jobs_own_machine(
    fleet, monkeypatch
):
    api = fleet.api
    api.delete(f"{MODELS}/iris")
    assert pool_of(api, "vision", "job-name%3Dlater") == "own"
    api.create(pods("vision"), notebook("fay"))
    assert pool_of(api, "vision", name="fay") == "own"
    found = status(fleet, monkeypatch)
    assert [work.name for work in found.waiting if work.tenant == "vision"] == ["later"]


def test_the_cloud_is_empty_when_all_of_it_has_ended(fleet):
    api = fleet.api
    for path in (
        f"{JOBS}/later?propagationPolicy=Background",
        # Its executor goes with it.
        *(f"{pods('vision')}/{name}" for name in ("ada", "dee", "fay")),
        *(f"{pods('speech')}/{name}" for name in ("bob", "cy")),
    ):
        api.delete(path)
    await_rented(api, 0)
