"""Where the aliases of models point now: asked of the tracking server, while the stack is planned.

So that an alias that was moved is a change that a preview shows, and all servers of a version have
the same one. It is asked as people ask it: through the cluster (``kubectl port-forward``), as the
tenant's own account. A stack that is not up yet, or a rehearsal, has nobody to ask; the alias is
then looked up by the pods, and is a change of the next ``up``.
"""

import json
import re
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from threading import Timer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pulumi

from components.mlflow import PORT
from components.tenant import MODEL
from infra import config_errors
from infra.clouds import TRACKING
from infra.config_errors import Problem
from infra.settings import Settings

MODELS = "models:/"
UNKNOWN = (400, 404)
"""What the tracking server says of an alias that is not there."""
SECONDS = 15
"""For the cluster, and for the tracking server, to answer."""


class Silent(Exception):
    """Nobody could be asked; why."""


def numbered(settings: Settings) -> Mapping[tuple[str, str], str]:
    """The version that each alias stands for, by tenant and alias; none if nobody can be asked."""
    asked = {
        (model.tenant, version.uri)
        for model in settings.models.values()
        for version in model.versions
        if version.uri.startswith(MODELS) and "@" in version.uri
    }
    if not asked:
        return {}
    try:
        if settings.kubeconfig is not None:
            raise Silent("its cluster is known by a secret, and not by a context")
        with _tracking(settings) as url:
            tenants = {tenant for tenant, _ in asked}
            tokens = {tenant: _token(settings, tenant) for tenant in tenants}
            return {
                (tenant, uri): _version(settings, url, tokens[tenant], tenant, uri)
                for tenant, uri in sorted(asked)
            }
    except Silent as reason:
        pulumi.log.info(
            f"aliases of models are looked up by their pods, not by this plan: {reason}"
        )
        return {}


def _version(settings: Settings, url: str, token: str, tenant: str, uri: str) -> str:
    name, alias = uri.removeprefix(MODELS).rsplit("@", 1)
    headers = {
        "Authorization": f"Bearer {token}",
        "X-MLFLOW-WORKSPACE": tenant,
    }
    path = (
        f"{url}/api/2.0/mlflow/registered-models/alias?{urlencode({'name': name, 'alias': alias})}"
    )
    try:
        with urlopen(Request(path, headers=headers), timeout=SECONDS) as answer:  # noqa: S310 - http
            found: dict[str, Any] = json.load(answer)
    except HTTPError as error:
        if error.code in UNKNOWN:
            raise config_errors.refuse(_unknown(settings, tenant, uri)) from None
        raise Silent(f"the tracking server says {error.code}") from error
    except OSError as error:
        raise Silent(f"the tracking server does not answer ({error})") from error
    return f"{MODELS}{name}/{found['model_version']['version']}"


def _unknown(settings: Settings, tenant: str, uri: str) -> Problem:
    path = next(
        ("models", name, "versions", at, "uri")
        for name, model in settings.models.items()
        for at, version in enumerate(model.versions)
        if (model.tenant, version.uri) == (tenant, uri)
    )
    return Problem(path, uri, f"an alias in the registry of tenant {tenant}: it has no such one")


def _token(settings: Settings, tenant: str) -> str:
    return _run(settings, ["create", "token", MODEL, "-n", tenant]).strip()


@contextmanager
def _tracking(settings: Settings) -> Generator[str]:
    """URL of the tracking server for as long as the block runs."""
    words = ("port-forward", f"service/{TRACKING}", f":{PORT}", "-n", settings.namespace)
    try:
        process = subprocess.Popen(
            _kubectl(settings, words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        raise Silent(f"there is no kubectl ({error})") from error
    patience = Timer(SECONDS, process.kill)
    patience.start()
    try:
        line = next(iter(process.stdout or ()), "the cluster does not answer")
        patience.cancel()
        yield _forwarded(line)
    finally:
        patience.cancel()
        process.kill()
        process.communicate()


def _forwarded(line: str) -> str:
    """What kubectl says first: which port of this machine leads there, or why none does."""
    found = re.search(r"127\.0\.0\.1:\d+", line)
    if found is None:
        raise Silent(line.strip())
    return f"http://{found[0]}"


def _run(settings: Settings, words: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            _kubectl(settings, words),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Silent(f"kubectl {words[0]} did not answer in {SECONDS} s") from error
    if done.returncode:
        raise Silent("".join(done.stderr.strip().splitlines()[-1:]))
    return done.stdout


def _kubectl(settings: Settings, words: Sequence[str]) -> list[str]:
    context = settings.cluster.context
    return ["kubectl", *([f"--context={context}"] if context else []), *words]
