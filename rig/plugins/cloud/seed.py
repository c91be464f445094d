"""What was in a cloud before any stack: something to adopt, or in the way."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from pulumi.runtime.proto import provider_pb2

from rig.plugins.cloud.world import FOLDER
from rig.plugins.values import from_struct, to_struct


class Context:
    """Stands where a call of the engine's would be."""

    def abort(self, code: object, message: str) -> NoReturn:
        """Ends the call."""
        del code
        raise ValueError(message)


def seed(
    folder: Path, cloud: str, config: Mapping[str, Any], token: str, inputs: Mapping[str, Any]
) -> str:
    """Makes a resource as somebody else would have, and gives its id.

    `folder` is what SPILLWAY_CLOUD names, `cloud` is aws or gcp, `config` that of its provider.
    """
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(folder)
    try:
        plugin, context = import_module(f"rig.plugins.{cloud}.provider").provider(), Context()
        plugin.Configure(provider_pb2.ConfigureRequest(args=to_struct(config)), context)
    finally:
        os.environ.pop(FOLDER)
        if before is not None:
            os.environ[FOLDER] = before
    urn = f"urn:pulumi:somebody::else::{token}::theirs"
    asked = provider_pb2.CheckRequest(urn=urn, type=token, news=to_struct(inputs))
    checked = plugin.Check(asked, context)
    if checked.failures:
        raise ValueError("; ".join(f"{f.property} {f.reason}" for f in checked.failures))
    created = provider_pb2.CreateRequest(urn=urn, type=token, properties=checked.inputs)
    made = plugin.Create(created, context)
    found = from_struct(made.properties)
    return made.id if "identifier" not in found else str(found["identifier"])
