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
TOP = "cloud, namespace, protect, domain, kubeconfig, aws, gcp, cluster, joinToken, queue, images"

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIHrMIGeoAMCAQICAQEwBQYDK2VwMBQxEjAQBgNVBAMMCWEgY29tcGFueTAgFw0y
NjAxMDEwMDAwMDBaGA8yMTI2MDEwMTAwMDAwMFowFDESMBAGA1UEAwwJYSBjb21w
YW55MCowBQYDK2VwAyEAoz16q5c+AX4LPZFKCQrYiIqgPiGHo8NaSXZ1udm64QWj
EzARMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EABGRP7OMESNcXNpXta3eL3uWH
iJbNiHs/cqkPps2n0Vz7jOSrq7p6lAB/kt01B1alMX1G0uonSa07H9HdpS/UAg==
-----END CERTIFICATE-----
"""

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
        {"spillway:workers": 3},
        "spillway:workers",
        "3",
        TOP,
        "spillway:mlflow.workers",
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
        {"spillway:pipelines": {"iris": {"tenant": "vision"}}},
        "spillway:pipelines",
        '{"iris": {"tenant": "vision"}}',
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
        "a cloud without its account",
        {"spillway:cloud": "aws"},
        "spillway:aws",
        "null",
        "a map with at least account and region: spillway:cloud is aws",
    ),
    Wrong(
        "a cloud nobody knows",
        {"spillway:cloud": "azure"},
        "spillway:cloud",
        '"azure"',
        "one of none, aws, gcp",
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
        "a map with: context, issuer, jwks, network, join, pools",
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


@dataclass(frozen=True)
class WrongProd:
    """One mistake in Pulumi.prod.yaml."""

    name: str
    changes: dict[str, Any]
    """Path below ``spillway:`` -> value; None takes the key out."""
    key: str
    value: str
    allowed: str


MODEL: dict[str, Any] = {"tenant": "vision", "versions": [{"uri": "models:/iris/1"}]}


def _versions(*shares: int | None) -> list[dict[str, Any]]:
    return [
        {"uri": f"models:/iris/{number}"} | ({} if share is None else {"traffic": share})
        for number, share in enumerate(shares, 1)
    ]


def _wrong_model(name: str, changes: dict[str, Any], key: str, value: str, allowed: str):
    model = {k: v for k, v in {**MODEL, **changes}.items() if v is not None}
    return WrongProd(name, {"models": {"iris": model}}, f"models.iris.{key}", value, allowed)


BATCH: dict[str, Any] = {
    "tenant": "vision",
    "model": "models:/iris/1",
    "input": "s3://artifacts/tenants/vision/in/",
    "output": "s3://artifacts/tenants/vision/scored/",
}


def _wrong_batch(name: str, changes: dict[str, Any], key: str, value: str, allowed: str):
    batch = {k: v for k, v in {**BATCH, **changes}.items() if v is not None}
    return WrongProd(name, {"batch": {"nightly": batch}}, f"batch.nightly.{key}", value, allowed)


WRONG_PROD = [
    WrongProd("no account", {"aws.account": None}, "aws.account", "", "twelve digits"),
    WrongProd(
        "an account as a number",
        {"aws.account": 123456789012},
        "aws.account",
        "123456789012",
        "twelve digits, in quotes",
    ),
    WrongProd(
        "an account with dashes",
        {"aws.account": "1234-5678-9012"},
        "aws.account",
        "1234-5678-9012",
        "twelve digits",
    ),
    WrongProd(
        "a zone for a region",
        {"aws.region": "eu-central-1a"},
        "aws.region",
        "eu-central-1a",
        "a region such as eu-central-1",
    ),
    WrongProd(
        "Google's region for AWS",
        {"aws.region": "europe-west3"},
        "aws.region",
        "europe-west3",
        "a region such as eu-central-1",
    ),
    WrongProd(
        "AWS' region for Google",
        {"cloud": "gcp", "gcp.region": "eu-central-1"},
        "gcp.region",
        "eu-central-1",
        "a region such as europe-west3",
    ),
    WrongProd(
        "one zone", {"aws.zones": ["a"]}, "aws.zones", '["a"]', "two to six different letters"
    ),
    WrongProd(
        "the same zone twice",
        {"aws.zones": ["a", "a"]},
        "aws.zones",
        '["a", "a"]',
        "two to six different letters",
    ),
    WrongProd(
        "zones with the region's name",
        {"aws.zones": ["eu-central-1a", "eu-central-1b"]},
        "aws.zones[0]",
        "eu-central-1a",
        "two to six different letters",
    ),
    WrongProd(
        "a VPC with host bits",
        {"aws.network": "10.64.0.1/16"},
        "aws.network",
        "10.64.0.1/16",
        "from /16 to /22",
    ),
    WrongProd(
        "a VPC that is too small",
        {"aws.network": "10.64.0.0/26"},
        "aws.network",
        "10.64.0.0/26",
        "from /16 to /22",
    ),
    WrongProd(
        "a VPC that is too large",
        {"aws.network": "10.0.0.0/8"},
        "aws.network",
        "10.0.0.0/8",
        "from /16 to /22",
    ),
    WrongProd(
        "a VPC in public addresses",
        {"aws.network": "8.8.0.0/16"},
        "aws.network",
        "8.8.0.0/16",
        "a private network",
    ),
    WrongProd(
        "a VPC over the nodes",
        {"aws.network": "10.10.0.0/16"},
        "aws.network",
        "10.10.0.0/16",
        "outside of spillway:cluster.network.nodes",
    ),
    WrongProd(
        "a VPC over the pods",
        {"aws.network": "10.42.0.0/17"},
        "aws.network",
        "10.42.0.0/17",
        "outside of spillway:cluster.network.pods",
    ),
    WrongProd(
        "pods over the nodes",
        {"cluster.network.pods": "10.10.128.0/17"},
        "cluster.network.pods",
        "10.10.128.0/17",
        "outside of spillway:cluster.network.nodes",
    ),
    WrongProd(
        "Google's services over its subnet",
        {"gcp.services": "10.96.8.0/21"},
        "gcp.services",
        "10.96.8.0/21",
        "outside of spillway:gcp.network",
    ),
    WrongProd(
        "one cloud over the other",
        {"gcp.network": "10.64.16.0/20"},
        "gcp.network",
        "10.64.16.0/20",
        "outside of spillway:aws.network",
    ),
    WrongProd(
        "a project with capitals",
        {"gcp.project": "Example-DS"},
        "gcp.project",
        "Example-DS",
        "6 to 30 lower-case letters",
    ),
    WrongProd(
        "no project", {"cloud": "gcp", "gcp": None}, "gcp", "null", "at least project and region"
    ),
    WrongProd(
        "no issuer", {"cluster.issuer": None}, "cluster.issuer", "null", "--service-account-issuer"
    ),
    WrongProd(
        "an issuer without TLS",
        {"cluster.issuer": "http://oidc.example.com"},
        "cluster.issuer",
        "http://oidc.example.com",
        "an https URL",
    ),
    WrongProd(
        "an issuer with a path",
        {"cluster.issuer": "https://oidc.example.com/a"},
        "cluster.issuer",
        "https://oidc.example.com/a",
        "without path",
    ),
    WrongProd(
        "no keys",
        {"cluster.jwks": None},
        "cluster.jwks",
        "null",
        "kubectl get --raw /openid/v1/jwks",
    ),
    WrongProd(
        "an empty key set", {"cluster.jwks": '{"keys": []}'}, "cluster.jwks", "", "public keys only"
    ),
    WrongProd(
        "private keys",
        {"cluster.jwks": f'{{"keys": [{{"kty": "RSA", "d": "{SECRET_TEXT}"}}]}}'},
        "cluster.jwks",
        "",
        "public keys only",
    ),
    WrongProd(
        "no nodes' network",
        {"cluster.network.nodes": None},
        "cluster.network.nodes",
        "null",
        "a private network such as 10.10.0.0/16",
    ),
    WrongProd(
        "no VPN peer",
        {"cluster.network.vpnPeer": None},
        "cluster.network.vpnPeer",
        "null",
        "a public IPv4 address",
    ),
    WrongProd(
        "a private VPN peer",
        {"cluster.network.vpnPeer": "10.10.0.1"},
        "cluster.network.vpnPeer",
        "10.10.0.1",
        "a public IPv4 address",
    ),
    WrongProd(
        "a VPN peer by name",
        {"cluster.network.vpnPeer": "vpn.example.com"},
        "cluster.network.vpnPeer",
        "vpn.example.com",
        "a public IPv4 address",
    ),
    WrongProd(
        "a public AS number",
        {"cluster.network.vpnAsn": 15169},
        "cluster.network.vpnAsn",
        "15169",
        "a private AS number",
    ),
    WrongProd(
        "the cloud's own AS number",
        {"cluster.network.vpnAsn": 64512},
        "cluster.network.vpnAsn",
        "64512",
        "which the clouds take",
    ),
    WrongProd(
        "an unknown accelerator",
        {"cluster.pools.l4.accelerator": "nvidia-l4"},
        "cluster.pools.l4.accelerator",
        "nvidia-l4",
        "one of t4, l4",
    ),
    WrongProd(
        "an on-prem pool that may grow",
        {"cluster.pools.a100.maxNodes": 4},
        "cluster.pools.a100.maxNodes",
        "4",
        "the pool is on-prem",
    ),
    WrongProd(
        "a burst pool without a limit",
        {"cluster.pools.l4.maxNodes": None},
        "cluster.pools.l4.maxNodes",
        "null",
        "the pool bursts",
    ),
    WrongProd(
        "a burst pool with nodes",
        {"cluster.pools.l4.nodes": ["gpu-9"]},
        "cluster.pools.l4.nodes",
        '["gpu-9"]',
        "the cloud makes the nodes",
    ),
    WrongProd(
        "a node in two pools",
        {"cluster.pools.t4": {"tier": "onprem", "accelerator": "t4", "nodes": ["gpu-1"]}},
        "cluster.pools.a100.nodes",
        "gpu-1",
        "listed twice",
    ),
    WrongProd(
        "a pool with a bad name",
        {"cluster.pools.A100": {"tier": "burst", "accelerator": "a100-80gb", "maxNodes": 1}},
        "cluster.pools.A100",
        "A100",
        "lower-case letters",
    ),
    WrongProd(
        "a misspelt key of a pool",
        {"cluster.pools.l4.maxnodes": 9},
        "cluster.pools.l4.maxnodes",
        "9",
        "nearest known key: spillway:cluster.pools.<name>.maxNodes",
    ),
    WrongProd(
        "GPUs that are cut as no driver cuts them",
        {"cluster.pools.a100.mig": "1g.5gb"},
        "cluster.pools.a100.mig",
        "1g.5gb",
        "one of 1g.10gb, 1g.20gb, 2g.20gb, 3g.40gb, 7g.80gb, as the pool is a100-80gb",
    ),
    WrongProd(
        "GPUs that are both cut and shared",
        {"cluster.pools.a100.mig": "1g.10gb", "cluster.pools.a100.timeSlices": 2},
        "cluster.pools.a100.timeSlices",
        "2",
        "mig cuts the GPUs",
    ),
    WrongProd(
        "GPUs of a cloud that are cut",
        {"cluster.pools.l4.mig": "1g.10gb"},
        "cluster.pools.l4.mig",
        "1g.10gb",
        "timeSlices can",
    ),
    WrongProd(
        "a GPU shared with nobody",
        {"cluster.pools.l4.timeSlices": 1},
        "cluster.pools.l4.timeSlices",
        "1",
        "from 2 to 48",
    ),
    WrongProd(
        "a GPU that the cloud does not sell",
        {"cloud": "gcp", "cluster.pools.l4.accelerator": "a10g"},
        "cluster.pools.l4.accelerator",
        "a10g",
        "one of t4, l4, a100-40gb, a100-80gb, h100, which gcp sells: AWS alone sells the A10G",
    ),
    WrongProd(
        "as many GPUs as no machine has",
        {"cluster.pools.l4.gpusPerNode": 3},
        "cluster.pools.l4.gpusPerNode",
        "3",
        "one of 1, 4, 8: aws sells l4 by 1, 4, 8, not by 3",
    ),
    WrongProd(
        "a machine for keeps that is sold as spot only",
        {"cloud": "gcp", "cluster.pools.l4.accelerator": "h100", "cluster.pools.l4.spot": False},
        "cluster.pools.l4.spot",
        "false",
        "gcp sells a3-highgpu-1g as spot only",
    ),
    WrongProd(
        "burst nodes of no image", {"aws.image": None}, "aws.image", "null", "the id of an AMI"
    ),
    WrongProd(
        "an image by its name", {"aws.image": "ubuntu"}, "aws.image", "ubuntu", "the id of an AMI"
    ),
    WrongProd(
        "an image of the other cloud",
        {"gcp.image": "ami-0123456789abcdef0"},
        "gcp.image",
        "ami-0123456789abcdef0",
        "projects/example-ds/global/images/family/gpu-node",
    ),
    WrongProd(
        "burst nodes that join nothing",
        {"cluster.join": None},
        "cluster.join",
        "null",
        "a map with: server, version",
    ),
    WrongProd(
        "a server beside the VPN",
        {"cluster.join.server": "https://198.51.100.7:6443"},
        "cluster.join.server",
        "198.51.100.7",
        "inside spillway:cluster.network.nodes, which is 10.10.0.0/16",
    ),
    WrongProd(
        "a server without a port",
        {"cluster.join.server": "https://10.10.0.5"},
        "cluster.join.server",
        "10.10.0.5",
        "https://host:port",
    ),
    WrongProd(
        "a version of Kubernetes",
        {"cluster.join.version": "1.36"},
        "cluster.join.version",
        "1.36",
        "such as v1.36.2+k3s1",
    ),
    WrongProd(
        "burst nodes without a token",
        {"joinToken": None},
        "joinToken",
        "null",
        "pulumi config set --secret spillway:joinToken",
    ),
    WrongProd(
        "a token that anybody can read",
        {"joinToken": SECRET_TEXT},
        "joinToken",
        "[secret]",
        "pulumi config set --secret spillway:joinToken",
    ),
    WrongProd(
        "a database class of AWS",
        {"database.class": "db.t4g.medium"},
        "database.class",
        "db.t4g.medium",
        "one of small, medium, large, xlarge",
    ),
    WrongProd(
        "a version nobody runs", {"database.version": 9}, "database.version", "9", "from 15 to 17"
    ),
    WrongProd(
        "backups for a day", {"database.backupDays": 1}, "database.backupDays", "1", "from 7 to 35"
    ),
    WrongProd(
        "a tenant with an underscore",
        {"tenants.computer_vision": {}},
        "tenants.computer_vision",
        "computer_vision",
        "lower-case letters, digits and '-'",
    ),
    WrongProd(
        "a tenant in the platform's namespace",
        {"tenants.spillway": {}},
        "tenants.spillway",
        "spillway",
        "another name",
    ),
    WrongProd(
        "a tenant called default",
        {"tenants.default": {}},
        "tenants.default",
        "default",
        "lower-case letters",
    ),
    WrongProd(
        "a member who is no address",
        {"tenants.vision.members": ["alice"]},
        "tenants.vision.members[0]",
        "alice",
        "an e-mail address",
    ),
    WrongProd(
        "a burst quota without a pool",
        {"cluster.pools.l4": None},
        "tenants.vision.quota.gpu.burst",
        "2",
        "one with tier: burst",
    ),
    WrongProd(
        "a negative quota",
        {"tenants.vision.quota.gpu.onprem": -1},
        "tenants.vision.quota.gpu.onprem",
        "-1",
        "from 0 to 10000",
    ),
    WrongProd(
        "a budget below nothing",
        {"budget.idlePerMonth": -5},
        "budget.idlePerMonth",
        "-5",
        "an amount in US dollars",
    ),
    WrongProd(
        "a resource allowed by name",
        {"allow": ["database"]},
        "allow[0]",
        "database",
        "a list of URNs",
    ),
    WrongProd(
        "a bucket to adopt by its URI",
        {"adopt.bucket": "s3://artifacts"},
        "adopt.bucket",
        "s3://artifacts",
        "the name of a bucket",
    ),
    WrongProd(
        "something to adopt without a cloud",
        {"cloud": "none", "adopt.bucket": "artifacts"},
        "adopt.bucket",
        "artifacts",
        "left out without a cloud",
    ),
    WrongProd(
        "an old database on-prem",
        {"cloud": "none", "database.version": 16},
        "database.version",
        "16",
        "17 on-prem",
    ),
    # --- the front door
    WrongProd("a domain with a scheme", {"domain": "https://x.org"}, "domain", "x.org", "a domain"),
    WrongProd(
        "a public certificate without anybody to write to",
        {"frontDoor.email": None},
        "frontDoor.email",
        "null",
        "an e-mail address: frontDoor.certificates is acme",
    ),
    WrongProd(
        "a certificate that is there, without its name",
        {"frontDoor": {"certificates": "given"}},
        "frontDoor.secret",
        "null",
        "the name of a Secret in the namespace front-door",
    ),
    WrongProd(
        "an address for nobody",
        {"frontDoor": {"certificates": "own", "email": "a@example.com"}},
        "frontDoor.email",
        "a@example.com",
        "it is for certificates: acme only",
    ),
    WrongProd(
        "an ACME server at a port that is none",
        {"frontDoor.server": "https://acme.example.com:70000/directory"},
        "frontDoor.server",
        "https://acme.example.com:70000/directory",
        "an https URL",
    ),
    WrongProd(
        "an authority of a server that is not asked",
        {"frontDoor": {"certificates": "own", "authority": AUTHORITY}},
        "frontDoor.authority",
        "-----BEGIN CERTIFICATE-----",
        "it is for certificates: acme only",
    ),
    WrongProd(
        "an authority that is a file",
        {"frontDoor.authority": "/etc/ssl/company.pem"},
        "frontDoor.authority",
        "/etc/ssl/company.pem",
        "certificates (PEM), and nothing else",
    ),
    WrongProd(
        "an authority cut short",
        {"frontDoor.authority": AUTHORITY.replace("MIHr", "")},
        "frontDoor.authority",
        "-----BEGIN CERTIFICATE-----",
        "certificates (PEM), and nothing else",
    ),
    WrongProd(
        "an authority with its key",
        {"frontDoor.authority": AUTHORITY + AUTHORITY.replace("CERTIFICATE", "PRIVATE KEY")},
        "frontDoor.authority",
        "-----BEGIN CERTIFICATE-----",
        "certificates (PEM), and nothing else",
    ),
    WrongProd(
        "an authority nobody knows",
        {"frontDoor.certificates": "letsencrypt"},
        "frontDoor.certificates",
        "letsencrypt",
        "one of acme, own, given",
    ),
    WrongProd(
        "a revision that is a version",
        {"frontDoor.revision": "1.31"},
        "frontDoor.revision",
        "1.31",
        "lower-case letters, digits and '-', at most 30, the first a letter",
    ),
    WrongProd(
        "one port for two",
        {"frontDoor.nodePorts": {"http": 30443, "https": 30443}},
        "frontDoor.nodePorts.http",
        "30443",
        "a port that nothing else here has",
    ),
    WrongProd(
        "images from nowhere",
        {"images": {"operators": "upstream"}},
        "images.operators",
        "upstream",
        "one of official, built",
    ),
    WrongProd(
        "a team called like the mesh",
        {"tenants": {"istio-system": {"members": ["a@example.com"]}}},
        "tenants.istio-system",
        "istio-system",
        "the front door's own namespace is called so",
    ),
    # --- models
    _wrong_model("a model of nobody", {"tenant": None}, "tenant", "", "one of spillway:tenants"),
    _wrong_model(
        "a model of a team that is misspelt",
        {"tenant": "visoin"},
        "tenant",
        "visoin",
        "one of spillway:tenants: vision, language (nearest: vision)",
    ),
    _wrong_model("a model without a version", {"versions": []}, "versions", "[]", "a list of maps"),
    _wrong_model(
        "a version of the registry without its number",
        {"versions": [{"uri": "models:/iris"}]},
        "versions[0].uri",
        "models:/iris",
        "models:/NAME/VERSION",
    ),
    _wrong_model(
        "a model on somebody's machine",
        {"versions": [{"uri": "/home/ada/model"}]},
        "versions[0].uri",
        "/home/ada/model",
        "s3://BUCKET/FOLDER",
    ),
    _wrong_model(
        "traffic that does not sum to 100",
        {"strategy": "canary", "versions": _versions(90, 20)},
        "versions",
        "[90, 20]",
        "versions whose traffic sums to 100, not 110",
    ),
    _wrong_model(
        "a share that nobody said",
        {"strategy": "a-b", "versions": _versions(90, None)},
        "versions[1].traffic",
        "null",
        "a whole number from 0 to 100: the strategy is a-b",
    ),
    _wrong_model(
        "more than everything",
        {"strategy": "canary", "versions": _versions(120, -20)},
        "versions[0].traffic",
        "120",
        "a whole number from 0 to 100",
    ),
    _wrong_model(
        "two versions that roll",
        {"versions": _versions(90, 10)},
        "versions",
        "models:/iris/1",
        "a list of 1: the strategy is rolling",
    ),
    _wrong_model(
        "a canary without a mine",
        {"strategy": "canary", "versions": _versions(100)},
        "versions",
        "models:/iris/1",
        "a list of 2: the strategy is canary",
    ),
    _wrong_model(
        "a version that competes with itself",
        {
            "strategy": "a-b",
            "versions": [{"uri": "models:/iris/1", "traffic": share} for share in (50, 50)],
        },
        "versions",
        "models:/iris/1",
        "different versions: models:/iris/1 is there twice",
    ),
    _wrong_model(
        "half blue, half green",
        {"strategy": "blue-green", "versions": _versions(50, 50)},
        "versions",
        "[50, 50]",
        "100 for one and 0 for the other",
    ),
    _wrong_model(
        "a champion who lost",
        {"strategy": "champion-challenger", "versions": _versions(40, 60)},
        "versions[0].traffic",
        "40",
        "more than each challenger has",
    ),
    _wrong_model(
        "a shadow of a part",
        {"strategy": "shadow", "versions": _versions(50, 50)},
        "versions[0].traffic",
        "50",
        "left out: the first version answers everything",
    ),
    _wrong_model(
        "a strategy nobody knows",
        {"strategy": "bluegreen"},
        "strategy",
        "bluegreen",
        "one of rolling, canary, a-b, shadow, blue-green, champion-challenger",
    ),
    _wrong_model(
        "a server without memory",
        {"resources": {"memory": "64Mi"}},
        "resources.memory",
        "64Mi",
        "a Kubernetes quantity of at least 128Mi",
    ),
    _wrong_model(
        "more servers that are not more",
        {"replicas": 3, "autoscaling": {"maxReplicas": 3}},
        "autoscaling.maxReplicas",
        "3",
        "a whole number over replicas, which is 3",
    ),
    _wrong_model(
        "servers that are for no request",
        {"autoscaling": {"maxReplicas": 3, "requestsPerSecond": 0}},
        "autoscaling.requestsPerSecond",
        "0",
        "a number from 0.1 to 100000",
    ),
    _wrong_model(
        "a model that scales to nothing",
        {"replicas": 0, "autoscaling": {"maxReplicas": 3}},
        "replicas",
        "0",
        "a whole number from 1 to 64",
    ),
    WrongProd(
        "a model with a name for people",
        {"models": {"Iris!": {"tenant": "vision", "versions": [{"uri": "models:/iris/1"}]}}},
        "models.Iris!",
        "Iris!",
        "a map of names (lower-case letters",
    ),
    WrongProd(
        "a model behind no door",
        {"domain": None, "models": {"iris": MODEL}},
        "domain",
        "null",
        "models need one",
    ),
    WrongProd(
        "a misspelt key of a model",
        {"models": {"iris": {**MODEL, "replica": 2}}},
        "models.iris.replica",
        "2",
        "replicas",
    ),
    _wrong_model(
        "a misspelt key of a version",
        {"versions": [{"uri": "models:/iris/1", "trafic": 100}]},
        "versions[0].trafic",
        "100",
        "allowed here: uri, traffic",
    ),
    WrongProd(
        "a model that believes nobody",
        {"cloud": "none", "cluster.issuer": None, "models": {"iris": MODEL}},
        "cluster.issuer",
        "null",
        "models believe its tokens",
    ),
    _wrong_model(
        "a model's image without a tag",
        {"image": "registry.example.com/model-server"},
        "image",
        "registry.example.com/model-server",
        "an image with its tag or digest",
    ),
    # --- models on GPUs
    _wrong_model(
        "a model with two images",
        {
            "image": "registry.example.com/model-server:tensorflow",
            "gpu": {"accelerator": "l4", "image": "registry.example.com/model-server:gpu"},
        },
        "image",
        "registry.example.com/model-server:tensorflow",
        "left out: gpu.image says already what its servers run",
    ),
    _wrong_model(
        "a gpu that is not sold",
        {"gpu": {"accelerator": "rtx"}},
        "gpu.accelerator",
        "rtx",
        "one of t4, l4, a10g",
    ),
    _wrong_model(
        "a gpu of no pool",
        {"gpu": {"accelerator": "h100"}},
        "gpu.accelerator",
        "h100",
        "one of a100-80gb, l4: of those spillway:cluster.pools has machines",
    ),
    WrongProd(
        "a gpu of a cloud that was not chosen",
        {"cloud": "none", "models": {"iris": {**MODEL, "gpu": {"accelerator": "l4"}}}},
        "models.iris.gpu.accelerator",
        "l4",
        "one of a100-80gb: of those",
    ),
    WrongProd(
        "gpus without pools",
        {
            "cluster.pools": None,
            "tenants.vision.quota.gpu": {},
            "tenants.language.quota.gpu": {},
            "models": {"iris": {**MODEL, "gpu": {"accelerator": "l4"}}},
        },
        "models.iris.gpu",
        '{"accelerator": "l4", "count": 1}',
        "left out: spillway:cluster.pools has no machines with GPUs",
    ),
    _wrong_model(
        "more gpus than a machine has",
        {"gpu": {"accelerator": "l4", "count": 2}},
        "gpu.count",
        "2",
        "at most 1, as many as one machine of the pool l4 has",
    ),
    _wrong_model(
        "no gpu by number",
        {"gpu": {"accelerator": "l4", "count": 0}},
        "gpu.count",
        "0",
        "a whole number from 1 to 16",
    ),
    _wrong_model(
        "a gpu without a name",
        {"gpu": {"count": 1}},
        "gpu.accelerator",
        "",
        "one of t4, l4",
    ),
    _wrong_model(
        "servers that never all fit",
        {
            "gpu": {"accelerator": "a100-80gb", "count": 2},
            "autoscaling": {"maxReplicas": 3},
        },
        "gpu.count",
        "2",
        "a number that fits 3 times into the 4 GPUs (a100-80gb) of vision: "
        "spillway:tenants.vision.quota.gpu",
    ),
    _wrong_model(
        "two versions on the gpus of one",
        {
            "strategy": "canary",
            "versions": _versions(90, 10),
            "replicas": 2,
            "gpu": {"accelerator": "l4"},
        },
        "gpu.count",
        "1",
        "fits 4 times into the 2 GPUs (l4) of vision",
    ),
    WrongProd(
        "gpus that another model holds",
        {
            "models": {
                "first": {**MODEL, "gpu": {"accelerator": "a100-80gb", "count": 3}},
                "iris": {**MODEL, "gpu": {"accelerator": "a100-80gb", "count": 2}},
            }
        },
        "models.iris.gpu.count",
        "2",
        "fits once into the 4 GPUs (a100-80gb) of vision, of which models before it take 3",
    ),
    WrongProd(
        "gpus of a team that has none",
        {
            "tenants.vision.quota.gpu": {"burst": 2},
            "batch": {"nightly": {**BATCH, "gpu": {"accelerator": "a100-80gb"}}},
        },
        "batch.nightly.gpu.count",
        "1",
        "fits once into the 0 GPUs (a100-80gb) of vision",
    ),
    WrongProd(
        "gpus on machines that the team has no share of",
        {
            "cluster.pools.wide": {
                "tier": "onprem",
                "accelerator": "l4",
                "nodes": ["gpu-7"],
                "gpusPerNode": 4,
            },
            "tenants.vision.quota.gpu": {"onprem": 4, "burst": 2, "pools": {"a100": 4, "wide": 0}},
            "tenants.language.quota.gpu": {"onprem": 8, "pools": {"a100": 8, "wide": 0}},
            "batch": {"nightly": {**BATCH, "gpu": {"accelerator": "l4", "count": 2}}},
        },
        "batch.nightly.gpu.count",
        "2",
        "fits once into the 0 GPUs (l4) of vision",
    ),
    # --- tables that are scored
    _wrong_batch(
        "a table of a team that is misspelt",
        {"tenant": "langauge"},
        "tenant",
        "langauge",
        "one of spillway:tenants: vision, language (nearest: language)",
    ),
    _wrong_batch(
        "a table without a model", {"model": None}, "model", "", "one of models:/NAME/VERSION"
    ),
    _wrong_batch(
        "a table for the newest model",
        {"model": "models:/iris/latest"},
        "model",
        "models:/iris/latest",
        "models:/NAME/VERSION",
    ),
    _wrong_batch(
        "a table on a disk",
        {"input": "/data/in"},
        "input",
        "/data/in",
        "s3://BUCKET/FOLDER/ or gs://BUCKET/FOLDER/",
    ),
    _wrong_batch(
        "a whole bucket as a table",
        {"input": "s3://artifacts/"},
        "input",
        "s3://artifacts/",
        "s3://BUCKET/FOLDER/",
    ),
    _wrong_batch(
        "predictions on a web server",
        {"output": "https://example.com/scored"},
        "output",
        "https://example.com/scored",
        "not that of the input",
    ),
    _wrong_batch(
        "a table that is scored into itself",
        {"output": "s3://artifacts/tenants/vision/in"},
        "output",
        "s3://artifacts/tenants/vision/in",
        "neither the input, nor inside it, nor around it: s3://artifacts/tenants/vision/in/",
    ),
    _wrong_batch(
        "predictions that would be scored the next night",
        {"output": "s3://artifacts/tenants/vision/in/scored/"},
        "output",
        "s3://artifacts/tenants/vision/in/scored/",
        "neither the input, nor inside it",
    ),
    _wrong_batch(
        "predictions around what is scored",
        {"output": "s3://artifacts/tenants/vision/"},
        "output",
        "s3://artifacts/tenants/vision/",
        "nor around it",
    ),
    _wrong_batch(
        "a schedule in words",
        {"schedule": "nightly"},
        "schedule",
        "nightly",
        "a cron expression of five fields, in UTC",
    ),
    _wrong_batch(
        "a schedule with seconds", {"schedule": "0 0 3 * * *"}, "schedule", "0 0 3", "five fields"
    ),
    _wrong_batch(
        "a schedule after midnight of the wrong day",
        {"schedule": "0 24 * * *"},
        "schedule",
        "0 24 * * *",
        "minute, hour, day, month, weekday",
    ),
    _wrong_batch(
        "scoring without memory",
        {"resources": {"memory": "64Mi"}},
        "resources.memory",
        "64Mi",
        "a Kubernetes quantity of at least 128Mi",
    ),
    _wrong_batch(
        "several pods for a table", {"parallel": 4}, "parallel", "4", "allowed here: tenant, model"
    ),
    WrongProd(
        "a table with a name for people",
        {"batch": {"Every night": BATCH}},
        "batch.Every night",
        "Every night",
        "a map of names (lower-case letters",
    ),
]
