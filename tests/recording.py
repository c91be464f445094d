"""A recording engine: a component under test registers here instead of in a cluster."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import computed_aws
import computed_gcp
import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, resource
from pulumi.runtime.proto.source_pb2 import StackTrace
from pulumi.runtime.settings import get_monitor, reset_options

RANDOM = {
    "random:index/randomPassword:RandomPassword": {"bcryptHash": "$2a$"},
    "random:index/randomId:RandomId": {"hex": "0badcafe"},
}

CLOUDS: dict[str, Callable[[MockResourceArgs], dict[str, Any]]] = {
    "aws:": computed_aws.outputs,
    "gcp:": computed_gcp.outputs,
}
"""By the start of a type, what that cloud would compute; inputs go before it."""


class Engine(pulumi.runtime.Mocks):
    """Records every registration and fills in the outputs a provider would compute."""

    def __init__(self) -> None:
        self.resources: list[MockResourceArgs] = []
        self.requests: dict[str, Any] = {}
        """By name, what the program asked the engine for: protect, dependencies, provider..."""
        self.urns: list[str] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(args)
        state = dict(args.inputs)
        if args.typ in RANDOM:
            state |= RANDOM[args.typ]
            state.setdefault("result", f"hunter2{args.name}".replace("-", ""))
        if args.typ.startswith("kubernetes:"):
            state["metadata"] = {"name": args.name, **(state.get("metadata") or {})}
        for prefix, outputs in CLOUDS.items():
            if args.typ.startswith(prefix):
                state = {**outputs(args), **state}
        return args.resource_id or f"{args.name}-id", state

    def call(self, args: MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"unexpected lookup {args.token}({args.args})")

    def of(self, typ: str) -> dict[str, dict[str, Any]]:
        """Inputs by resource name; ``typ`` may be only the kind: ``Secret``."""
        return {r.name: r.inputs for r in self.resources if r.typ == typ or _kind(r.typ) == typ}

    def named(self, name: str) -> dict[str, Any]:
        found = [r.inputs for r in self.resources if r.name == name]
        assert len(found) == 1, f"expected one {name}: {[r.name for r in self.resources]}"
        return found[0]

    def children(self) -> list[MockResourceArgs]:
        """Every Kubernetes object of ours: no provider, and no chart, whose objects are others'."""
        return [
            r
            for r in self.resources
            if r.typ.startswith("kubernetes:") and not r.typ.startswith("kubernetes:helm.sh/")
        ]

    def urn(self, name: str) -> str:
        return next(urn for urn in self.urns if urn.endswith(f"::{name}"))


def _kind(typ: str) -> str:
    return typ.rpartition(":")[2]


@contextmanager
def recording() -> Iterator[Engine]:
    """A fresh loop and engine, so that nothing awaits what an earlier test queued."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    engine = Engine()
    pulumi.runtime.set_mocks(engine, project="spillway", stack="dev", preview=False)
    pulumi.runtime.set_all_config({}, [])
    monitor = get_monitor()
    register = monitor.RegisterResource

    def record(request: Any) -> Any:
        engine.requests[request.name] = request
        return register(request)

    monitor.RegisterResource = record
    # Where in the program a resource was made is a third of the time of a test, and never read.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "_get_stack_trace", StackTrace, raising=False)
        yield from _until_closed(engine, monitor, loop)


def _until_closed(
    engine: Engine, monitor: Any, loop: asyncio.AbstractEventLoop
) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.urns = list(monitor.resources)
        for task in (pending := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        reset_options()
        pulumi.runtime.set_all_config({}, [])
        loop.close()


def settle(build: Callable[[], Any]) -> Any:
    """Build something, wait until every registration has landed, and give back its outputs."""
    seen: list[Any] = []

    @pulumi.runtime.test
    def program() -> pulumi.Output[None]:
        return pulumi.Output.from_input(build()).apply(seen.append)

    program()
    get_engine().urns = list(get_monitor().resources)
    return seen[0]


def get_engine() -> Engine:
    return get_monitor().mocks


@cache
def recorded(build: Callable[[], Any]) -> Engine:
    """What a build registers, built once: for tests that only read."""
    with recording() as engine:
        settle(build)
    return engine
