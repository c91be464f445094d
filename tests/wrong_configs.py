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
TOP = "cloud, namespace, protect, kubeconfig, aws, gcp, cluster, images, storage, database"

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
        {"spillway:models": {"iris": {"tenant": "vision"}}},
        "spillway:models",
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
        "a map with: context, issuer, jwks, network, pools",
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
]
