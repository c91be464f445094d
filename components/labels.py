"""The labels every Kubernetes object carries, in one place."""

import pulumi
import pulumi_kubernetes as k8s

CLIENT_LABEL = "spillway.dev/mlflow-client"
"""A namespace with this label set to "true" may call the tracking server."""
WORKSPACE_LABEL = "spillway.dev/mlflow-workspace"
"""A namespace with this label set to "true" is a workspace of the tracking server."""
TENANT_LABEL = "spillway.dev/tenant"
"""A namespace with this label set to "true" belongs to a tenant."""
ROLE_LABEL = "spillway.dev/role"
"""What a tenant's pod is: notebook, spark-executor, job or model."""
DNS_LABEL = "spillway.dev/dns"
"""A pod with this label set to "denied" cannot look up names: it calls nobody."""

AT_ONCE = {"pulumi.com/skipAwait": "true"}
"""The annotation of an object that is as good as its pods, which are awaited themselves.

For a Service the engine else waits ten seconds more, in case its pods change.
"""


def selector(app: str, instance: str, role: str | None = None) -> dict[str, str]:
    """What picks the pods of one instance of an app, or only those with one role in it.

    Selectors of workloads are immutable, so nothing that could ever change belongs here.
    """
    chosen = {"app.kubernetes.io/name": app, "app.kubernetes.io/instance": instance}
    return chosen if role is None else {**chosen, "app.kubernetes.io/component": role}


def labels(app: str, instance: str, role: str) -> dict[str, str]:
    """All labels of an object."""
    return {
        **selector(app, instance, role),
        "app.kubernetes.io/part-of": "spillway",
        "app.kubernetes.io/managed-by": "pulumi",
    }


def metadata(
    namespace: pulumi.Input[str], marks: dict[str, str], name: str | None = None
) -> k8s.meta.v1.ObjectMetaArgsDict:
    """Metadata with the labels; a name only where others must know it, else Pulumi makes one."""
    meta: k8s.meta.v1.ObjectMetaArgsDict = {"namespace": namespace, "labels": marks}
    return meta if name is None else {**meta, "name": name}
