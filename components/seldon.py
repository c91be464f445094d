"""Seldon Core's operator: turns SeldonDeployments into pods, Services and routes of the front door.

Owns the operator, its rights and its webhook. It has no configuration of servers and explainers:
what a model's pod is made of is said in ``components/model.py``, container by container, because
the operator's own init container would not pass the restricted standard.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import charts, network
from components.door.called import INJECTED, Called, called
from components.door.issuers import Certificates
from components.labels import labels, metadata, selector
from components.model_pod import GRPC, HTTP
from components.namespace import FencedNamespace, FencedNamespaceArgs
from components.pods import PullPolicy, Scratch, container, http_probe, pod
from components.rights import Rule, bind_everywhere, give

APP = "seldon"
NAMESPACE = "seldon-system"
GROUP = "machinelearning.seldon.io"
API = f"{GROUP}/v1"
UID = 8888
"""Of the official image."""
WEBHOOK_PORT, METRICS_PORT = 4443, 8080
WEBHOOK_PATH = "/validate-machinelearning-seldon-io-v1-seldondeployment"
CERTIFICATES = "/tmp/k8s-webhook-server/serving-certs"  # noqa: S108 - where the operator looks
TMP = Scratch(path="/tmp", size="64Mi")  # noqa: S108 - a volume of the pod's own


LEADER = (
    Rule(groups=["coordination.k8s.io"], resources=["leases"], verbs=["get", "create", "update"]),
    Rule(groups=[""], resources=["events"], verbs=["create", "patch"]),
)
"""To elect a leader."""


@dataclass(frozen=True, kw_only=True)
class SeldonArgs:
    """Where its manifests and image are from, and where it writes routes for."""

    role: Path
    """The project's own ClusterRole: what the operator may do."""
    image: pulumi.Input[str]
    pull_policy: PullPolicy
    gateway: str
    """``namespace/name`` of the Gateway that routes are made for."""
    api_server: network.Egress
    ready: Sequence[pulumi.Resource]
    """The definitions of SeldonDeployments and of routes, and what signs certificates."""
    nodes: str | None = None
    """CIDR of the machines that the API server calls webhooks from."""
    namespace: str = NAMESPACE
    protect: bool = True


class Seldon(pulumi.ComponentResource):
    """Lets whoever may write a SeldonDeployment have a model served."""

    def __init__(
        self, name: str, args: SeldonArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:Seldon", name, None, opts)
        self._name, self._args = name, args
        self._marks = labels(APP, name, "operator")
        self._child = pulumi.ResourceOptions(parent=self)
        self._namespace = FencedNamespace(
            name, FencedNamespaceArgs(namespace=args.namespace, protect=args.protect), self._child
        ).namespace
        fence = network.policy(
            f"{name}-traffic",
            namespace=self._namespace,
            marks=self._marks,
            pods=selector(APP, name),
            incoming=[charts.from_api_server(args.nodes, WEBHOOK_PORT)],
            outgoing=[args.api_server],
            opts=self._child,
        )
        shown = called(
            self,
            name,
            service=f"{name}-webhook",
            title=f"{name}-webhook",
            secret=f"{name}-webhook",
            namespace=self._namespace,
            marks=self._marks,
            pods=selector(APP, name, "operator"),
            ready=args.ready,
        )
        operator = self._operator(shown.certificate, [fence, *self._rights()])
        self._ready = self._webhook(shown, operator)
        self.register_outputs({})

    @property
    def ready(self) -> pulumi.Resource:
        """What SeldonDeployments depend on: the operator runs, and checks them."""
        return self._ready

    def _rights(self) -> list[pulumi.Resource]:
        """The project's own for all namespaces, and those to elect a leader in this one."""
        name, args = self._name, self._args
        self._account = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=metadata(self._namespace, self._marks),
            automount_service_account_token=False,
            opts=self._child,
        )
        role = k8s.rbac.v1.ClusterRole(
            f"{name}-role",
            metadata={"labels": self._marks},
            rules=_rules(args.role),
            opts=self._child,
        )
        account, namespace, marks = self._account.metadata.name, self._namespace, self._marks
        return [
            bind_everywhere(name, role.metadata.name, account, namespace, marks, self),
            give(f"{name}-leader", LEADER, account, namespace, marks, self),
        ]

    def _operator(
        self, certificate: Certificates, after: Sequence[pulumi.Resource]
    ) -> k8s.apps.v1.Deployment:
        name, args = self._name, self._args
        volume: k8s.core.v1.VolumeArgsDict = {
            "name": "certificate",
            "secret": {"secret_name": certificate.secret, "default_mode": 0o444},
        }
        own = selector(APP, name, "operator")
        return k8s.apps.v1.Deployment(
            f"{name}-operator",
            metadata=metadata(self._namespace, self._marks),
            spec={
                "replicas": 1,
                "selector": {"match_labels": own},
                "template": {
                    "metadata": {"labels": self._marks},
                    "spec": pod(
                        {"containers": [self._container()]},
                        uid=UID,
                        account=self._account.metadata.name,
                        scratch=[TMP],
                        volumes=[volume],
                        token=True,
                    ),
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[certificate, *after, *args.ready]),
        )

    def _container(self) -> k8s.core.v1.ContainerArgsDict:
        args = self._args
        values: Mapping[str, pulumi.Input[str]] = {
            "POD_NAMESPACE": self._namespace,
            "ISTIO_ENABLED": "true",
            "ISTIO_GATEWAY": args.gateway,
            "AMBASSADOR_ENABLED": "false",
            "KEDA_ENABLED": "false",
            "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(HTTP),
            "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": str(GRPC),
            "PREDICTIVE_UNIT_METRICS_PORT_NAME": "metrics",
        }
        return container(
            {
                "name": "operator",
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "command": ["/manager"],
                "args": [
                    # While a new pod takes over from an old one.
                    "--enable-leader-election",
                    "--leader-election-resource-lock=leases",
                    f"--webhook-port={WEBHOOK_PORT}",
                    f"--metrics-addr=:{METRICS_PORT}",
                ],
                "env": [{"name": key, "value": value} for key, value in values.items()],
                "ports": [
                    {"name": "https", "container_port": WEBHOOK_PORT},
                    {"name": "http", "container_port": METRICS_PORT},
                ],
                # It has no page for probes, and says a line for every connection to its webhook
                # that asks nothing.
                "startup_probe": http_probe("/metrics", every=1, failures=60),
                "readiness_probe": http_probe("/metrics", every=5, failures=3),
                "liveness_probe": http_probe("/metrics", every=20, failures=6),
            },
            requests={"cpu": "50m", "memory": "128Mi"},
            memory_limit="512Mi",
            scratch=[TMP],
            mounts=[{"name": "certificate", "mount_path": CERTIFICATES, "read_only": True}],
        )

    def _webhook(self, shown: Called, operator: pulumi.Resource) -> pulumi.Resource:
        return k8s.admissionregistration.v1.ValidatingWebhookConfiguration(
            f"{self._name}-checks",
            metadata={
                "labels": self._marks,
                "annotations": {
                    INJECTED: shown.source,
                    # Until then the API server does not believe the webhook.
                    "pulumi.com/waitFor": "jsonpath={.webhooks[0].clientConfig.caBundle}",
                },
            },
            webhooks=[
                {
                    "name": "v1.vseldondeployment.kb.io",
                    "admission_review_versions": ["v1"],
                    "side_effects": "None",
                    "failure_policy": "Fail",
                    "client_config": {
                        "service": {
                            "name": shown.service.metadata.name,
                            "namespace": self._namespace,
                            "path": WEBHOOK_PATH,
                        }
                    },
                    "rules": [
                        {
                            "api_groups": [GROUP],
                            "api_versions": ["v1"],
                            "operations": ["CREATE", "UPDATE"],
                            "resources": ["seldondeployments"],
                        }
                    ],
                }
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[operator],
                # cert-manager's: it writes the authority's certificate there, and renews it.
                ignore_changes=["webhooks[0].clientConfig.caBundle"],
            ),
        )


def definition(name: str, file: Path, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    """What a SeldonDeployment is, to the cluster: once, however many operators there are."""
    content: dict[str, Any] = json.loads(file.read_text())
    marks = labels(APP, name, "definition")
    return charts.definition(name, content, content["spec"], marks, opts)


def _rules(role: Path) -> list[k8s.rbac.v1.PolicyRuleArgsDict]:
    found: dict[str, Any] = yaml.safe_load(role.read_text())
    return [
        {"api_groups": rule["apiGroups"], "resources": rule["resources"], "verbs": rule["verbs"]}
        for rule in found["rules"]
    ]
