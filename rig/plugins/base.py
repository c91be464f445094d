"""What every stand-in plugin shares: Pulumi's provider protocol, checks, diffs and serving.

A stand-in whose resources live in the engine's state alone declares them as `Resource` subclasses
and calls `serve`; what needs a memory of its own is in `rig.plugins.cloud`. None logs a value.
"""

import json
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, ClassVar, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from rig.plugins.values import (
    UNKNOWN,
    Secret,
    Value,
    Values,
    from_struct,
    is_unknown,
    plain,
    to_struct,
)

Difference = provider_pb2.PropertyDiff


class Kind(StrEnum):
    """Types of properties, as messages name them."""

    BOOLEAN = "true or false"
    INTEGER = "a whole number"
    STRING = "text"
    STRINGS = "a map of texts"


_SCHEMA: Mapping[Kind, dict[str, Any]] = {
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.INTEGER: {"type": "integer"},
    Kind.STRING: {"type": "string"},
    Kind.STRINGS: {"type": "object", "additionalProperties": {"type": "string"}},
}


@dataclass(frozen=True, kw_only=True)
class Property:
    """One property of a resource."""

    kind: Kind
    default: Value = None
    required: bool = False
    secret: bool = False
    """Whether an output is encrypted in state; an input is secret when the program made it so."""

    def accepts(self, value: Value) -> bool:
        """Whether a value has this property's type; a value not known yet may turn out right."""
        value = plain(value)
        match self.kind:
            case _ if value is UNKNOWN:
                return True
            case Kind.BOOLEAN:
                return isinstance(value, bool)
            case Kind.INTEGER:
                return isinstance(value, int) and not isinstance(value, bool)
            case Kind.STRING:
                return isinstance(value, str)
            case Kind.STRINGS:
                return isinstance(value, dict) and all(
                    item is UNKNOWN or isinstance(item, str) for item in value.values()
                )


@dataclass(frozen=True)
class Failure:
    """Why inputs are refused: shown by the engine next to the resource, before anything is done."""

    property: str
    reason: str


def unknown_name(name: str, owner: str, known: Iterable[str], path: str = "") -> Failure:
    """The refusal of a property that does not exist, with the one that was probably meant."""
    known = list(known)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
    return Failure(path or name, f"is not a property of {owner}; {hint}")


class Resource(ABC):
    """One type of resource: what it takes, what it gives, and what a change means."""

    token: ClassVar[str]
    inputs: ClassVar[Mapping[str, Property]]
    outputs: ClassVar[Mapping[str, Property]]
    """What creation computes, besides the inputs, which are all outputs too."""

    @abstractmethod
    def create(self, inputs: Values) -> tuple[str, Values]:
        """Makes the resource from plain, complete inputs: its id and its computed outputs."""

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """What is wrong with plain, complete inputs of the right types; some may be `UNKNOWN`."""
        del inputs
        return ()

    def complete(self, inputs: Values) -> Values:
        """Every input, with its default where the program gave none."""
        given = {name: value for name, value in inputs.items() if value is not None}
        return {name: given.get(name, spec.default) for name, spec in self.inputs.items()}

    def replaces(self, name: str) -> bool:
        """Whether a change of this input makes a new resource."""
        del name
        return True

    def check(self, inputs: Values) -> list[Failure]:
        """All that is wrong with the inputs a program gave."""
        # Keys with two underscores are bookkeeping of bridged providers, found in their states.
        given = {n: v for n, v in inputs.items() if v is not None and not n.startswith("__")}
        failures = [self._unknown_name(name) for name in given if name not in self.inputs]
        failures += [
            Failure(name, f"must be {spec.kind}")
            for name, spec in self.inputs.items()
            if name in given and not spec.accepts(given[name])
        ]
        failures += [
            Failure(name, "is required")
            for name, spec in self.inputs.items()
            if spec.required and name not in given
        ]
        return failures or list(self.validate(plain(self.complete(given))))

    def _unknown_name(self, name: str) -> Failure:
        return unknown_name(name, self.token, self.inputs)


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """What the engine asks of any plugin, whatever its resources are."""

    def __init__(self, name: str, version: str) -> None:
        self._name = name
        self._version = version

    def Handshake(self, request: Any, context: Any) -> provider_pb2.ProviderHandshakeResponse:
        """Agrees on the protocol: secrets arrive marked and leave marked."""
        del request, context
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Empty:
        """Nothing to attach: no stand-in calls the engine back."""
        del request, context
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        """The version of the plugin it stands in for."""
        del request, context
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: Any) -> provider_pb2.GetSchemaResponse:
        """The part of the package's schema that is here."""
        del request, context
        schema = {"name": self._name, "version": self._version, "resources": self._schemas()}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def CheckConfig(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        """Takes any configuration: most stand-ins reach nothing that would need it."""
        del context
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        """No configuration makes a difference, so none replaces resources."""
        del request, context
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> provider_pb2.ConfigureResponse:
        """Says the same as the handshake, and that previews may ask for outputs."""
        del request, context
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Empty:
        """Nothing takes long enough to be cancelled."""
        del request, context
        return Empty()

    def _schemas(self) -> dict[str, Any]:
        return {}

    def _install(self) -> str:
        return f"pulumi plugin install resource {self._name} {self._version}"


class StandIn(Plugin):
    """A provider of some resources that live in the engine's state alone."""

    def __init__(self, name: str, version: str, resources: Iterable[Resource]) -> None:
        super().__init__(name, version)
        self._resources = {resource.token: resource for resource in resources}

    def _schemas(self) -> dict[str, Any]:
        return {token: _schema(resource) for token, resource in self._resources.items()}

    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        """Refuses wrong inputs before anything is done; right ones pass unchanged."""
        del context
        resource = self._resources.get(token_of(request))
        failures = (
            resource.check(from_struct(request.news))
            if resource
            else [Failure("", self._no_such(token_of(request)))]
        )
        return provider_pb2.CheckResponse(
            inputs=request.news,
            failures=[
                provider_pb2.CheckFailure(property=failure.property, reason=failure.reason)
                for failure in failures
            ],
        )

    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        """Compares the inputs recorded in the state with those wanted now."""
        resource = self._resource(request, context)
        olds = resource.complete(from_struct(request.olds))
        news = resource.complete(from_struct(request.news))
        changed = [name for name in news if _differs(olds[name], news[name])]
        replaces = [name for name in changed if resource.replaces(name)]
        changes = provider_pb2.DiffResponse
        return provider_pb2.DiffResponse(
            changes=changes.DIFF_SOME if changed else changes.DIFF_NONE,
            replaces=replaces,
            hasDetailedDiff=True,
            detailedDiff={
                name: Difference(
                    kind=difference(olds[name], news[name], name in replaces), inputDiff=True
                )
                for name in changed
            },
        )

    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        """Creates; in a preview, only says which outputs there will be."""
        resource = self._resource(request, context)
        inputs = resource.complete(from_struct(request.properties))
        if request.preview:
            identifier, computed = "", dict.fromkeys(resource.outputs, UNKNOWN)
        else:
            identifier, computed = resource.create(plain(inputs))
        outputs = {
            name: Secret(value) if resource.outputs[name].secret else value
            for name, value in computed.items()
        }
        return provider_pb2.CreateResponse(id=identifier, properties=to_struct(inputs | outputs))

    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        """Refreshes to what the state says, its only record; so there is nothing to import."""
        resource = self._resource(request, context)
        if not request.properties.fields:
            abort(
                context,
                grpc.StatusCode.UNIMPLEMENTED,
                f"importing {resource.token} is not supported by this stand-in; "
                f"install the real plugin: {self._install()}",
            )
        return provider_pb2.ReadResponse(
            id=request.id, properties=request.properties, inputs=request.inputs
        )

    def Update(self, request: Any, context: Any) -> NoReturn:
        """Never asked for: every change replaces."""
        token = self._resource(request, context).token
        abort(context, grpc.StatusCode.UNIMPLEMENTED, f"{token} cannot be updated in place")

    def Delete(self, request: Any, context: Any) -> Empty:
        """Forgets; the engine drops the state."""
        self._resource(request, context)
        return Empty()

    def _resource(self, request: Any, context: Any) -> Resource:
        token = token_of(request)
        if token not in self._resources:
            abort(context, grpc.StatusCode.UNIMPLEMENTED, self._no_such(token))
        return self._resources[token]

    def _no_such(self, token: str) -> str:
        return (
            f"this stand-in for the {self._name} plugin has no {token}, only "
            f"{', '.join(sorted(self._resources))}; install the real plugin: {self._install()}"
        )


def serve(provider: Plugin) -> None:
    """Serves the engine that started this process, and ends when that engine is gone."""
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    # As many as an engine asks for at once: what is slow must not hold up what is not.
    server = grpc.server(ThreadPoolExecutor(max_workers=64), options=unlimited)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    engine = os.getppid()
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # How the engine ends its plugins; it waits 5 s for those that do not react.
    signal.signal(signal.SIGINT, lambda *_: server.stop(grace=None))
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # An engine that was killed cannot end its plugins: they notice that they were orphaned.
    while server.wait_for_termination(timeout=0.2):
        if os.getppid() != engine:
            # Threads would first do all that is queued, long after the next engine has looked.
            os._exit(1)


def token_of(request: Any) -> str:
    """The type of the resource that a request is about."""
    return request.type or request.urn.split("::")[2].rsplit("$", 1)[-1]


def abort(context: Any, code: grpc.StatusCode, message: str) -> NoReturn:
    """Ends a call with a message for the user."""
    context.abort(code, message)
    raise AssertionError("abort raises")


def _differs(old: Value, new: Value) -> bool:
    return is_unknown(new) or plain(old) != plain(new)


def difference(old: Value, new: Value, replaces: bool) -> Any:
    """What the engine calls a change from one value to another."""
    if old is None:
        return Difference.ADD_REPLACE if replaces else Difference.ADD
    if new is None:
        return Difference.DELETE_REPLACE if replaces else Difference.DELETE
    return Difference.UPDATE_REPLACE if replaces else Difference.UPDATE


def _schema(resource: Resource) -> dict[str, Any]:
    inputs = {name: dict(_SCHEMA[spec.kind]) for name, spec in resource.inputs.items()}
    outputs = {
        name: _SCHEMA[spec.kind] | ({"secret": True} if spec.secret else {})
        for name, spec in resource.outputs.items()
    }
    return {
        "inputProperties": inputs,
        "requiredInputs": [name for name, spec in resource.inputs.items() if spec.required],
        "properties": inputs | outputs,
        "required": sorted(outputs),
    }
