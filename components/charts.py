"""Charts of other projects, rendered by the engine's own provider from a folder on this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components import network


def render(  # noqa: PLR0913 - what a release is made of
    name: str,
    *,
    release: str,
    folder: Path,
    namespace: pulumi.Input[str],
    values: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
) -> k8s.helm.v4.Chart:
    """Every object of the chart in ``folder`` as a resource of the stack, in full in its plan."""
    return k8s.helm.v4.Chart(
        name,
        chart=str(folder),
        name=release,
        namespace=namespace,
        values=values,
        opts=opts,
    )


def from_api_server(nodes: str | None, port: int) -> network.Ingress:
    """Let the API server call a webhook's port: from the CIDR of its machines, where it is known.

    No label picks an API server, and it may be outside of the cluster.
    """
    return network.ingress([{"ip_block": {"cidr": nodes or "0.0.0.0/0"}}], port)


def without_descriptions(schema: Any) -> Any:
    """They are three quarters of the text, which the engine would carry through every plan."""
    if isinstance(schema, list):
        return [without_descriptions(part) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_descriptions(value)
        for key, value in cast("dict[str, Any]", schema).items()
        # A property may be called so, too.
        if key != "description" or not isinstance(value, str)
    }
