"""A person's server as a pod in a team's namespace, under the team's account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from html import escape
from typing import Any

from jupyterhub.spawner import SpawnException
from kubernetes_asyncio.client import (
    ApiException,
    V1EnvVar,
    V1EnvVarSource,
    V1ObjectMeta,
    V1Secret,
    V1SecretKeySelector,
)
from kubespawner import KubeSpawner
from kubespawner.clients import shared_client
from sqlalchemy.orm import object_session

from spillway_hub import profiles, waiting
from spillway_hub.progress import explain, hopeless, paced
from spillway_hub.queues import Queues
from spillway_hub.told import Tenant, told

ACCOUNT = "notebook"
TOKEN_KEY = "token"  # noqa: S105 - a name
GRACE = 20
"""Seconds for which something that looks hopeless may still turn out well."""
EVERY = 1.0
LOOK = 5.0
"""Seconds between two looks at the queue."""
MARGIN = 5
"""Seconds by which a reason in words comes before the hub's own time-out, which has none."""
CONFLICT, NOT_FOUND, FORBIDDEN = 409, 404, 403


class Refused(SpawnException):
    """A server that cannot start; the text is for the person who waits for it."""

    def __init__(self, message: str, reason: str, status: int = 500) -> None:
        super().__init__(message, reason=reason, status_code=status)
        self.jupyterhub_message = message


class TeamSpawner(KubeSpawner):
    """KubeSpawner for people who belong to teams."""

    _queues = Queues()
    _waits = ""
    """Why its GPU is not there yet; nothing where that is not what it waits for."""

    async def load_user_options(self) -> None:
        """Settle profile and team; a choice that is not offered ends here, before anything is."""
        groups = [group.name for group in self.user.groups]
        try:
            profile, team = profiles.chosen(told(), groups, self.user_options)
        except profiles.Unknown as error:
            raise Refused(str(error), "choice", 400) from error
        self.user_options = {"profile": profile, profiles.TEAM: team}
        # Another hub, and the sweeper, must know the team that was settled on.
        self.orm_spawner.user_options = self.user_options
        if session := object_session(self.orm_spawner):
            session.commit()
        await super().load_user_options()
        self._settle(told().tenants[team], spark=told().profiles[profile].spark)

    def _settle(self, tenant: Tenant, *, spark: bool) -> None:
        # The home is the team's, one in each; and somebody may have deleted it.
        self._pvc_exists = False
        self._waits = ""
        self.namespace = tenant.namespace
        self.service_account = ACCOUNT
        self.image = tenant.spark if spark else tenant.notebook
        self.extra_container_config = (
            {"envFrom": [{"secretRef": {"name": tenant.secret}}]} if tenant.secret else {}
        )
        common = self.config.KubeSpawner
        self.volumes = [*common.volumes, *tenant.volumes]
        self.volume_mounts = [*common.volume_mounts, *tenant.mounts]
        self.environment = {
            **common.environment,
            **tenant.environment,
            **_place(),
            "MLFLOW_WORKSPACE": tenant.namespace,
            # A workspace has no experiment to begin with; MLflow makes this one when it is used.
            "MLFLOW_EXPERIMENT_NAME": self.user.name,
            "SPILLWAY_TENANT": tenant.namespace,
        }
        if spark:
            self.environment["SPILLWAY_SPARK_IMAGE"] = tenant.spark
            if tenant.secret:
                self.environment["SPILLWAY_STORAGE_SECRET"] = tenant.secret
            if tenant.login:
                self.environment["SPILLWAY_SPARK_LOGIN"] = _literal(tenant.login)
            if tenant.spark_gpus:
                self.environment["SPILLWAY_SPARK_GPUS"] = _literal(json.dumps(tenant.spark_gpus))

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the pod again, also that of a server which was starting when the last hub ended."""
        super().load_state(state)
        tenant = told().tenants.get(str(self.user_options.get(profiles.TEAM)))
        if "namespace" not in state and tenant:
            self.namespace = tenant.namespace

    async def poll(self) -> int | None:
        """Whether it runs; outside of the teams' namespaces nothing does, and none may look."""
        if self.namespace not in {tenant.namespace for tenant in told().tenants.values()}:
            return 0
        return await super().poll()

    async def _start(self) -> str:
        """Start, unless the cluster says meanwhile that it cannot come to anything."""
        starting = asyncio.ensure_future(super()._start())
        watching = asyncio.ensure_future(self._watch())
        looking = asyncio.ensure_future(self._look())
        try:
            await asyncio.wait({starting, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done() and not starting.done():
                raise watching.exception() or AssertionError
            return await starting
        except ApiException as error:
            raise Refused(*readable(error, self.namespace)) from error
        except TimeoutError as error:
            raise self._late() from error
        finally:
            for task in (starting, watching, looking):
                task.cancel()

    async def _watch(self) -> None:
        """Raises ``Refused`` once the pod looked hopeless, was gone, or waited, for long enough."""
        since: float | None = None
        there = False
        loop = asyncio.get_running_loop()
        ends = loop.time() + self.start_timeout - MARGIN
        while True:
            await asyncio.sleep(EVERY)
            pod = self._pod
            there = there or pod is not None
            if loop.time() > ends:
                raise self._late()
            reason = self._lost() if there and pod is None else hopeless(pod)
            if reason is None:
                since = None
                continue
            since = since or loop.time()
            if loop.time() - since > GRACE:
                raise Refused(reason, "pod")

    @property
    def _pod(self) -> Any:
        """As the hub saw it last; None where there is none."""
        reflector = getattr(self, "pod_reflector", None)
        return reflector.pods.get(f"{self.namespace}/{self.pod_name}") if reflector else None

    def _lost(self) -> str:
        """Why the pod is not there any more: the queue's word, which it said before it took it."""
        if self._waits.startswith(waiting.LOST):
            return self._waits
        return f"{waiting.LOST}, because its pod was deleted: start it again"

    def _late(self) -> Refused:
        """The hub's own time-out has no words for people."""
        heard = [words for event in self.events if (words := explain(event))]
        return Refused(
            f"Your server was not up after {self.start_timeout} seconds. "
            f"The last thing heard of it: {self._waits or (heard or ['nothing'])[-1]}",
            "timeout",
        )

    # -- what the person who waits is told -----------------------------------------------------

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Events of the cluster and the queue's word, each in words for people, once."""
        last, waits, reached = "", "", 0
        async for step in paced(super().progress(), EVERY):
            reached = max(reached, (step or {}).get("progress", 0))
            message = self._words(step)
            if message and message != last:
                last = message
                yield {**step, **_said(message, reached)}
            if self._waits and self._waits != waits:
                waits = self._waits
                yield _said(waits, reached)

    def _words(self, step: dict[str, Any] | None) -> str:
        event = (step or {}).get("raw_event")
        if event is None:
            return (step or {}).get("message", "")
        if self._waits and event.get("reason") in waiting.TOLD:
            return ""
        return explain(event)

    async def _look(self) -> None:
        """Follow why a server with a GPU waits; nobody needs the answer to start."""
        profile = told().profiles.get(str(self.user_options.get("profile")))
        trouble = ""
        while profile and profile.accelerator:
            try:
                self._waits = await self._why()
                trouble = ""
            except Exception as error:
                self._waits = ""
                if trouble != (trouble := repr(error)):
                    self.log.warning("Cannot say why %s waits: %s", self.pod_name, trouble)
            await asyncio.sleep(LOOK)

    async def _why(self) -> str:
        pod = self._pod
        if pod is None:
            return self._waits
        if pod["spec"].get("nodeName"):
            return ""
        api = shared_client("CustomObjectsApi")
        known = told()
        namespaces = [tenant.namespace for tenant in known.tenants.values()]
        seen = waiting.Seen(
            pod=pod,
            workloads=await self._queues.workloads(api, self.namespace),
            events=self.events,
            used=await self._queues.used(api, namespaces) if known.pools else None,
        )
        return waiting.sentence(seen, known, self.user_options[profiles.TEAM])

    # -- the token ----------------------------------------------------------------------------

    async def get_pod_manifest(self) -> Any:
        """The pod, with its token in a Secret: whoever may look at pods must not become another."""
        pod = await super().get_pod_manifest()
        name = await self._keep_token()
        source = V1EnvVarSource(secret_key_ref=V1SecretKeySelector(name=name, key=TOKEN_KEY))
        for container in pod.spec.containers:
            container.env = [
                V1EnvVar(name=one.name, value_from=source)
                if getattr(one, "value", None) == self.api_token
                else one
                for one in container.env or ()
            ]
        return pod

    @property
    def _token_name(self) -> str:
        return f"{self.pod_name}-token"[-253:]

    async def _keep_token(self) -> str:
        name = self._token_name
        body = V1Secret(
            metadata=V1ObjectMeta(name=name, labels=self.common_labels),
            string_data={TOKEN_KEY: self.api_token},
        )
        try:
            await self.api.create_namespaced_secret(self.namespace, body)
        except ApiException as error:
            if error.status != CONFLICT:
                raise
            await self.api.patch_namespaced_secret(name, self.namespace, body)
        return name

    async def run_post_stop_hook(self) -> Any:
        """Forget the token of a server that has ended, however it did."""
        try:
            await self.api.delete_namespaced_secret(self._token_name, self.namespace)
        except ApiException as error:
            if error.status not in (NOT_FOUND, FORBIDDEN):
                raise
        return super().run_post_stop_hook()


def _said(message: str, reached: int) -> dict[str, Any]:
    return {"message": message, "html_message": escape(message), "progress": reached}


def _literal(text: str) -> str:
    """KubeSpawner takes single braces for names of its own."""
    return text.replace("{", "{{").replace("}", "}}")


def _place() -> dict[str, Any]:
    """Where the pod is, as Spark's executors must call it."""
    fields = {"POD_IP": "status.podIP", "POD_NAME": "metadata.name"}
    return {
        name: {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in fields.items()
    }


def readable(error: ApiException, team: str) -> tuple[str, str, int]:
    """What the API server said, without what only developers read; a word for the metrics; a code.

    Somebody with a full quota did nothing wrong, but he can mend it: no error of the server's.
    """
    try:
        message = json.loads(error.body or "{}").get("message", "")
    except ValueError:
        message = ""
    if error.status == FORBIDDEN and "exceeded quota" in message:
        # "NAME, requested: …, used: …, limited: …"
        detail = message.partition("exceeded quota: ")[2].partition(", ")[2]
        full = (
            f"Team {team} has no room for this server: {detail}. Stop another server of the team, "
            "choose a smaller profile, or ask for a larger quota."
        )
        return full, "quota", CONFLICT
    return f"The cluster refused the server: {message or error.reason}", "cluster", 500
