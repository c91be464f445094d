"""Who may hold which GPUs, as Kueue is told: own first, idle ones lent, a cap in the cloud."""

import builders
import pytest
from recording import recorded

from components.cluster.nodes import BURST_TAINT, GPU
from components.cluster.queue import PRIORITIES, QueuedPool, configuration
from infra.queues import in_order, shares
from infra.settings import Settings


def objects(kind: str, **changes):
    engine = recorded(lambda: builders.queue(**changes).urn)
    made = [r.inputs for r in engine.resources if r.inputs.get("kind") == kind]
    return {inputs["metadata"]["name"]: inputs["spec"] for inputs in made}


def quotas(spec) -> dict[str, dict[str, str]]:
    (group,) = spec["resourceGroups"]
    assert group["coveredResources"] == [GPU]
    return {
        flavor["name"]: {k: v for k, v in flavor["resources"][0].items() if k != "name"}
        for flavor in group["flavors"]
    }


def test_a_tenant_has_its_own_on_prem_and_a_cap_in_the_cloud():
    found = quotas(objects("ClusterQueue")["vision"])

    assert found == {
        "own": {"nominalQuota": "4"},
        "cloud": {"nominalQuota": "0", "borrowingLimit": "2"},
    }
    assert list(found) == ["own", "cloud"], "the order in which they are tried"


def test_what_nobody_was_given_is_lent_and_the_cloud_has_no_more_than_it_can_make():
    (shared,) = objects("Cohort").values()

    assert quotas(shared) == {"own": {"nominalQuota": "4"}, "cloud": {"nominalQuota": "8"}}


def test_borrowing_comes_before_paying_and_paying_before_evicting():
    spec = objects("ClusterQueue")["vision"]

    assert spec["flavorFungibility"] == {
        "whenCanBorrow": "MayStopSearch",
        "whenCanPreempt": "TryNextFlavor",
    }


def test_nothing_is_above_notebooks():
    assert PRIORITIES["notebook"] == max(PRIORITIES.values()) > PRIORITIES["job"]


@pytest.mark.parametrize("pool", [builders.OWN, builders.CLOUD])
def test_a_flavor_is_the_nodes_of_its_pool(pool):
    flavor = objects("ResourceFlavor")[pool.name]

    assert flavor["nodeLabels"] == pool.labels
    assert {t["key"] for t in flavor["tolerations"]} == {t.key for t in pool.taints}
    assert "topologyName" not in flavor


def test_elastic_work_may_go_anywhere_and_is_still_counted():
    flavors = objects("ResourceFlavor", placement="elastic")

    for flavor in flavors.values():
        assert "nodeLabels" not in flavor
        assert BURST_TAINT in {t["key"] for t in flavor["tolerations"]}


def test_a_pool_of_the_cloud_never_comes_first():
    pools = [
        QueuedPool(nodes=builders.CLOUD, machines=8),
        QueuedPool(nodes=builders.OWN, machines=2),
    ]

    with pytest.raises(ValueError, match="come before"):
        builders.queue(pools=pools)


def test_a_share_of_no_pool_is_refused():
    with pytest.raises(ValueError, match="vision has a share of gone"):
        builders.queue(tenants={"vision": {"gone": 1}})


def test_only_gpus_are_counted_and_only_in_tenants():
    config = configuration()

    assert {"cpu", "memory"} <= set(config["resources"]["excludeResourcePrefixes"])
    assert config["managedJobsNamespaceSelector"] == {
        "matchLabels": {"spillway.dev/tenant": "true"}
    }


POOLS = {
    "l4": {"tier": "burst", "accelerator": "l4", "maxNodes": 8},
    "a100": {"tier": "onprem", "accelerator": "a100-80gb", "nodes": ["gpu-0"], "gpusPerNode": 8},
    "t4": {"tier": "onprem", "accelerator": "t4", "nodes": ["gpu-1"]},
}


def settings_of(pools: dict, quota: dict) -> Settings:
    return Settings.model_validate(
        {"cluster": {"pools": pools}, "tenants": {"vision": {"quota": {"gpu": quota}}}}
    )


def test_without_a_cloud_nothing_is_admitted_to_one():
    found = in_order(settings_of(POOLS, {}))

    assert [(pool.nodes.name, pool.gpus) for pool in found] == [("a100", 8), ("t4", 1)]


def test_the_only_pool_of_a_tier_has_all_and_several_are_divided():
    team = settings_of(POOLS, {"onprem": 3, "burst": 2, "pools": {"a100": 2, "t4": 1}}).tenants
    a100, t4 = (p.nodes for p in in_order(settings_of(POOLS, {})))

    assert shares(team["vision"], [a100, t4, builders.CLOUD]) == {"a100": 2, "t4": 1, "cloud": 2}
