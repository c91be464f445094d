"""Which profiles of notebooks a stack offers, and to whom."""

import json
from typing import Any

import builders
import pulumi
import pytest
from recording import recorded

from components.cluster.queue import READY_SECONDS
from infra import settings, stack
from infra.notebooks import patience
from infra.profiles import SIZES, allowed, profiles
from infra.sections import in_bytes


def load(name: str = "prod", **changes: Any) -> settings.Settings:
    config = builders.stack_config(name)
    texts = {f"spillway:{key}": builders.as_text(value) for key, value in changes.items()}
    pulumi.runtime.set_all_config({**config, **texts}, [])
    return settings.load()


def tenants(**gpu: int) -> dict[str, Any]:
    members = ["scientist@example.com"]
    return {"vision": {"members": members, "quota": {"cpu": 32, "memory": "128Gi", "gpu": gpu}}}


def test_there_is_a_gpu_profile_for_each_pool_after_the_three_sizes(engine):
    assert list(profiles(load())) == ["small", "large", "spark", "gpu-a100", "gpu-l4"]


def test_without_pools_there_is_no_gpu_profile(engine):
    assert list(profiles(load("dev"))) == ["small", "large", "spark"]


def test_a_gpu_profile_says_which_gpu_and_whose(engine):
    found = profiles(load())["gpu-a100"]

    assert found.title == "GPU A100-80GB (a100)"
    assert found.accelerator == "a100-80gb"
    assert "one GPU" in found.description
    accelerators = {p.accelerator for p in profiles(load()).values()}
    assert accelerators == {None, "a100-80gb", "l4"}


def test_a_pool_that_only_adds_to_the_companys_own_has_no_profile_of_its_own(engine):
    own = {"tier": "onprem", "accelerator": "l4", "nodes": ["gpu-7"]}
    rented = {"tier": "burst", "accelerator": "l4", "maxNodes": 2}
    document = settings.Settings.model_validate({"cluster": {"pools": {"far": rented, "own": own}}})

    assert [name for name in profiles(document) if name.startswith("gpu")] == ["gpu-own"]


def test_a_server_may_wait_for_a_machine_of_the_cloud(engine):
    assert patience(load("dev")) == 300
    assert patience(load()) > READY_SECONDS


def test_only_the_spark_profile_has_spark(engine):
    assert [name for name, p in profiles(load()).items() if p.spark] == ["spark"]


def test_a_size_of_the_file_is_the_size_of_the_profile_and_is_told(engine):
    sizes = {"small": {"cpu": 0.5, "memory": "1Gi"}, "gpu": {"cpu": 8, "memory": "32Gi"}}
    found = profiles(load(notebooks={"sizes": sizes}))

    assert (found["small"].cpu, found["small"].memory) == (0.5, "1Gi")
    assert found["small"].description.startswith("0.5 cores, 1 GiB of memory")
    assert found["gpu-l4"].cpu == found["gpu-a100"].cpu == 8
    assert found["large"].cpu == SIZES["large"].cpu


@pytest.mark.parametrize(
    ("gpu", "offered"),
    [
        ({}, []),
        ({"onprem": 1}, ["gpu-a100"]),
        ({"burst": 1}, ["gpu-l4"]),
        ({"onprem": 1, "burst": 1}, ["gpu-a100", "gpu-l4"]),
    ],
)
def test_nobody_is_offered_a_gpu_that_his_team_may_never_hold(gpu, offered, engine):
    found = allowed(load(tenants=tenants(**gpu)), "vision")

    assert found == ["small", "large", "spark", *offered]


def test_a_tenant_that_names_profiles_has_those(engine):
    named = tenants(burst=1)
    named["vision"]["profiles"] = ["gpu-l4", "small"]

    assert allowed(load(tenants=named), "vision") == ["gpu-l4", "small"]


def test_every_profile_fits_into_a_tenants_default_quota(engine):
    quota = settings.Tenant().quota
    for name, profile in profiles(load()).items():
        assert profile.cpu <= quota.cpu, name
        assert in_bytes(profile.memory) <= in_bytes(quota.memory), name


def prod():
    pulumi.runtime.set_all_config(builders.stack_config("prod"), [])
    return stack.assemble()


def own_image():
    config = builders.stack_config("prod")
    own = json.loads(config["spillway:tenants"])
    own["vision"]["image"] = "registry.example.com/vision:7"
    config["spillway:tenants"] = json.dumps(own)
    pulumi.runtime.set_all_config(config, [])
    return stack.assemble()


def own_packages():
    """A team with packages of its own, and without Spark."""
    config = builders.stack_config("prod")
    own = json.loads(config["spillway:tenants"])
    own["vision"] |= {"requirements": ["inflection==0.5.1"], "profiles": ["small"]}
    config["spillway:tenants"] = json.dumps(own)
    pulumi.runtime.set_all_config(config, [])
    return stack.assemble()


def pulled(engine) -> list[str]:
    daemon = engine.named("jupyterhub-puller-images")
    return [c["image"] for c in daemon["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize("program", [prod, own_image, own_packages])
def test_every_node_keeps_each_image_that_a_profile_of_a_team_runs_once(program):
    engine = recorded(program)

    told = json.loads(engine.named("jupyterhub-told")["data"]["hub.json"])
    used = {
        team["spark" if told["profiles"][name]["spark"] else "notebook"]
        for team in told["tenants"].values()
        for name in team["profiles"]
    }
    assert sorted(pulled(engine)) == sorted(used)


def test_a_team_without_spark_costs_no_node_the_room_of_its_image_with_spark():
    names = [image.rpartition("/")[2].partition(":")[0] for image in pulled(recorded(own_packages))]

    assert sorted(names) == ["notebook", "notebook-spark", "notebook-team"]


def test_a_tenants_own_image_is_that_of_its_servers_and_of_nobody_elses():
    told = json.loads(recorded(own_image).named("jupyterhub-told")["data"]["hub.json"])

    assert told["tenants"]["vision"]["notebook"] == "registry.example.com/vision:7"
    assert "/notebook:" in told["tenants"]["language"]["notebook"]


def test_the_hub_is_told_what_the_stack_file_says_of_people():
    told = json.loads(recorded(prod).named("jupyterhub-told")["data"]["hub.json"])

    assert told["login"]["provider"] == "google"
    assert told["login"]["hosted_domain"] == "example.com"
    assert told["tenants"]["vision"]["members"] == ["scientist@example.com"]
    assert told["tenants"]["language"]["admins"] == ["head@example.com"]
    assert "gpu-a100" in told["tenants"]["vision"]["profiles"]
    assert told["tenants"]["vision"]["spark_gpus"] == {"a100-80gb": 4, "l4": 1}
