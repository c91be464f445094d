"""The connections of a stack: every component is given one, none is found by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as k8s

from infra.sections import Aws, Gcp
from infra.settings import Settings, encrypted

if TYPE_CHECKING:
    import pulumi_aws
    import pulumi_gcp

MARK = "spillway"


def kubernetes(settings: Settings) -> k8s.Provider:
    """The one cluster of this stack."""
    return k8s.Provider(
        "cluster",
        kubeconfig=encrypted(settings.kubeconfig),
        context=settings.cluster.context,
        # Decides alone whether everything is replaced: new certificates or another address in
        # the kubeconfig must not, another context must.
        cluster_identifier=settings.cluster.context or pulumi.get_stack(),
        enable_server_side_apply=True,
        # A destroy asks several times for each of hundreds of objects: at the provider's usual
        # fifty requests a second that is what it waits for. The API server shares itself out.
        kube_client_settings={"qps": 200, "burst": 400},
        suppress_deprecation_warnings=False,
    )


def aws(section: Aws) -> pulumi_aws.Provider:
    """The one account and region of this stack; everything it makes carries the tags."""
    import pulumi_aws  # noqa: PLC0415 - a stack without AWS need not have its SDK

    return pulumi_aws.Provider(
        "aws",
        region=section.region,
        allowed_account_ids=[section.account],
        default_tags={"tags": _marks()},
    )


def gcp(section: Gcp) -> pulumi_gcp.Provider:
    """The one project and region of this stack; everything it makes carries the labels."""
    import pulumi_gcp  # noqa: PLC0415 - a stack without Google Cloud need not have its SDK

    return pulumi_gcp.Provider(
        "gcp",
        project=section.project,
        region=section.region,
        default_labels=_marks(),
    )


def _marks() -> dict[str, str]:
    """Tags and labels of the stack, in the alphabet of both clouds."""
    return {"project": MARK, "stack": pulumi.get_stack().lower(), "managed-by": "pulumi"}
