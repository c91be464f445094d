"""What the hub decides by itself: who is in which team, what he may start, what he is told."""

import ast
import importlib.util
import json
import time
from typing import Any

import builders
import pytest
from hub_code import profiles, progress, told

from components.cluster.gpu_pods import TOGETHER
from components.cluster.queue import LOCAL_QUEUE, PRIORITIES, PRIORITY_LABEL, QUEUE_LABEL
from components.pods import camel

GIB = 2**30
SERVERS = {
    "home_size": "5Gi",
    "storage_class": None,
    "start_seconds": 300,
    "named": 3,
    "server_minutes": 60,
    "kernel_minutes": 30,
    "pull_policy": "IfNotPresent",
}


def team(name: str, **changes: Any) -> dict[str, Any]:
    defaults = {
        "namespace": name,
        "members": [],
        "admins": [],
        "profiles": ["small", "large"],
        "notebook": "notebook:1",
        "spark": "spark:1",
    }
    return {**defaults, **changes}


def profile(**changes: Any) -> dict[str, Any]:
    return {"title": "Small", "description": "1 core", "cpu": 1, "memory": "2Gi", **changes}


DOCUMENT: dict[str, Any] = {
    "hub": "http://hub:8081",
    "proxy_api": "http://proxy:8001",
    "viewer": "http://viewer:8090",
    "login": {"provider": "oidc"},
    "tenants": {
        "vision": team(
            "vision", members=["ada@example.com", "group:Vision"], admins=["Lin@example.com"]
        ),
        "language": team(
            "language",
            members=["ada@example.com", "alan"],
            admins=["group:leads"],
            profiles=["small", "gpu-l4"],
        ),
    },
    "profiles": {
        "small": profile(),
        "large": profile(title="Large", cpu=4, memory="16Gi"),
        "gpu-l4": profile(title="GPU L4", cpu=4, memory="16Gi", accelerator="l4"),
        "spark": profile(title="Spark", spark=True),
    },
    "servers": SERVERS,
    "pools": {},
}


def known(**changes: Any) -> Any:
    return told.parse(json.dumps({**DOCUMENT, **changes}))


# -- told: who is in which team -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "groups", "places"),
    [
        (["ada@example.com"], [], ["vision", "language"]),
        (["ADA@Example.COM"], [], ["vision", "language"]),
        (["alan"], [], ["language"]),
        (["eve"], ["vision"], ["vision"]),
        (["eve"], ["VISION"], ["vision"]),
        (["lin@example.com"], [], ["vision", "vision:admins"]),
        (["eve"], ["leads"], ["language", "language:admins"]),
        (
            ["lin@example.com"],
            ["leads"],
            ["vision", "vision:admins", "language", "language:admins"],
        ),
        (["octocat", "ada@example.com"], [], ["vision", "language"]),
        (["eve@example.com"], ["sales"], []),
        ([], [], []),
    ],
)
def test_the_stack_file_alone_decides_who_is_in_which_team(names, groups, places):
    assert known().places(names, groups) == places


def test_nobody_is_in_a_group_because_he_is_called_like_it():
    assert known().places(["vision"], []) == []
    assert known().places(["eve"], ["ada@example.com"]) == []


def test_somebody_who_calls_himself_a_group_needs_to_be_refused_before():
    """Providers' names have no colon: infra/people.py does not let one stand in the stack file."""
    assert known().places(["group:vision"], []) == ["vision"]


@pytest.mark.parametrize("part", ["login", "servers"])
def test_a_field_the_hub_does_not_know_is_named(part):
    with pytest.raises(TypeError, match="colour"):
        known(**{part: {**DOCUMENT[part], "colour": "red"}})


def test_a_field_that_is_missing_is_named():
    with pytest.raises(TypeError, match="home_size"):
        known(servers={k: v for k, v in SERVERS.items() if k != "home_size"})


# -- profiles: what somebody may start ------------------------------------------------------------


def test_profiles_are_offered_in_their_order_each_with_the_teams_that_allow_it():
    assert profiles.offered(known(), ["language", "vision"]) == {
        "small": ["vision", "language"],
        "large": ["vision"],
        "gpu-l4": ["language"],
    }


def test_who_is_in_no_team_is_offered_nothing():
    assert profiles.offered(known(), []) == {}
    assert profiles.page(known(), ["vision:admins"]) == []


def test_a_team_that_has_gone_counts_no_more():
    assert profiles.teams(known(), ["vision", "gone"]) == ["vision"]


def test_the_page_asks_for_the_team_only_where_there_is_a_choice():
    single = profiles.page(known(), ["vision"])
    several = profiles.page(known(), ["vision", "language"])

    assert [entry["slug"] for entry in single] == ["small", "large"]
    assert not any("profile_options" in entry for entry in single)
    choices = {e["slug"]: list(e["profile_options"]["tenant"]["choices"]) for e in several}
    assert choices == {
        "small": ["vision", "language"],
        "large": ["vision"],
        "gpu-l4": ["language"],
    }


@pytest.mark.parametrize(
    ("options", "settled"),
    [
        ({}, ("small", "vision")),
        ({"profile": "gpu-l4"}, ("gpu-l4", "language")),
        ({"profile": "small", "tenant": "language"}, ("small", "language")),
        ({"tenant": "language"}, ("small", "language")),
        ({"profile": "large", "tenant": None}, ("large", "vision")),
        ({"profile": "small", "image": "evil:1", "namespace": "kube-system"}, ("small", "vision")),
    ],
)
def test_what_is_left_out_of_a_request_is_the_first_that_is_offered(options, settled):
    assert profiles.chosen(known(), ["vision", "language"], options) == settled


@pytest.mark.parametrize(
    ("groups", "options", "told_person"),
    [
        ([], {}, "You are in no team"),
        (["vision"], {"profile": "gpu-l4"}, "no profile 'gpu-l4' for you; there are small, large"),
        (["vision"], {"profile": "spark"}, "no profile 'spark' for you"),
        (["vision"], {"tenant": "language"}, "'small' in team 'language'; you can in vision"),
        (
            ["vision", "language"],
            {"profile": "large", "tenant": "language"},
            "'large' in team 'language'; you can in vision",
        ),
    ],
)
def test_what_is_not_offered_is_refused_with_what_is(groups, options, told_person):
    with pytest.raises(profiles.Unknown, match=told_person):
        profiles.chosen(known(), groups, options)


def test_a_server_may_use_its_profile_and_is_promised_a_part_of_it():
    found = profiles.size(known().profiles["large"])

    assert (found["cpu_limit"], found["cpu_guarantee"]) == (4, 0.4)
    assert (found["mem_limit"], found["mem_guarantee"]) == (16 * GIB, 8 * GIB)
    assert found["extra_resource_limits"] == {}
    assert (found["node_selector"], found["extra_annotations"]) == ({}, {})
    assert found["pod_affinity_preferred"] == []
    assert found["extra_labels"] == {"spillway.dev/role": "notebook"}


def test_a_gpu_profile_waits_for_one_gpu_of_its_kind_and_is_not_interrupted():
    found = profiles.size(known().profiles["gpu-l4"])

    assert found["extra_resource_limits"] == {"nvidia.com/gpu": "1"}
    assert found["node_selector"] == {"spillway.dev/accelerator": "l4"}
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    assert found["pod_affinity_preferred"] == camel(TOGETHER)[preferred]
    assert found["extra_labels"] == {
        "spillway.dev/role": "notebook",
        QUEUE_LABEL: LOCAL_QUEUE,
        PRIORITY_LABEL: "notebook",
    }
    assert "notebook" in PRIORITIES
    assert found["extra_annotations"] == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}


def test_every_profile_sets_the_same_so_that_nothing_is_left_of_the_one_before():
    assert len({frozenset(profiles.size(p)) for p in known().profiles.values()}) == 1


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("1Gi", GIB),
        ("1.5Gi", GIB * 3 // 2),
        ("2G", 2 * 10**9),
        ("1Ti", 1024 * GIB),
        ("2000M", 2 * 10**9),
        ("1048576Ki", GIB),
        ("2000000k", 2 * 10**9),
        ("1073741824", GIB),
    ],
)
def test_every_spelling_of_a_quantity_is_read(quantity, amount):
    assert profiles.in_bytes(quantity) == amount


# -- progress: what somebody who waits is told ----------------------------------------------------


def event(reason: str, message: str = "", kind: str = "Normal") -> dict[str, Any]:
    """As the API server writes it, shortened."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"notebook-ada.{reason.lower()}", "namespace": "vision"},
        "involvedObject": {"kind": "Pod", "name": "notebook-ada"},
        "reason": reason,
        "message": message,
        "type": kind,
    }


SHORT = (
    "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 Insufficient memory. preemption: "
    "0/3 nodes are available: 3 No preemption victims found for incoming pod."
)
NO_NODE = (
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: "
    "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)


@pytest.mark.parametrize(
    ("said", "told_person"),
    [
        (
            event("Scheduled", "Successfully assigned vision/notebook-ada to node-1"),
            "A machine was found for your server",
        ),
        (
            event("Pulling", 'Pulling image "notebook:1"'),
            "Fetching the image, which this machine does not have yet",
        ),
        (
            event("TriggeredScaleUp", "pod triggered scale-up: [{l4 0->1 (max: 8)}]"),
            "All machines are busy: another one is being started",
        ),
        (
            event("FailedScheduling", SHORT, "Warning"),
            "Waiting for room: too little free memory, no free GPU",
        ),
        (
            event("FailedScheduling", f"1 Insufficient nvidia.com/gpu, {NO_NODE}", "Warning"),
            "Waiting for room: no free GPU",
        ),
        (
            event("FailedScheduling", NO_NODE, "Warning"),
            "Waiting for room: no machine of this kind is up",
        ),
        (
            event(
                "FailedScheduling",
                "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
                "Warning",
            ),
            "Waiting for room: the home directory is being made",
        ),
        (
            event("FailedScheduling", "0/1 nodes are available: 1 node(s) had disk. x", "Warning"),
            "Waiting for room: 0/1 nodes are available: 1 node(s) had disk",
        ),
        (
            event("FailedMount", 'secret "storage" not found', "Warning"),
            'FailedMount: secret "storage" not found',
        ),
        (event("Unhealthy", "Readiness probe failed: connection refused", "Warning"), ""),
        (event("SandboxChanged", "Pod sandbox changed"), ""),
        ({}, ""),
    ],
    ids=lambda v: v if isinstance(v, str) else v.get("reason", "nothing"),
)
def test_an_event_is_one_sentence_or_nothing(said, told_person):
    assert progress.explain(said) == told_person


def pod(waiting: dict[str, Any] | None, kind: str = "containerStatuses") -> dict[str, Any]:
    """The status of a pod whose one container waits."""
    state = {"waiting": waiting} if waiting else {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    status = {"name": "notebook", "image": "notebook:9", "ready": False, "state": state}
    return {"status": {"phase": "Pending", kind: [status]}}


@pytest.mark.parametrize("kind", ["containerStatuses", "initContainerStatuses"])
def test_a_pod_that_will_not_start_is_told_with_what_the_cluster_says(kind):
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "notebook:9"'}

    assert progress.hopeless(pod(waiting, kind)) == (
        "Your server cannot start: its image cannot be fetched (notebook:9). The cluster says: "
        'Back-off pulling image "notebook:9"'
    )


@pytest.mark.parametrize("reason", progress.HOPELESS)
def test_every_reason_that_rarely_goes_away_is_told(reason):
    assert progress.HOPELESS[reason] in progress.hopeless(pod({"reason": reason}))


@pytest.mark.parametrize(
    "found",
    [
        None,
        {},
        {"status": {}},
        {"status": None},
        {"status": {"containerStatuses": None}},
        pod(None),
        pod({"reason": "ContainerCreating"}),
        pod({"reason": "PodInitializing"}),
        pod({}),
    ],
)
def test_a_pod_that_may_still_start_is_waited_for(found):
    assert progress.hopeless(found) is None


# -- what only the image can run ------------------------------------------------------------------


def functions(module: str, *names: str, **given: Any) -> Any:
    """Functions of a module whose other imports are not here; ``given`` stands for those."""
    file = builders.ROOT / "images" / "hub" / "spillway_hub" / f"{module}.py"
    tree = ast.parse(file.read_text())
    wanted = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in names]
    assert len(wanted) == len(names), f"{module}.py has no longer all of {names}"
    space: dict[str, Any] = {"Any": Any, **given}
    exec(compile(ast.Module(wanted, []), str(file), "exec"), space)
    return [space[name] for name in names]


def user(state: dict[str, Any] | None = None, **servers: str | None) -> dict[str, Any]:
    """As the hub's API tells of somebody."""
    return {
        "name": "ada@example.com",
        "auth_state": state,
        "servers": {
            name: {"user_options": {"tenant": tenant} if tenant else {}}
            for name, tenant in servers.items()
        },
    }


DAYS = 3 * 24 * 3600
NOW = 1_800_000_000.0


def out_of_place(who: dict[str, Any]) -> list[str]:
    """The sweeper's, where the hub's packages are not."""
    names = {"GROUPS": "spillway_groups", "NAMES": "spillway_names", "LAPSED": "spillway_lapsed"}
    (found,) = functions(
        "sweep", "out_of_place", **names, FORGOTTEN=DAYS, Told=told.Told, time=time
    )
    return found(who, known(), NOW)


STATE = {"spillway_names": ["eve", "eve@example.com"], "spillway_groups": ["vision"]}


@pytest.mark.parametrize(
    ("who", "stopped"),
    [
        (user(first="vision", second="language"), []),
        (user(first="vision", second="gone"), ["second"]),
        (user(first=None), ["first"]),
        (user(STATE, first="vision", second="language"), ["second"]),
        (user({}, first="vision"), []),
        ({"name": "ada@example.com", "servers": None}, []),
        ({"name": "eve", "servers": {"": {"user_options": {"tenant": "vision"}}}}, [""]),
    ],
)
def test_servers_in_teams_that_are_not_their_owners_are_stopped(who, stopped):
    assert out_of_place(who) == stopped


@pytest.mark.parametrize(("since", "stopped"), [(NOW - 10, []), (NOW - DAYS - 1, ["first"])])
def test_servers_run_on_for_a_while_when_the_provider_no_longer_confirms_somebody(since, stopped):
    assert out_of_place(user({"spillway_lapsed": since}, first="vision")) == stopped


def test_somebodys_teams_are_his_groups_without_those_of_admins():
    (own_teams,) = functions("viewer", "own_teams", ADMINS=told.ADMINS)

    assert own_teams({"groups": ["vision", "vision:admins", "language"]}) == ["vision", "language"]
    assert own_teams({"groups": None}) == []
    assert own_teams({}) == []


def test_modules_that_are_tested_here_need_nothing_but_python():
    """Else their tests would need the hub's packages too."""
    for name in ("told", "profiles", "progress", "queues", "waiting"):
        spec = importlib.util.find_spec(f"spillway_hub.{name}")
        assert spec
        assert spec.origin
        tree = ast.parse(builders.Path(spec.origin).read_text())
        roots = {
            n.module.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)
        }
        assert not roots & {"jupyterhub", "kubespawner", "tornado", "kubernetes_asyncio"}
