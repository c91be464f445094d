"""The stack files of a rehearsal: the user's own, and the same with a change in it."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from infra.people import Provider
from infra.secret_rules import REHEARSED
from infra.sections import Tier

Config = dict[str, Any]
SECRET = "spillway:loginClientSecret"  # noqa: S105 - a name
TOKEN = "spillway:joinToken"  # noqa: S105 - a name
OTHER = {"aws": "gcp", "gcp": "aws"}


def config_of(file: Path) -> Config:
    """The config of a stack file without its secrets, which a rehearsal has no use for.

    Those of the login and of burst nodes must be there: a stand-in, which the settings know as
    such. Models scale by processors alone: no pod is there that could count their requests, and
    an API that nobody serves keeps a cluster from deleting namespaces.
    """
    content: Any = yaml.safe_load(file.read_text()) or {}
    config: Config = content.get("config") or {}
    plain = {k: v for k, v in config.items() if not (isinstance(v, dict) and "secure" in v)}
    login = plain.get("spillway:login") or {}
    if isinstance(login, dict) and login.get("provider") not in (None, Provider.DUMMY):
        plain[SECRET] = REHEARSED
    if any(pool.get("tier") == Tier.BURST for pool in _pools(plain)):
        plain[TOKEN] = REHEARSED
    _uncount(plain)
    return plain


def _uncount(config: Config) -> None:
    models = config.get("spillway:models")
    for model in models.values() if isinstance(models, dict) else ():
        scaling = model.get("autoscaling") if isinstance(model, dict) else None
        if isinstance(scaling, dict):
            scaling.pop("requestsPerSecond", None)


def _pools(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    cluster = config.get("spillway:cluster") or {}
    pools = cluster.get("pools") if isinstance(cluster, dict) else None
    return [p for p in pools.values() if isinstance(p, dict)] if isinstance(pools, dict) else []


def context_of(config: Mapping[str, Any]) -> str | None:
    """Which context of a kubeconfig the stack asks for."""
    cluster = config.get("spillway:cluster") or {}
    return cluster.get("context")


def changed(config: Config) -> Config:
    """What a team changes on an ordinary day: servers more, another team, longer backups."""
    new = deepcopy(config)
    mlflow = new.setdefault("spillway:mlflow", {})
    mlflow["replicas"] = mlflow.get("replicas", 2) + 1
    for model in new.get("spillway:models", {}).values():
        if "autoscaling" not in model:
            model["replicas"] = model.get("replicas", 1) + 1
    if cloud(config) in OTHER:
        database = new.setdefault("spillway:database", {})
        database["backupDays"] = min(35, database.get("backupDays", 14) + 7)
        new.setdefault("spillway:tenants", {})["rehearsal"] = {"members": ["new@example.com"]}
    return new


def switched(config: Config) -> Config | None:
    """The other cloud, by its one line; None when the file says nothing of the other cloud."""
    other = OTHER.get(cloud(config))
    if other is None or f"spillway:{other}" not in config:
        return None
    return {**config, "spillway:cloud": other}


def unprotected(config: Config) -> Config:
    """Every lock off, as before a stack is given up."""
    return {**config, "spillway:protect": False}


def cloud(config: Mapping[str, Any]) -> str:
    """The value of ``spillway:cloud``."""
    return str(config.get("spillway:cloud", "none"))
