"""Requests and answers of the protocol, so that nothing secret leaves by a message."""

import functools
import json
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2

from rig.plugins.base import Failure, abort
from rig.plugins.cloud.kinds import Refused
from rig.plugins.cloud.metadata import NoSuchType, Schema, given
from rig.plugins.cloud.world import is_write_only
from rig.plugins.values import Secret, Value, Values, from_struct, plain


def safely(call: Callable[..., Any]) -> Callable[..., Any]:
    """Turns refusals into the engine's errors, and a mistake of ours into one without values."""

    @functools.wraps(call)
    def wrapped(self: Any, request: Any, context: Any) -> Any:
        try:
            return call(self, request, context)
        except (Refused, NoSuchType) as refused:
            message = scrubbed(str(refused), secrets_of(request))
            abort(context, grpc.StatusCode.FAILED_PRECONDITION, message)
        except Exception as error:
            if not str(error) and type(error) is Exception:
                raise  # the end of a call, not a mistake
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            message = f"mistake in the stand-in: {type(error).__name__} at {place}"
            abort(context, grpc.StatusCode.INTERNAL, message)

    return wrapped


def config(values: Values, described: Schema) -> Values:
    """The configuration of a provider, whose nested values arrive as JSON."""

    def read(name: str, value: Value) -> Value:
        if isinstance(value, Secret):
            return Secret(read(name, value.value))
        if isinstance(value, str) and described.inputs.get(name) not in (None, "string", "any"):
            try:
                return json.loads(value)
            except ValueError:
                return value
        return value

    skipped = {"version", "pluginDownloadURL"}
    return {n: read(n, v) for n, v in given(values).items() if n not in skipped}


def checked(
    inputs: Any, failures: Iterable[Failure], secrets: Iterable[str]
) -> provider_pb2.CheckResponse:
    """The answer to a check, with no secret in what it says."""
    return provider_pb2.CheckResponse(
        inputs=inputs,
        failures=[
            provider_pb2.CheckFailure(
                property=failure.property, reason=scrubbed(failure.reason, secrets)
            )
            for failure in failures
        ],
    )


def as_known(value: Value, before: Value) -> Value:
    """The value as the engine has it, with its marks, if it is the same."""
    return before if before is not None and plain(before) == plain(value) else value


def without_write_only(inputs: Values) -> Values:
    """Inputs as a state keeps them."""
    return {n: v for n, v in given(inputs).items() if not is_write_only(n)}


def secrets_of(request: Any) -> set[str]:
    """Every secret text in a request, so that no message repeats one."""
    found = set[str]()
    for part in ("news", "olds", "properties", "inputs", "args"):
        struct = getattr(request, part, None)
        if struct is not None and hasattr(struct, "fields"):
            _collect(from_struct(struct), False, found)
    return found


def _collect(value: Value, secret: bool, found: set[str]) -> None:
    match value:
        case Secret():
            _collect(value.value, True, found)
        case dict():
            for name, item in value.items():
                _collect(item, secret or is_write_only(str(name)), found)
        case list():
            for item in value:
                _collect(item, secret, found)
        case str() if secret and value:
            found.add(value)
        case _:
            pass


def scrubbed(message: str, secrets: Iterable[str]) -> str:
    """A message of one line, without the secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        message = message.replace(secret, "[secret]")
    return " ".join(message.split())
