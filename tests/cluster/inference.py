"""Calls of a model by gRPC through the door, as clients of the V2 inference protocol make them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from behind import MODELS
from served import MODEL, ROWS
from testbed import HTTPS_DOOR, TENANT, Testbed

messages, services = grpc.protos_and_services("inference.proto")


@contextmanager
def calling(bed: Testbed, authority: Path) -> Iterator[Any]:
    """A client whose connection is to the door."""
    credentials = grpc.ssl_channel_credentials(authority.read_bytes())
    options = [
        ("grpc.ssl_target_name_override", MODELS),
        ("grpc.default_authority", f"{MODELS}:{HTTPS_DOOR}"),
    ]
    target = f"ipv4:{bed.layout.address}:{HTTPS_DOOR}"
    with grpc.secure_channel(target, credentials, options) as channel:
        yield services.GRPCInferenceServiceStub(channel)


def infer(client: Any, headers: Mapping[str, str], tenant: str = TENANT) -> list[int]:
    """What the model says to ``ROWS``."""
    rows = messages.ModelInferRequest.InferInputTensor(
        name="rows", datatype="FP64", shape=[len(ROWS), len(ROWS[0])]
    )
    rows.contents.fp64_contents.extend(value for row in ROWS for value in row)
    request = messages.ModelInferRequest(model_name=MODEL, inputs=[rows])
    request.parameters["content_type"].string_param = "np"
    answer = client.ModelInfer(request, metadata=_metadata(headers, tenant), timeout=20)
    return list(answer.outputs[0].contents.int64_contents)


def unload(client: Any, headers: Mapping[str, str]) -> None:
    """Ask its server to answer for the model no more."""
    request = messages.RepositoryModelUnloadRequest(model_name=MODEL)
    client.RepositoryModelUnload(request, metadata=_metadata(headers, TENANT), timeout=20)


def _metadata(headers: Mapping[str, str], tenant: str) -> list[tuple[str, str]]:
    words = {"seldon": MODEL, "namespace": tenant, **headers}
    return [(name.lower(), value) for name, value in words.items()]


def refusal(client: Any, headers: Mapping[str, str], tenant: str = TENANT) -> grpc.StatusCode:
    """Why there is no answer."""
    try:
        answer = infer(client, headers, tenant)
    except grpc.RpcError as error:
        return error.code()
    raise AssertionError(f"it was answered: {answer}")
