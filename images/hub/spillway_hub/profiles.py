"""The page on which a person picks a profile and, if in several teams, the team."""

from collections.abc import Mapping, Sequence
from typing import Any

from spillway_hub.told import Profile, Told

SHARE = 0.1
"""Of the cores it may use, what a server is promised: most of the time nobody computes."""
MEMORY_SHARE = 2
"""A server is promised one part in so many of the memory it may use."""
NOTEBOOK = {"spillway.dev/role": "notebook"}
QUEUED = {"kueue.x-k8s.io/queue-name": "default", "kueue.x-k8s.io/priority-class": "notebook"}
"""Labels with which a server waits for its GPU in its team's queue, before jobs."""
KEPT = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
"""Annotation: its machine stays while it is there. Idle servers end, which ends the machine."""
TOGETHER = {
    "weight": 100,
    "podAffinityTerm": {
        "labelSelector": {},
        "namespaceSelector": {},
        "topologyKey": "kubernetes.io/hostname",
    },
}
"""Beside others rather than on an empty machine, which is left to who wants all of its GPUs."""
TEAM = "tenant"
"""The option's name, on the page and in the hub's API."""


class Unknown(ValueError):
    """A choice that is not offered; the text is for the person who made it."""


def teams(told: Told, groups: Sequence[str]) -> list[str]:
    """Those of the person's teams that still exist, in the order of the stack file."""
    return [name for name in told.tenants if name in groups]


def offered(told: Told, groups: Sequence[str]) -> dict[str, list[str]]:
    """Profiles a person may choose, each with the teams that allow it."""
    own = teams(told, groups)
    found = {
        name: [team for team in own if name in told.tenants[team].profiles]
        for name in told.profiles
    }
    return {name: allowing for name, allowing in found.items() if allowing}


def page(told: Told, groups: Sequence[str]) -> list[dict[str, Any]]:
    """KubeSpawner's ``profile_list`` for one person."""
    entries: list[dict[str, Any]] = []
    for name, allowing in offered(told, groups).items():
        profile = told.profiles[name]
        entry: dict[str, Any] = {
            "slug": name,
            "display_name": profile.title,
            "description": profile.description,
            "kubespawner_override": size(profile),
        }
        if len(teams(told, groups)) > 1:
            entry["profile_options"] = {
                TEAM: {
                    "display_name": "Team",
                    "choices": {team: {"display_name": team} for team in allowing},
                }
            }
        entries.append(entry)
    return entries


def chosen(told: Told, groups: Sequence[str], options: Mapping[str, Any]) -> tuple[str, str]:
    """Profile and team of a request, by page or by API; what was left out is the first offered."""
    possible = offered(told, groups)
    if not possible:
        raise Unknown("You are in no team of this platform: ask an administrator to add you")
    profile = options.get("profile") or next(iter(possible))
    if not isinstance(profile, str) or profile not in possible:
        raise Unknown(f"There is no profile {profile!r} for you; there are {', '.join(possible)}")
    team = options.get(TEAM) or possible[profile][0]
    if team not in possible[profile]:
        raise Unknown(
            f"You cannot start {profile!r} in team {team!r}; you can in "
            f"{', '.join(possible[profile])}"
        )
    return profile, str(team)


def size(profile: Profile) -> dict[str, Any]:
    """As KubeSpawner takes it."""
    memory = in_bytes(profile.memory)
    found: dict[str, Any] = {
        "cpu_limit": profile.cpu,
        "cpu_guarantee": round(profile.cpu * SHARE, 3),
        "mem_limit": memory,
        "mem_guarantee": memory // MEMORY_SHARE,
        "extra_resource_limits": {},
        "node_selector": {},
        "pod_affinity_preferred": [],
        "extra_labels": dict(NOTEBOOK),
        "extra_annotations": {},
    }
    if profile.accelerator:
        found["extra_resource_limits"] = {"nvidia.com/gpu": "1"}
        # Whose machine it will be, and that it is tolerated there, is the queue's word.
        found["node_selector"] = {"spillway.dev/accelerator": profile.accelerator}
        found["pod_affinity_preferred"] = [TOGETHER]
        found["extra_labels"] |= QUEUED
        found["extra_annotations"] = dict(KEPT)
    return found


def in_bytes(quantity: str) -> int:
    """A Kubernetes quantity of memory, as the settings allow it."""
    units = {f"{unit}i": 1024**power for power, unit in enumerate("KMGTPE", 1)}
    units |= {unit: 1000**power for power, unit in enumerate("kMGTPE", 1)}
    number = quantity.rstrip("KMGTPEki")
    return int(float(number) * units.get(quantity[len(number) :], 1))
