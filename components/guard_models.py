"""What the guard says of SeldonDeployments, whose pods the operator makes in its own name."""

from collections.abc import Sequence

from components.admission import Validation, in_containers, rule
from components.cluster.nodes import GPU
from components.cluster.queue import PRIORITY_LABEL, QUEUE_LABEL
from components.labels import ROLE_LABEL
from components.tenant import MODEL, STORAGE

OWN_TAINTS = "spillway.dev/"
"""Prefix of taints that keep work off nodes which the platform hands out itself."""
NO_GPU = (
    "!c.?resources.?limits.orValue({}).exists(r, r.startsWith('nvidia.com/')) && "
    "!c.?resources.?requests.orValue({}).exists(r, r.startsWith('nvidia.com/'))"
)
"""Of a container ``c``."""


def rules() -> Sequence[Validation]:
    """A model's pod is a server of models and nothing else, and its routes are its own."""
    no_key = "c.?env.orValue([]).all(e, !has(e.valueFrom) || !has(e.valueFrom.secretKeyRef) "
    no_keys = "c.?envFrom.orValue([]).all(e, !has(e.secretRef) "
    return [
        rule(
            "object.spec.predictors.all(p, !has(p.explainer) && !has(p.graph.modelUri) && "
            "!has(p.graph.serviceAccountName) && !has(p.graph.envSecretRefName) && "
            "!has(p.graph.implementation) && !has(p.svcOrchSpec))",
            "spec.predictors: what a pod is made of is said in componentSpecs alone",
        ),
        rule(
            "object.spec.predictors.all(p, p.?componentSpecs.orValue([]).all(s, "
            "!has(s.hpaSpec) && !has(s.kedaSpec)))",
            "spec.predictors.componentSpecs: autoscalers are objects of their own",
        ),
        rule(
            "object.spec.predictors.all(p, p.?componentSpecs.orValue([]).all(s, "
            f"s.?metadata.?labels[?'{ROLE_LABEL}'].orValue('') == '{MODEL}'))",
            f"spec.predictors.componentSpecs.metadata.labels: {ROLE_LABEL} is {MODEL}",
        ),
        rule(
            "object.spec.predictors.all(p, p.?componentSpecs.orValue([]).all(q, "
            f"q.?metadata.?labels[?'{PRIORITY_LABEL}'].orValue('serving') == 'serving'))",
            f"spec.predictors.componentSpecs.metadata.labels: {PRIORITY_LABEL} is serving",
        ),
        rule(
            "object.spec.predictors.all(p, p.?componentSpecs.orValue([]).all(q, "
            f"!has(q.spec) || q.?metadata.?labels[?'{QUEUE_LABEL}'].hasValue() || "
            f"[q.spec].all(s, {in_containers(NO_GPU)})))",
            f"spec.predictors.componentSpecs.metadata.labels: who asks for {GPU} names a queue: "
            f"{QUEUE_LABEL}=default",
        ),
        _pods(
            f"s.?serviceAccountName.orValue('') == '{MODEL}'",
            f"serviceAccountName: models run as {MODEL}",
        ),
        _pods("s.?nodeName.orValue('') == ''", "nodeName: the scheduler finds the node"),
        _pods(
            "s.?priorityClassName.orValue('') == ''",
            "priorityClassName: models have no priority of their own",
        ),
        _pods(
            "s.?tolerations.orValue([]).all(t, "
            f"t.?key.orValue('') != '' && !t.key.startsWith('{OWN_TAINTS}'))",
            f"tolerations: {OWN_TAINTS}… and taints without a key are not tolerated by hand",
        ),
        _pods(
            "s.?volumes.orValue([]).all(v, has(v.emptyDir) || has(v.configMap) || "
            "has(v.downwardAPI) || v.?projected.?sources.orValue([]).size() > 0 && "
            "v.projected.sources.all(o, !has(o.secret)))",
            "volumes: only emptyDir, configMap, downwardAPI and tokens",
        ),
        _pods(
            in_containers(f"{no_key}|| e.valueFrom.secretKeyRef.name == '{STORAGE}')"),
            f"containers.env: secretKeyRef may name the Secret {STORAGE} alone",
        ),
        _pods(
            in_containers(f"{no_keys}|| e.secretRef.name == '{STORAGE}')"),
            f"containers.envFrom: secretRef may name the Secret {STORAGE} alone",
        ),
    ]


def _pods(condition: str, message: str) -> Validation:
    """It holds for the specification ``s`` of each pod."""
    return rule(
        "object.spec.predictors.all(p, p.?componentSpecs.orValue([]).all(q, "
        f"!has(q.spec) || [q.spec].all(s, {condition})))",
        f"spec.predictors.componentSpecs.spec.{message}",
    )
