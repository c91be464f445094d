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


def definition(
    name: str,
    content: Mapping[str, Any],
    spec: Mapping[str, Any],
    marks: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> k8s.apiextensions.CustomResource:
    """Another project's kind, as its ``content`` says but with this ``spec``.

    It stays when the stack goes: with it every object of the kind would go, also other people's.
    """
    return k8s.apiextensions.CustomResource(
        name,
        # As an object without a type: the SDK would take the schema's names for its own.
        api_version=content["apiVersion"],
        kind=content["kind"],
        metadata={
            "name": content["metadata"]["name"],
            "labels": marks,
            "annotations": {"pulumi.com/waitFor": "condition=Established"},
        },
        spec=without_descriptions(spec),
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(retain_on_delete=True, delete_before_replace=True)
        ),
    )


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
