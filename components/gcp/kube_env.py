"""What a machine would be like while there is none, as Cluster Autoscaler reads it on Google Cloud.

It looks for ``kube-env`` in the metadata of a group's template, and there for one line of
``name=value`` with semicolons between them, of which some values are lists with commas:
https://github.com/kubernetes/autoscaler/tree/master/cluster-autoscaler/cloudprovider/gce
"""

import json
from collections.abc import Mapping, Sequence

from components.cluster.nodes import EVICTION, RESERVED, Taint

VARIABLES = "AUTOSCALER_ENV_VARS"
SEPARATORS = frozenset(";,\"' ")
"""They part what the autoscaler reads; there is no way to write one inside a value."""


def kube_env(
    labels: Mapping[str, str], taints: Sequence[Taint], resources: Mapping[str, str]
) -> str:
    """The value of the key, or an error where the autoscaler would read something else."""
    keys = [taint.key for taint in taints]
    if len(set(keys)) < len(keys):
        raise ValueError(f"the autoscaler keeps one taint a key, not all of {keys}")
    for text in (*labels, *labels.values(), *keys, *resources, *resources.values()):
        if found := SEPARATORS & set(text):
            raise ValueError(f"{text!r} has {sorted(found)} in it, which part values")
    variables = {
        "os": "linux",
        "arch": "amd64",
        "os_distribution": "ubuntu",
        "node_labels": _pairs(labels),
        "node_taints": _pairs({taint.key: taint.text for taint in taints}),
        "extended_resources": _pairs(resources),
        "kube_reserved": _pairs(RESERVED),
        "evictionHard": _pairs(EVICTION),
    }
    # A semicolon at the end would be an item without "=", which hides all that is asked for later.
    line = ";".join(f"{name}={value}" for name, value in variables.items() if value)
    # JSON is YAML, and never folds a long line.
    return json.dumps({VARIABLES: line})


def _pairs(values: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items())
