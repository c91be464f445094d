"""How many requests a second each version of a model gets, for the autoscalers: the external
metrics API of the cluster, with one metric in it.

Owns a Deployment of ``programs/meter.py``, what it may do and what it shows itself with. The
numbers are those that the gateway counts anyway (``COUNTED`` in ``gateway.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components import charts, network
from components.door.called import INJECTED, PORT, Called, called
from components.door.gateway import CHOSEN, NAMESPACE, STATISTICS
from components.door.issuers import Certificates
from components.labels import DNS_LABEL, labels, metadata, selector
from components.pods import PullPolicy, Scratch, container, http_probe, pod, spread
from components.rights import Rule, give

APP = "request-meter"
NAME = "request-meter"
METRIC = "spillway-requests-per-second"
"""With the labels ``model`` and ``place``; in the namespace of the model."""
GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
PROGRAM = Path(__file__).with_name("programs") / "meter.py"
FOLDER, CERTIFICATE = "/program", "/certificate"
HTTPS_PORT, HTTP_PORT = 10250, 8080
"""The first is the one that firewalls between API servers and nodes let through."""
REPLICAS = 2
RIGHTS = (Rule(groups=[""], resources=["pods"], verbs=["list"]),)
WAIT = '["jsonpath={.spec.caBundle}", "condition=Available"]'
"""The authority is there, and a first answer."""
PROXIES = "extension-apiserver-authentication-reader"
"""Kubernetes' own Role: to read by which certificate API servers are known."""
SCRATCH = (Scratch(path="/tmp", size="16Mi"),)  # noqa: S108 - a volume of the pod's own


@dataclass(frozen=True, kw_only=True)
class RequestMeterArgs:
    """Where it runs, and in what."""

    namespace: pulumi.Input[str]
    """The gateway's."""
    image: pulumi.Input[str]
    """Has Python 3.11 or newer."""
    python: str
    """Path of that Python."""
    uid: int
    pull_policy: PullPolicy
    api_server: network.Egress
    ready: Sequence[pulumi.Resource]
    """The gateway, and what signs certificates."""
    nodes: str | None = None
    """CIDR of the machines that the API server calls it from."""


class RequestMeter(pulumi.ComponentResource):
    """Lets autoscalers go by the requests that come in, and not by their effect on processors."""

    def __init__(
        self, name: str, args: RequestMeterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:index:RequestMeter", name, None, opts)
        self._name, self._args = name, args
        self._marks = labels(APP, name, "meter")
        self._chosen = selector(APP, name, "meter")
        self._child = pulumi.ResourceOptions(parent=self)
        self._account = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=metadata(args.namespace, self._marks),
            automount_service_account_token=False,
            opts=self._child,
        )
        shown = called(
            self,
            name,
            service=f"{name}-service",
            title=name,
            secret=f"{name}-certificate",
            namespace=args.namespace,
            marks=self._marks,
            pods=self._chosen,
            ready=args.ready,
        )
        deployment = self._deployment(shown.certificate, [*self._rights(), self._fence()])
        self._keep_one_during_drains()
        self._register(shown, deployment)
        self.register_outputs({})

    def _rights(self) -> Sequence[pulumi.Resource]:
        """To find the gateway's pods, and to know the API server when it calls."""
        name, args, account = self._name, self._args, self._account.metadata.name
        proxies = k8s.rbac.v1.RoleBinding(
            f"{name}-proxies",
            metadata=metadata("kube-system", self._marks),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": PROXIES},
            subjects=[{"kind": "ServiceAccount", "name": account, "namespace": args.namespace}],
            opts=self._child,
        )
        return [
            give(f"{name}-gateways", RIGHTS, account, args.namespace, self._marks, self),
            proxies,
        ]

    def _fence(self) -> pulumi.Resource:
        args = self._args
        gateways = network.pods_in(args.namespace, CHOSEN)
        return network.policy(
            f"{self._name}-traffic",
            namespace=args.namespace,
            marks=self._marks,
            pods=self._chosen,
            incoming=[charts.from_api_server(args.nodes, HTTPS_PORT)],
            outgoing=[args.api_server, network.egress([gateways], STATISTICS)],
            opts=self._child,
        )

    def _deployment(
        self, certificate: Certificates, after: Sequence[pulumi.Resource]
    ) -> k8s.apps.v1.Deployment:
        name, args = self._name, self._args
        program = k8s.core.v1.ConfigMap(
            f"{name}-program",
            metadata=metadata(args.namespace, self._marks),
            data={PROGRAM.name: PROGRAM.read_text()},
            opts=self._child,
        )
        volumes: list[k8s.core.v1.VolumeArgsDict] = [
            {"name": "program", "config_map": {"name": program.metadata.name}},
            {
                "name": "certificate",
                "secret": {"secret_name": certificate.secret, "default_mode": 0o444},
            },
        ]
        spec: k8s.core.v1.PodSpecArgsDict = {
            "topology_spread_constraints": [spread(self._chosen)],
            "containers": [self._container()],
        }
        return k8s.apps.v1.Deployment(
            f"{name}-server",
            metadata=metadata(args.namespace, self._marks),
            spec={
                "replicas": REPLICAS,
                "selector": {"match_labels": self._chosen},
                # While nobody answers, the API server cannot tell what kinds of objects there are.
                "strategy": {"rolling_update": {"max_unavailable": 0, "max_surge": 1}},
                "template": {
                    # It knows everybody by address.
                    "metadata": {"labels": {**self._marks, DNS_LABEL: "denied"}},
                    "spec": pod(
                        spec,
                        uid=args.uid,
                        account=self._account.metadata.name,
                        scratch=SCRATCH,
                        volumes=volumes,
                        token=True,
                    ),
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[certificate, *after, *args.ready]),
        )

    def _container(self) -> k8s.core.v1.ContainerArgsDict:
        args = self._args
        chosen = ",".join(f"{key}={value}" for key, value in CHOSEN.items())
        return container(
            {
                "name": "meter",
                "image": args.image,
                "image_pull_policy": args.pull_policy,
                "command": [args.python, f"{FOLDER}/{PROGRAM.name}"],
                "args": [
                    pulumi.Output.concat("--namespace=", args.namespace),
                    f"--selector={chosen}",
                    f"--statistics-port={STATISTICS}",
                    f"--metric={METRIC}",
                    f"--certificate={CERTIFICATE}",
                    f"--https-port={HTTPS_PORT}",
                    f"--http-port={HTTP_PORT}",
                ],
                "ports": [
                    {"name": "https", "container_port": HTTPS_PORT},
                    {"name": "http", "container_port": HTTP_PORT},
                ],
                "startup_probe": http_probe("/readyz", every=2, failures=90),
                "readiness_probe": http_probe("/readyz", every=5, failures=3),
                "liveness_probe": http_probe("/healthz", every=20, failures=6),
            },
            requests={"cpu": "20m", "memory": "64Mi"},
            memory_limit="256Mi",
            scratch=SCRATCH,
            mounts=[
                {"name": "program", "mount_path": FOLDER, "read_only": True},
                {"name": "certificate", "mount_path": CERTIFICATE, "read_only": True},
            ],
        )

    def _keep_one_during_drains(self) -> None:
        k8s.policy.v1.PodDisruptionBudget(
            f"{self._name}-budget",
            metadata=metadata(self._args.namespace, self._marks),
            spec={"min_available": 1, "selector": {"match_labels": self._chosen}},
            opts=self._child,
        )

    def _register(self, shown: Called, deployment: k8s.apps.v1.Deployment) -> None:
        """The last thing that is made, and the first that goes.

        While the API server is sent to a server that is not there, it deletes no namespace.
        """
        k8s.apiregistration.v1.APIService(
            f"{self._name}-api",
            metadata={
                # Kubernetes' rule: there is one server of a version of a group.
                "name": f"{VERSION}.{GROUP}",
                "labels": self._marks,
                "annotations": {
                    INJECTED: shown.source,
                    "pulumi.com/waitFor": WAIT,
                },
            },
            spec={
                "group": GROUP,
                "version": VERSION,
                "group_priority_minimum": 100,
                "version_priority": 100,
                "service": {
                    "name": shown.service.metadata.name,
                    "namespace": self._args.namespace,
                    "port": PORT,
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[deployment, shown.service],
                delete_before_replace=True,
                # cert-manager's: it writes the authority's certificate there, and renews it.
                ignore_changes=["spec.caBundle"],
            ),
        )


def meter_pods() -> network.Peer:
    """Pods that read what the front door counted."""
    return network.pods_in(NAMESPACE, selector(APP, NAME, "meter"))
