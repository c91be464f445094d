"""The command: ask, sum up, show."""

import json
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import yaml

from infra.queues import in_order
from infra.settings import Settings
from rig import stack_file
from rig.errors import RigError
from rig.facts import Facts, Live
from rig.status.cluster import Seen, look, questions
from rig.status.pools import costs, pools
from rig.status.queues import tenants
from rig.status.show import show
from rig.status.summary import Status
from rig.status.warn import warnings
from rig.status.work import Pods, running_work, waiting_work, with_lenders
from rig.steps import console, step


def status(stack: str, settings: Settings, facts: Facts, now: datetime) -> Status:
    """What the cluster answers, summed up."""
    return summed_up(stack, settings, look(settings, facts), now)


def summed_up(stack: str, settings: Settings, seen: Seen, now: datetime) -> Status:
    """What was seen, summed up."""
    pods = Pods(seen.pods)
    found, waiting = pools(settings, seen), waiting_work(seen, pods)
    teams = tenants(settings, seen, waiting, now)
    return Status(
        stack=stack,
        context=settings.cluster.context,
        at=now,
        pools=found,
        costs=costs(settings, found),
        tenants=teams,
        running=running_work(seen, pods),
        waiting=with_lenders(waiting, teams),
        warnings=warnings(settings, seen, found, pods, now),
    )


def tell(stack: str, *, as_json: bool) -> None:
    """Look at a stack now, and print what was found."""
    settings, now = stack_file.read(stack), datetime.now(UTC).replace(microsecond=0)
    if not in_order(settings) and not as_json:
        console.print(no_pools(stack))
        return
    found = _asked(stack, settings, now, quiet=as_json)
    if as_json:
        print(in_json(found))
    else:
        show(console, found)


def no_pools(stack: str) -> str:
    """What is said in place of empty tables."""
    return (
        f"stack {stack} has no pools: name machines with GPUs in spillway:cluster.pools "
        "(docs/gpus.md)"
    )


def in_json(found: Status) -> str:
    """By the names of the fields in ``summary``."""
    return json.dumps(asdict(found), default=_plain, indent=2)


def _asked(stack: str, settings: Settings, now: datetime, *, quiet: bool) -> Status:
    if not in_order(settings):
        return summed_up(stack, settings, Seen(), now)
    _reachable(stack)
    facts = Live()
    with nullcontext() if quiet else step("asking the cluster"):
        facts.ask_ahead(questions(settings))
    return status(stack, settings, facts, now)


def _reachable(stack: str) -> None:
    """The current context would be another cluster than a secret kubeconfig's."""
    config = (yaml.safe_load(stack_file.path(stack).read_text()) or {}).get("config") or {}
    if "spillway:kubeconfig" in config:
        raise RigError(
            f"STACK={stack}: its cluster is known by a secret (spillway:kubeconfig); name a "
            "context of your own instead (spillway:cluster.context)"
        )


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(type(value).__name__)
