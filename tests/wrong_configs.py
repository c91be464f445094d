"""Stack configs with one mistake each, and what the one-line error must tell about it.

Data only: unit tests feed it to the program, cluster tests to the real engine.
"""

from dataclasses import dataclass, field
from typing import Any

SECRET_TEXT = "hunter2-must-not-be-printed"


@dataclass(frozen=True)
class Wrong:
    """One mistake."""

    name: str
    config: dict[str, Any]
    """As in a stack file; nested values are sections."""
    key: str
    value: str
    """How the error shows the value; "[secret]" if it must not."""
    allowed: str
    nearest: str = ""
    """The known key the error must suggest, where the key itself is wrong."""
    secret: frozenset[str] = field(default_factory=frozenset[str])
    """Keys whose values are encrypted in the stack file."""


def _mlflow(**settings: Any) -> dict[str, Any]:
    return {"spillway:mlflow": settings}


WORKERS = "a whole number from 1 to 32"
PORTS = "a whole number from 30000 to 32767"
SIZE = "a Kubernetes quantity of at least 1Gi"
NAMESPACE = "lower-case letters, digits and '-', at most 63"
HOSTS = "a list of host names without scheme, port or path"
KUBECONFIG = "the text of a kubeconfig"
TOP = "cloud, namespace, protect, kubeconfig, cluster, images, storage, database"

WRONG = [
    # --- keys nobody reads
    Wrong(
        "a misspelt key",
        {"spillway:mlfow": {"replicas": 3}},
        "spillway:mlfow",
        '{"replicas": 3}',
        TOP,
        "spillway:mlflow",
    ),
    Wrong(
        "a misspelt nested key",
        _mlflow(replica=3),
        "spillway:mlflow.replica",
        "3",
        "replicas, workers",
        "spillway:mlflow.replicas",
    ),
    Wrong(
        "a nested key in snake case",
        _mlflow(node_port=30500),
        "spillway:mlflow.node_port",
        "30500",
        "nodePort",
        "spillway:mlflow.nodePort",
    ),
    Wrong(
        "a nested key at the top",
        {"spillway:replicas": 3},
        "spillway:replicas",
        "3",
        TOP,
        "spillway:mlflow.replicas",
    ),
    Wrong(
        "a key in the wrong section",
        {"spillway:database": {"className": "fast"}},
        "spillway:database.className",
        '"fast"',
        "size",
        "spillway:storage.className",
    ),
    Wrong(
        "a key of a coming release",
        {"spillway:tenants": {"vision": {}}},
        "spillway:tenants",
        '{"vision": {}}',
        TOP,
        "spillway:",
    ),
    Wrong(
        "an unknown key two levels down",
        {"spillway:cluster": {"network": {"pod": "x"}}},
        "spillway:cluster.network.pod",
        '"x"',
        "pods",
        "spillway:cluster.network.pods",
    ),
    Wrong(
        "an unknown secret",
        {"spillway:databasePassword": SECRET_TEXT},
        "spillway:databasePassword",
        "[secret]",
        TOP,
        "spillway:database",
        frozenset({"spillway:databasePassword"}),
    ),
    Wrong(
        "an unknown key that looks like a secret",
        {"spillway:apiToken": SECRET_TEXT},
        "spillway:apiToken",
        "[secret]",
        TOP,
        "spillway:",
    ),
    Wrong(
        "a secret inside a section",
        _mlflow(pass_phrase=SECRET_TEXT),
        "spillway:mlflow.pass_phrase",
        "[secret]",
        "replicas",
        "spillway:",
        frozenset({"spillway:mlflow"}),
    ),
    Wrong(
        "a misspelt project",
        {"spilway:mlflow": {"replicas": 3}},
        "spilway:mlflow",
        "",
        "keys that begin with spillway:",
        "spillway:mlflow",
    ),
    Wrong(
        "a provider's own key",
        {"kubernetes:context": "onprem"},
        "kubernetes:context",
        "",
        "no kubernetes: keys",
        "spillway:cluster.context",
    ),
    # --- values of choices
    Wrong(
        "a cloud that is not available yet",
        {"spillway:cloud": "aws"},
        "spillway:cloud",
        '"aws"',
        "not yet available: only none today",
    ),
    Wrong(
        "a cloud nobody knows",
        {"spillway:cloud": "azure"},
        "spillway:cloud",
        '"azure"',
        "only none today",
    ),
    Wrong(
        "a pull policy in the wrong case",
        {"spillway:images": {"pullPolicy": "always"}},
        "spillway:images.pullPolicy",
        '"always"',
        "one of Always, IfNotPresent, Never",
    ),
    Wrong(
        "protect that is neither true nor false",
        {"spillway:protect": "yes please"},
        "spillway:protect",
        '"yes please"',
        "true or false",
    ),
    Wrong("protect as a number", {"spillway:protect": 1}, "spillway:protect", "1", "true or false"),
    # --- numbers
    Wrong("no replica", _mlflow(replicas=0), "spillway:mlflow.replicas", "0", WORKERS),
    Wrong("half a replica", _mlflow(replicas=1.5), "spillway:mlflow.replicas", "1.5", WORKERS),
    Wrong(
        "replicas in words", _mlflow(replicas="two"), "spillway:mlflow.replicas", '"two"', WORKERS
    ),
    Wrong("replicas as yes", _mlflow(replicas=True), "spillway:mlflow.replicas", "true", WORKERS),
    Wrong("too many workers", _mlflow(workers=33), "spillway:mlflow.workers", "33", WORKERS),
    Wrong(
        "more processes than the database has connections",
        _mlflow(replicas=9, workers=10),
        "spillway:mlflow.replicas",
        "9",
        "at most 7 with 10 workers each",
    ),
    Wrong(
        "a node port below the range",
        _mlflow(nodePort=8080),
        "spillway:mlflow.nodePort",
        "8080",
        PORTS,
    ),
    Wrong(
        "a node port without the pods' network",
        _mlflow(nodePort=30500),
        "spillway:mlflow.nodePort",
        "30500",
        "spillway:cluster.network.pods",
    ),
    # --- sizes, names, addresses
    Wrong(
        "a size without unit",
        {"spillway:database": {"size": "5"}},
        "spillway:database.size",
        '"5"',
        SIZE,
    ),
    Wrong(
        "a size in another spelling",
        {"spillway:database": {"size": "5GB"}},
        "spillway:database.size",
        '"5GB"',
        SIZE,
    ),
    Wrong(
        "a size that is too small",
        {"spillway:objectStore": {"size": "200Mi"}},
        "spillway:objectStore.size",
        '"200Mi"',
        SIZE,
    ),
    Wrong(
        "a namespace in capitals",
        {"spillway:namespace": "Spillway"},
        "spillway:namespace",
        '"Spillway"',
        NAMESPACE,
    ),
    Wrong(
        "a namespace that is too long",
        {"spillway:namespace": "n" * 64},
        "spillway:namespace",
        "nnn",
        NAMESPACE,
    ),
    Wrong(
        "a namespace of the cluster's own",
        {"spillway:namespace": "kube-system"},
        "spillway:namespace",
        '"kube-system"',
        "not default and not kube-",
    ),
    Wrong(
        "a registry with a scheme",
        {"spillway:images": {"registry": "https://r.example.com"}},
        "spillway:images.registry",
        '"https://r.example.com"',
        "without scheme",
    ),
    Wrong(
        "a tag with a colon",
        {"spillway:images": {"tag": "a:b"}},
        "spillway:images.tag",
        '"a:b"',
        "an image tag",
    ),
    Wrong(
        "a storage class with a space",
        {"spillway:storage": {"className": "fast ssd"}},
        "spillway:storage.className",
        '"fast ssd"',
        "the name of a StorageClass",
    ),
    Wrong(
        "a host with a scheme",
        _mlflow(hosts=["https://m.example.com"]),
        "spillway:mlflow.hosts[0]",
        '"https://m.example.com"',
        HOSTS,
    ),
    Wrong(
        "a host with a wildcard",
        _mlflow(hosts=["ok.example.com", "*"]),
        "spillway:mlflow.hosts[1]",
        '"*"',
        HOSTS,
    ),
    Wrong(
        "one host instead of a list",
        _mlflow(hosts="m.example.com"),
        "spillway:mlflow.hosts",
        '"m.example.com"',
        HOSTS,
    ),
    Wrong(
        "an origin without scheme",
        _mlflow(origins=["ds.example.com"]),
        "spillway:mlflow.origins[0]",
        '"ds.example.com"',
        "a list of origins such as https://",
    ),
    Wrong(
        "a pod network that is no network",
        {"spillway:cluster": {"network": {"pods": "10.42.0.1/16"}}},
        "spillway:cluster.network.pods",
        '"10.42.0.1/16"',
        "a network such as 10.42.0.0/16",
    ),
    Wrong(
        "a section that is a word",
        {"spillway:mlflow": "on"},
        "spillway:mlflow",
        '"on"',
        "a map with: replicas, workers",
    ),
    Wrong(
        "a section that is empty",
        {"spillway:cluster": None},
        "spillway:cluster",
        '""',
        "a map with: context, network",
    ),
    # --- the kubeconfig
    Wrong(
        "a kubeconfig in plain text",
        {"spillway:kubeconfig": f"clusters: [{SECRET_TEXT}]"},
        "spillway:kubeconfig",
        "[secret]",
        KUBECONFIG,
    ),
    Wrong(
        "a path instead of a kubeconfig",
        {"spillway:kubeconfig": f"/root/{SECRET_TEXT}"},
        "spillway:kubeconfig",
        "[secret]",
        KUBECONFIG,
        secret=frozenset({"spillway:kubeconfig"}),
    ),
    Wrong(
        "a kubeconfig that is no YAML",
        {"spillway:kubeconfig": f"{{{SECRET_TEXT}"},
        "spillway:kubeconfig",
        "[secret]",
        KUBECONFIG,
        secret=frozenset({"spillway:kubeconfig"}),
    ),
    Wrong(
        "both a kubeconfig and a context",
        {"spillway:kubeconfig": "clusters: []", "spillway:cluster": {"context": "onprem"}},
        "spillway:cluster.context",
        '"onprem"',
        "left out when spillway:kubeconfig is set",
        secret=frozenset({"spillway:kubeconfig"}),
    ),
]
