"""A registered model as an API: which versions answer, and which share of the requests each gets.

Owns one SeldonDeployment, and autoscalers where they are wanted. Who may call it is decided at the
gateway (``door/access.py``), who may connect to its pods by the tenant's policies.

The names in it are chosen for what happens to them later. Predictors are called by their place
(``a``, ``b``…), so a share moves, or a version follows another, without a route that disappears. A
Deployment is called by its content: a new version is a new Deployment beside the old one, behind
the same Service, and the operator deletes the old one when the new one is ready and not before.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import shapes
from components.cluster.gpu_pods import Gpus, queued
from components.door.meter import METRIC
from components.labels import ROLE_LABEL, labels, metadata
from components.model_pod import APP, Images, Serving, digest, pod
from components.seldon import API
from components.tenant import MODEL

NAME_LENGTH = 30
"""Longest name of a model, so that those of its Deployments fit into the 63 of a label."""
HINT = 12
"""Characters of the version in a Deployment's name."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version, and its share."""

    uri: str
    traffic: int
    """Percent of the requests; of a shadow, percent that it gets a copy of."""
    shadow: bool = False


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """More servers while those that are there have much to do."""

    most: int
    cpu_percent: int | None = None
    """Of the cores that a server asks for: what all of a version take on average."""
    requests: float | None = None
    """A second, of each server on average; needs a ``RequestMeter``."""
    calm_seconds: int
    """How long fewer must have been enough until some go."""

    def __post_init__(self) -> None:
        if self.cpu_percent is None and self.requests is None:
            raise ValueError("scaling goes by cpu_percent, by requests, or by both")


@dataclass(frozen=True, kw_only=True)
class ModelDeploymentArgs:
    """What is served for whom."""

    model: str
    """Its name in addresses."""
    namespace: pulumi.Input[str]
    tenant: str
    versions: Sequence[Version]
    host: str
    """The name of all models at the front door."""
    images: Images
    tracking_uri: pulumi.Input[str]
    storage: shapes.Storage
    """The tenant's, for models that are in no registry."""
    ready: Sequence[pulumi.Resource] = ()
    """What makes pods and routes of a SeldonDeployment."""
    replicas: int = 1
    """Of each version; the fewest, if there is scaling."""
    scaling: Scaling | None = None
    cpu: float = 0.25
    """Cores that a server asks for; idle ones are there to be used."""
    memory: str = "512Mi"
    start_seconds: int = 600
    """How long a version may take until it answers."""
    gpus: Gpus | None = None
    """Of each server."""
    queue_seconds: int = 0
    """How much longer it may take because its servers wait for machines."""

    def __post_init__(self) -> None:
        if not 0 < len(self.model) <= NAME_LENGTH:
            raise ValueError(f"model must have 1 to {NAME_LENGTH} characters: {self.model!r}")
        shares = [version.traffic for version in self.versions if not version.shadow]
        if sum(shares) != 100:  # noqa: PLR2004 - percent
            raise ValueError(f"traffic must sum to 100, got {shares}")

    @property
    def deadline(self) -> int:
        """Seconds after which a change has failed."""
        return self.start_seconds + self.queue_seconds


class ModelDeployment(pulumi.ComponentResource):
    """Serves a model by the V2 inference protocol, and lets new versions in as slowly as asked."""

    path: str
    """Where the front door has it, behind the host."""

    def __init__(
        self, name: str, args: ModelDeploymentArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:ModelDeployment", name, None, opts)
        self._args = args
        self.path = path(args.tenant, args.model)
        predictors = list(map(self._predictor, ascii_lowercase, args.versions))
        if args.scaling:
            for predictor in predictors:
                self._autoscaler(f"{name}-scaling-{predictor['name']}", predictor, args.scaling)
        k8s.apiextensions.CustomResource(
            f"{name}-serving",
            api_version=API,
            kind="SeldonDeployment",
            metadata={
                **metadata(args.namespace, labels(APP, name, "serving"), args.model),
                "annotations": {
                    "seldon.io/istio-host": args.host,
                    "pulumi.com/waitFor": self._until_served(predictors),
                },
            },
            spec={"name": args.model, "protocol": "v2", "predictors": predictors},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.ready, *args.storage.ready],
                delete_before_replace=True,
                custom_timeouts=pulumi.CustomTimeouts(
                    create=f"{args.deadline}s", update=f"{args.deadline}s"
                ),
            ),
        )
        self.register_outputs({"path": self.path})

    def _predictor(self, place: str, version: Version) -> dict[str, Any]:
        args = self._args
        spec = pod(
            Serving(
                model=args.model,
                uri=version.uri,
                tenant=args.tenant,
                tracking_uri=args.tracking_uri,
                storage=args.storage,
                images=args.images,
                cpu=args.cpu,
                memory=args.memory,
                start_seconds=args.start_seconds,
                gpus=args.gpus,
            )
        )
        # A number that is not said is left to what scales.
        number = {} if args.scaling else {"replicas": args.replicas}
        return {
            "name": place,
            **number,
            "traffic": version.traffic,
            "shadow": version.shadow,
            "progressDeadlineSeconds": args.deadline,
            # Straight to the server: the operator's own proxy in front of it is for graphs.
            "annotations": {"seldon.io/no-engine": "true"},
            "graph": {"name": args.model, "type": "MODEL", "children": []},
            "componentSpecs": [
                {
                    "metadata": {
                        "name": _content(version.uri, spec, scaled=args.scaling is not None),
                        "labels": {
                            ROLE_LABEL: MODEL,
                            **labels(APP, args.model, MODEL),
                            **queued(args.gpus, "serving"),
                        },
                    },
                    "spec": spec,
                }
            ],
        }

    def _until_served(self, predictors: Sequence[dict[str, Any]]) -> pulumi.Output[str]:
        """Its state alone is that of the version before, until the operator has seen the change."""
        args = self._args

        number = "" if args.scaling else f"={args.replicas}"

        def served(predictor: dict[str, Any]) -> pulumi.Output[str]:
            return pulumi.Output.concat(
                "jsonpath={.status.deploymentStatus['",
                self._deployment(predictor),
                f"'].availableReplicas}}{number}",
            )

        each = pulumi.Output.all(*map(served, predictors))
        return each.apply(lambda found: json.dumps([*found, "jsonpath={.status.state}=Available"]))

    def _deployment(self, predictor: dict[str, Any]) -> pulumi.Output[str]:
        """What the operator calls it."""
        content = predictor["componentSpecs"][0]["metadata"]["name"]
        return pulumi.Output.concat(f"{self._args.model}-{predictor['name']}-0-", content)

    def _autoscaler(self, name: str, predictor: dict[str, Any], scaling: Scaling) -> None:
        """An object of its own: the operator's (1.16) are of a kind that Kubernetes has no more.

        It is there before the version is, so that a version starts with as many servers as it has
        to have.
        """
        args = self._args
        k8s.autoscaling.v2.HorizontalPodAutoscaler(
            name,
            metadata=metadata(args.namespace, labels(APP, args.model, "scaling")),
            spec={
                "scale_target_ref": {
                    "api_version": "apps/v1",
                    "kind": "Deployment",
                    "name": self._deployment(predictor),
                },
                "min_replicas": args.replicas,
                "max_replicas": scaling.most,
                "metrics": _measures(args.model, predictor["name"], scaling),
                "behavior": {"scale_down": {"stabilization_window_seconds": scaling.calm_seconds}},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )


def path(tenant: str, model: str) -> str:
    """Where the front door has a model, behind the host."""
    return f"/seldon/{tenant}/{model}/v2/models/{model}"


def _measures(
    model: str, place: str, scaling: Scaling
) -> list[k8s.autoscaling.v2.MetricSpecArgsDict]:
    """What a version is judged by; of two answers the autoscaler takes the larger."""
    found: list[k8s.autoscaling.v2.MetricSpecArgsDict] = []
    if scaling.cpu_percent is not None:
        used: k8s.autoscaling.v2.MetricTargetArgsDict = {
            "type": "Utilization",
            "average_utilization": scaling.cpu_percent,
        }
        found.append({"type": "Resource", "resource": {"name": "cpu", "target": used}})
    if scaling.requests is not None:
        labelled: k8s.meta.v1.LabelSelectorArgsDict = {
            "match_labels": {"model": model, "place": place}
        }
        asked: k8s.autoscaling.v2.MetricTargetArgsDict = {
            "type": "AverageValue",
            "average_value": _quantity(scaling.requests),
        }
        metric: k8s.autoscaling.v2.MetricIdentifierArgsDict = {
            "name": METRIC,
            "selector": labelled,
        }
        found.append({"type": "External", "external": {"metric": metric, "target": asked}})
    return found


def _quantity(number: float) -> str:
    """As Kubernetes writes a number with at most three digits behind the point."""
    thousandths = round(1000 * number)
    whole, part = divmod(thousandths, 1000)
    return f"{thousandths}m" if part else str(whole)


def _content(uri: str, spec: dict[str, Any], *, scaled: bool) -> pulumi.Output[str]:
    """A name that is another one for every other pod, and says which version is in it.

    Also for one whose number changes hands: the operator (1.16) remembers the number that a
    Deployment had, and writes it anew for ever, many times a second, once it is left to others.
    """
    said = re.sub(r"[^a-z0-9]+", "-", re.split(r"[/@]", uri)[-1].lower())[:HINT].strip("-")
    kind = {"scaled": spec} if scaled else spec
    return pulumi.Output.concat(said or "model", "-", digest(kind))
