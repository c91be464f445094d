"""The cluster: it answers, its nodes are those of the settings, its addresses are as they say."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from components.cluster.nodes import GPU, NodePool
from infra.pools import node_pool
from infra.sections import Cloud, Tier
from infra.settings import Settings
from rig.doctor.findings import Finding, fine, unanswered, unsure, wrong
from rig.doctor.versions import AUTOSCALER_ON_GCP, KUBELET_SKEW, OLDEST_CLUSTER, of_image, version
from rig.facts import Facts, Question
from rig.kube import REACH, advertised, is_burst, items, kubectl, place, ready

DEVICE_PLUGIN: Final = (
    "before the first `pulumi up` that is as it should be: the stack brings the device plugin; "
    "after it, install NVIDIA's driver and container toolkit there"
)


def questions(settings: Settings) -> Sequence[Question]:
    """All that the checks ask."""
    return [
        kubectl(settings, "kubectl version", "version"),
        kubectl(settings, "kubectl nodes", "get", "nodes"),
        kubectl(settings, "kubectl service", "get", "service", "kubernetes", "--namespace=default"),
        kubectl(settings, "kubectl servicecidrs", "get", "servicecidrs"),
        kubectl(settings, "kubectl deployments", "get", "deployments", "--all-namespaces"),
    ]


def check(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """Everything about the cluster; one finding alone if it does not answer."""
    told, nodes, service, ranges, deployments = (facts.ask(q) for q in questions(settings))
    server = (told.value or {}).get("serverVersion")
    if told.error or not server:
        why = told.error or "it did not say its version"
        yield wrong(f"{place(settings)} cannot be reached: {why}", told.fix or REACH)
        return
    yield fine(f"the cluster answers: {server['gitVersion']}")
    yield from unanswered("nodes", nodes, "an account that may `kubectl get nodes`")
    machines = items(nodes.value)
    yield from _versions(server["gitVersion"], machines)
    yield from _pools(settings, machines)
    yield from _addresses(settings, machines)
    found = [cidr for item in items(ranges.value) for cidr in item["spec"]["cidrs"]]
    address = (service.value or {}).get("spec", {}).get("clusterIP")
    yield from _services(settings, found, address)
    yield from unanswered("deployments", deployments, "an account that may list deployments")
    yield from _autoscalers(settings, items(deployments.value))


def _versions(server: str, nodes: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    ours = version(server)
    if ours is None:
        yield unsure(f"the cluster's version {server!r} is not understood", "look at it yourself")
        return
    if ours[:2] < OLDEST_CLUSTER:
        least = ".".join(map(str, OLDEST_CLUSTER))
        yield wrong(f"Kubernetes {ours} is too old for the queue", f"upgrade to {least} or newer")
    for node in nodes:
        name, kubelet = node["metadata"]["name"], node["status"]["nodeInfo"]["kubeletVersion"]
        theirs = version(kubelet)
        if theirs and not 0 <= ours.minor - theirs.minor <= KUBELET_SKEW:
            yield wrong(
                f"node {name} runs kubelet {kubelet}, the API server is {ours}",
                f"bring it to at most {KUBELET_SKEW} minor versions behind, never ahead",
            )


def _pools(settings: Settings, nodes: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    known = {node["metadata"]["name"]: node for node in nodes}
    for name, pool in settings.cluster.pools.items():
        if pool.tier is not Tier.ONPREM:
            continue
        good = 0
        for host in pool.nodes:
            problems = list(_node(node_pool(name, pool), host, known))
            yield from problems
            good += not problems
        if good == len(pool.nodes):
            yield fine(f"pool {name}: all {good} nodes are there with their GPUs")


def _node(nodes: NodePool, host: str, known: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    pool = nodes.name
    if host not in known:
        near = ", ".join(sorted(known)) or "none"
        yield wrong(
            f"pool {pool}: there is no node {host}",
            f"spillway:cluster.pools.{pool}.nodes has names that the cluster has not: {near}",
        )
        return
    has = advertised(known[host])
    if has == 0:
        yield unsure(f"pool {pool}: node {host} advertises no {GPU}", DEVICE_PLUGIN)
    # Those that are to be shared or cut may not be so yet.
    elif has not in {nodes.advertised, nodes.gpus}:
        cut = f"cut them: nvidia-smi mig -cgi {nodes.mig} -C" if nodes.mig else "mend the missing"
        yield wrong(
            f"pool {pool}: node {host} advertises {has} {GPU}, the settings say {nodes.advertised}",
            f"set spillway:cluster.pools.{pool}.gpusPerNode, or {cut}",
        )
    if not ready(known[host]):
        yield wrong(f"pool {pool}: node {host} is not ready", f"kubectl describe node {host}")


def _addresses(settings: Settings, nodes: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """What nodes really use, against what the settings say and what the clouds' networks take."""
    network = settings.cluster.network
    clouds = list(_cloud_networks(settings))
    before = len(nodes)
    for node in nodes:
        name, spec = node["metadata"]["name"], node["spec"]
        for cidr in spec.get("podCIDRs") or filter(None, [spec.get("podCIDR")]):
            yield from _inside(f"pods of {name}", cidr, "pods", network.pods)
            yield from _apart(f"pods of {name}", cidr, clouds)
        if is_burst(node):
            continue  # In the cloud's own network, as it should be.
        for address in node["status"].get("addresses", []):
            if address["type"] == "InternalIP":
                yield from _inside(f"node {name}", address["address"], "nodes", network.nodes)
                yield from _apart(f"node {name}", address["address"], clouds)
    if not before:
        yield unsure("no node was seen, so addresses were not compared", "start the nodes")


def _services(settings: Settings, ranges: Sequence[str], address: str | None) -> Iterator[Finding]:
    """ServiceCIDR objects are there from Kubernetes 1.33 on; before, one address must do."""
    used = ranges or ([address] if address else [])
    if not used:
        yield unsure("the range of Services was not found out", "compare it yourself")
    before = settings.cluster.network.services
    for cidr in used:
        yield from _inside("Services", cidr, "services", before)
        yield from _apart("Services", cidr, list(_cloud_networks(settings)))


def _inside(what: str, used: str, key: str, said: str | None) -> Iterator[Finding]:
    network = ipaddress.ip_network(used)
    if said is None or network.version != 4:  # noqa: PLR2004 - settings know IPv4 alone
        return
    if not network.subnet_of(ipaddress.IPv4Network(said)):
        yield wrong(
            f"{what} use {used}, outside of {said}",
            f"set spillway:cluster.network.{key} to what the cluster really uses",
        )


def _apart(what: str, used: str, clouds: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    network = ipaddress.ip_network(used)
    for key, cidr in clouds:
        if network.version == 4 and network.overlaps(ipaddress.IPv4Network(cidr)):  # noqa: PLR2004
            yield wrong(
                f"{what} use {used}, which overlaps {key} ({cidr})",
                f"choose another private network for {key}",
            )


def _cloud_networks(settings: Settings) -> Iterator[tuple[str, str]]:
    """Only of the chosen cloud: the other's section may stand there unused."""
    if settings.cloud is Cloud.AWS and settings.aws:
        yield "spillway:aws.network", settings.aws.network
    if settings.cloud is Cloud.GCP and settings.gcp:
        yield "spillway:gcp.network", settings.gcp.network
        yield "spillway:gcp.services", settings.gcp.services


def _autoscalers(settings: Settings, deployments: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """One that runs already; the stack's own is pinned."""
    for deployment in deployments:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            image = container["image"]
            if "cluster-autoscaler" not in image:
                continue
            name = f"{deployment['metadata']['namespace']}/{deployment['metadata']['name']}"
            found = of_image(image)
            if found is None:
                yield unsure(f"the version of autoscaler {name} is not in {image}", "look at it")
            elif settings.cloud is Cloud.GCP and found < AUTOSCALER_ON_GCP:
                least = ".".join(map(str, AUTOSCALER_ON_GCP))
                yield wrong(
                    f"autoscaler {name} is {found}: it stops when a node is not Google's",
                    f"upgrade it to {least} or newer",
                )
            else:
                yield fine(f"autoscaler {name} is {found}")
