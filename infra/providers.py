"""The connections of a stack: every component is given one, none is found by chance."""

import pulumi
import pulumi_kubernetes as k8s

from infra.settings import Settings, kubeconfig


def kubernetes(settings: Settings) -> k8s.Provider:
    """The one cluster of this stack."""
    return k8s.Provider(
        "cluster",
        kubeconfig=kubeconfig(settings),
        context=settings.cluster.context,
        # Decides alone whether everything is replaced: new certificates or another address in
        # the kubeconfig must not, another context must.
        cluster_identifier=settings.cluster.context or pulumi.get_stack(),
        enable_server_side_apply=True,
        suppress_deprecation_warnings=False,
    )
