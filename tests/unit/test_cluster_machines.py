"""Who makes and ends machines, who tells their GPUs, and what the company's own are called."""

import re

import builders
import pytest
import yaml
from recording import recorded

from components.cluster.autoscaler import PROVISION_SECONDS, ScaledPool, priorities
from components.cluster.devices import configuration
from components.cluster.nodes import BURST_TAINT, GPU, NodePool
from components.cluster.queue import READY_SECONDS
from components.cluster.reaper import SILENT_SECONDS
from infra import catalog, settings, spawn_page
from infra.machines import price
from infra.people import Tenant
from infra.pools import node_pool
from infra.profiles import widest
from infra.sections import Pool


def flags(**changes) -> list[str]:
    (deployment,) = recorded(lambda: builders.autoscaler(**changes).urn).of("Deployment").values()
    return deployment["spec"]["template"]["spec"]["containers"][0]["args"]


def test_it_scales_every_group_from_none_to_its_most():
    assert [f for f in flags() if f.startswith("--nodes=")] == [
        "--nodes=0:8:pool-l4-1",
        "--nodes=0:2:pool-h100.1",
    ]


def test_it_is_told_its_cloud():
    assert "--cloud-provider=aws" in flags()
    assert not [f for f in flags() if f.startswith("--cloud-config")]
    google = flags(scaling=builders.GCP_SCALING)
    assert "--cloud-provider=gce" in google
    # Outside of Google's machines it would ask a metadata server, and die.
    assert "--cloud-config=/etc/spillway/cloud.conf" in google


def test_cheaper_pools_are_tried_first_and_none_is_left_out():
    engine = recorded(lambda: builders.autoscaler().urn)
    (config,) = [c for c in engine.of("ConfigMap").values() if "priorities" in c["data"]]
    read = yaml.safe_load(config["data"]["priorities"])

    assert config["metadata"]["name"] == "cluster-autoscaler-priority-expander"
    best = max(read)
    assert re.fullmatch(read[best][0], "pool-l4-1")
    assert {name for names in read.values() for name in names} == {
        "^pool\\-l4\\-1$",
        "^pool\\-h100\\.1$",
    }


def test_a_pools_groups_in_all_zones_are_of_one_rank():
    zones = ["https://compute.example/zones/a/x", "https://compute.example/zones/b/x"]
    read = yaml.safe_load(priorities([{"dear": 1}, dict.fromkeys(zones, 1)]))

    assert [len(names) for names in read.values()] == [1, 2]
    assert all(re.fullmatch(p, z) for p, z in zip(read[2], zones, strict=True))


@pytest.mark.parametrize("version", ["v1.36.2", "v1.34.0"])
def test_a_version_that_google_cloud_stops_is_refused(version):
    image = f"registry.k8s.io/autoscaling/cluster-autoscaler:{version}"
    assert "--cloud-provider=aws" in flags(image=image)
    with pytest.raises(ValueError, match=r"1\.37 or newer"):
        builders.autoscaler(image=image, scaling=builders.GCP_SCALING)


def test_what_waits_for_a_machine_waits_longer_than_what_makes_it():
    """A server's start, then the queue, then the autoscaler: each gives up after the next."""
    assert f"--max-node-provision-time={PROVISION_SECONDS}s" in flags()
    assert PROVISION_SECONDS < READY_SECONDS < 30 * 60
    assert PROVISION_SECONDS <= SILENT_SECONDS


def test_it_may_touch_nothing_but_nodes_evictions_and_its_own_state():
    engine = recorded(lambda: builders.autoscaler().urn)
    changing = {"create", "update", "patch", "delete", "*"}
    everywhere = {
        resource
        for role in engine.of("ClusterRole").values()
        for rule in role["rules"]
        for resource in rule["resources"]
        if changing & set(rule["verbs"])
    }

    assert everywhere == {"events", "pods/eviction", "pods/status", "nodes"}


@pytest.mark.parametrize("part", [builders.autoscaler, builders.reaper])
def test_what_makes_machines_is_on_none_of_them(part):
    engine = recorded(lambda: part().urn)
    kinds = {**engine.of("Deployment"), **engine.of("CronJob")}
    for made in kinds.values():
        spec = made["spec"].get("jobTemplate", made)["spec"]["template"]["spec"]
        assert not spec.get("tolerations")
        assert spec["automountServiceAccountToken"]


def test_the_plugin_is_on_every_node_of_every_pool():
    engine = recorded(lambda: builders.device_plugin().urn)
    for pool in (builders.OWN, builders.CLOUD):
        found = engine.named(f"device-plugin-{pool.name}")["spec"]["template"]["spec"]
        assert found["nodeSelector"] == {"spillway.dev/pool": pool.name}
        assert {t["key"] for t in found["tolerations"]} == {t.key for t in pool.taints}
    (namespace,) = engine.of("Namespace").values()
    enforced = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "privileged", "restricted allows no folder of the machine"


POOL = {"tier": "onprem", "accelerator": "a100-80gb", "gpusPerNode": 8, "nodes": ["gpu-0"]}
CLOUD_POOL = {"tier": "burst", "accelerator": "l4", "maxNodes": 8}


def pool(**changes) -> NodePool:
    return node_pool("x", Pool.model_validate({**POOL, **changes}))


@pytest.mark.parametrize(
    ("changes", "advertised", "told"),
    [
        ({}, 8, (None, "none")),
        ({"timeSlices": 4}, 32, (4, "none")),
        ({"mig": "1g.10gb"}, 56, (None, "single")),
        ({"mig": "7g.80gb"}, 8, (None, "single")),
    ],
)
def test_parts_of_a_gpu_count_as_many_as_the_plugin_tells(changes, advertised, told):
    nodes = pool(**changes)
    config = configuration(nodes)
    sharing = config.get("sharing", {}).get("timeSlicing", {}).get("resources", [])

    assert nodes.advertised == advertised
    assert nodes.labels["spillway.dev/gpus"] == nodes.resources[GPU] == str(advertised)
    replicas = sharing[0]["replicas"] if sharing else None
    assert (replicas, config["flags"]["migStrategy"]) == told


@pytest.mark.parametrize("accelerator", sorted(catalog.ACCELERATORS))
def test_parts_of_a_gpu_fit_into_its_memory(accelerator):
    entry = catalog.ACCELERATORS[accelerator]
    for profile, parts in entry.mig.items():
        gigabytes = int(profile.partition(".")[2].removesuffix("gb"))
        assert gigabytes * parts <= entry.memory_gib, profile


def test_parts_count_wherever_gpus_are_counted():
    stack = settings.read(builders.ROOT / "Pulumi.prod.yaml")
    own = stack.cluster.pools["a100"].model_copy(update={"mig": "1g.10gb"})
    cluster = stack.cluster.model_copy(update={"pools": {**stack.cluster.pools, "a100": own}})
    cut = stack.model_copy(update={"cluster": cluster})
    gpus = {"onprem": 20, "burst": 0}
    team = Tenant.model_validate({"members": ["a@example.com"], "quota": {"gpu": gpus}})

    assert spawn_page.pools(cut)["a100"].each == 8 * 7
    assert spawn_page.pools(cut)["a100"].gpus == 2 * 8 * 7
    assert widest(cut, team) == {"a100-80gb": 20}
    assert widest(stack, team) == {"a100-80gb": 8}


def test_own_nodes_are_called_what_the_queue_looks_for():
    engine = recorded(lambda: builders.onprem_nodes().urn)
    patches = engine.of("NodePatch").values()

    assert {p["metadata"]["name"] for p in patches} == {"gpu-0", "gpu-1"}
    for patch in patches:
        assert patch["metadata"]["labels"] == builders.OWN.labels
        assert [t["key"] for t in patch["spec"]["taints"]] == [GPU]
    with pytest.raises(ValueError, match="label themselves"):
        builders.onprem_nodes(pool=builders.CLOUD)
    assert BURST_TAINT in {t.key for t in builders.CLOUD.taints}


def test_a_price_is_of_one_gpu_as_it_will_be_paid():
    spot = Pool.model_validate({**CLOUD_POOL, "spot": True})
    dear = Pool.model_validate({**CLOUD_POOL, "gpusPerNode": 8})

    assert price(spot, "aws") == pytest.approx(0.401)
    assert price(dear, "aws") == pytest.approx(13.3504 / 8)
    assert ScaledPool(groups={}, price=1).price == 1
