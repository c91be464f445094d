"""Ada is curious: what her notebook tries on strangers, on colleagues and on the platform.

Every attack stands next to a proof that its target is there, and works for those whose it is.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import yaml
from person import Person
from test_network_policy import sleeper
from testbed import NAMESPACE, OTHER, TENANT, Late, Testbed, references, until

from rig.errors import RigError
from rig.node import machine

HUB = f"jupyterhub-hub.{NAMESPACE}.svc"
PROXY_API = f"jupyterhub-proxy-api.{NAMESPACE}.svc"
VIEWER = f"jupyterhub-tracking-ui.{NAMESPACE}.svc"
DATABASE = f"database.{NAMESPACE}.svc"
METADATA = "169.254.169.254"
BYSTANDER = "bystander"
KUBELET, ETCD = 10250, 2379
DRY = "?dryRun=All"
"""Admission judges, nothing happens: where a defence is missing, the test does no harm."""

# What runs in the notebook. Every try answers with a short text.
TOOLS = r"""
import json, os, socket, ssl, urllib.error, urllib.request
from concurrent.futures import ThreadPoolExecutor
import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

OWN = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN = open(f"{OWN}/token").read()
CLUSTER = ssl.create_default_context(cafile=f"{OWN}/ca.crt")
HUB_API, HUB_TOKEN = os.environ["JUPYTERHUB_API_URL"], os.environ["JUPYTERHUB_API_TOKEN"]
TRACKING = os.environ["MLFLOW_TRACKING_URI"]
STORE = boto3.client("s3")

def connects(host, port):
    try:
        socket.create_connection((host, port), 3).close()
    except OSError as error:
        return f"shut: {error}"
    return "open"

def ask(method, url, body=None, kind="application/json", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    headers["Content-Type"] = kind
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20, context=CLUSTER) as answer:
            return f"{answer.status} {answer.read(2000).decode(errors='replace')}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(2000).decode(errors='replace')}"
    except OSError as error:
        return f"none: {error}"

def kube(method, path, body=None, kind="application/json", **headers):
    url = f"https://kubernetes.default.svc{path}"
    return ask(method, url, body, kind, Authorization=f"Bearer {TOKEN}", **headers)

def hub(method, path, body=None):
    return ask(method, HUB_API + path, body, Authorization=f"token {HUB_TOKEN}")

def mlflow(method, path, body=None, workspace="language", **headers):
    headers = {"Authorization": f"Bearer {TOKEN}", "X-MLFLOW-WORKSPACE": workspace, **headers}
    return ask(method, f"{TRACKING}/api/2.0/{path}", body, **headers)

def s3(call, **words):
    try:
        getattr(STORE, call)(**words)
    except ClientError as error:
        return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error}"
    return "200 done"

def store_admin(path):
    request = AWSRequest("PATCH", STORE.meta.endpoint_url + path)
    keys = boto3.Session().get_credentials()
    S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    return ask("PATCH", request.url, **dict(request.headers))

def tried(attack):
    try:
        return eval(attack)
    except Exception as error:
        return f"broken: {error!r}"
"""


@dataclass
class World:
    """Three people with a notebook each, and a bystander whom no policy fences."""

    bed: Testbed
    ada: Person
    grace: Person
    """Ada's colleague."""
    alan: Person
    """Of the other tenant."""
    at: dict[str, str] = field(default_factory=dict)
    """Addresses of what has no name."""
    proven: dict[Callable[["World"], object], object] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    def inside(self, tries: list[str]) -> dict[str, str]:
        """What each expression says in ada's notebook."""
        code = (
            f"{TOOLS}\nat = {self.at!r}\ntries = json.loads({json.dumps(tries)!r})\n"
            "with ThreadPoolExecutor(12) as beside:\n"
            "    print(json.dumps(dict(zip(tries, beside.map(tried, tries)))))\n"
        )
        return json.loads(self.ada.run(code, seconds=100))

    def kubectl_as(self, tenant: str, *words: str) -> str:
        account = f"--as=system:serviceaccount:{tenant}:notebook"
        return self.bed.kubectl(*words, "-n", tenant, account)

    def hub_connects(self, host: str, port: int) -> bool:
        """From a pod that must be let in."""
        code = f"import socket; socket.create_connection(({host!r}, {port}), 3)"
        self.bed.execute(self.bed.pods("jupyterhub", "hub")[0], "/opt/hub/bin/python", "-c", code)
        return True

    def bystander_connects(self, host: str, port: int) -> bool:
        return self.bed.connects(BYSTANDER, host, port, BYSTANDER)


# -- proofs ---------------------------------------------------------------------------------------


def alan_works(world: World) -> bool:
    """His page, and his server by its own address."""
    page = world.alan.jupyter("GET", world.alan.home, "status")
    return page.status_code == 200 and world.hub_connects(world.at["alan"], 8888)


def grace_works(world: World) -> bool:
    """Her page and server, and what keeps them."""
    page = world.grace.jupyter("GET", world.grace.home, "status")
    for what in ("pod/notebook-grace", "pvc/home-grace", "secret/notebook-grace-token"):
        world.bed.kubectl("get", what, "-n", TENANT)
    return page.status_code == 200 and world.hub_connects(world.at["grace"], 8888)


def language_has_experiments(world: World) -> bool:
    headers = {
        "Authorization": f"Bearer {world.bed.token(OTHER)}",
        "X-MLFLOW-WORKSPACE": OTHER,
    }
    url = f"{world.bed.url}/api/2.0/mlflow/experiments"
    requests.post(f"{url}/create", json={"name": "plans"}, headers=headers, timeout=30)
    words = {"headers": headers, "params": {"experiment_name": "plans"}, "timeout": 30}
    return requests.get(f"{url}/get-by-name", **words).status_code == 200


def language_has_files(world: World) -> bool:
    said = world.alan.run(
        "import boto3\nstore = boto3.client('s3')\n"
        f"store.put_object(Bucket='tenant-{OTHER}', Key='plans', Body=b'x')\n"
        f"print(store.list_objects_v2(Bucket='tenant-{OTHER}')['KeyCount'])"
    )
    return int(said) > 0


def vision_has_files(world: World) -> bool:
    bucket = f"Bucket='tenant-{TENANT}'"
    tries = [f"s3('put_object', {bucket}, Key='own', Body=b'x')", f"s3('list_objects', {bucket})"]
    return set(world.inside(tries).values()) == {"200 done"}


def language_has_pods(world: World) -> bool:
    return "notebook-alan" in world.kubectl_as(OTHER, "get", "pods")


def executors_are_made(world: World) -> bool:
    """By ada, in her own tenant, and deleted again."""
    of_jobs = "labelSelector=spillway.dev%2Frole%3Dspark-executor"
    own = f"/api/v1/namespaces/{TENANT}/pods?gracePeriodSeconds=1&{of_jobs}"

    def left() -> list[dict[str, Any]]:
        return world.bed.get("pods", "-n", TENANT, "-l", "spillway.dev/role=spark-executor")

    assert not left(), "the last try's is still there"
    with_key = executor(env=[storage_key("storage")], volumes=[{"name": "v", "emptyDir": {}}])
    settings = {"metadata": {"name": "spark-exec-1-conf-map"}}
    tries = {
        make(executor()).replace(DRY, ""): "201",
        make(with_key): "201",
        f"kube('POST', '/api/v1/namespaces/{TENANT}/configmaps{DRY}', {settings!r})": "201",
    }
    made = world.inside(list(tries))
    gone = world.inside([f"kube('DELETE', {own!r})"])
    refused = [answer for tried, answer in made.items() if not answer.startswith(tries[tried])]
    assert not refused, refused
    assert "spark-1-exec-1" in str(gone), gone
    return all("deletionTimestamp" in pod["metadata"] for pod in left())


def hub_answers(world: World) -> bool:
    return world.alan.api("GET", f"/users/{world.alan.slug}").status_code == 200


def lin_sees_vision(world: World) -> bool:
    """Its administrator."""
    lin = world.bed.person("lin")
    seen = {user["name"] for user in lin.api("GET", "/users").json()}
    return {"ada", "grace"} <= seen and "alan" not in seen


def hub_counts(world: World) -> bool:
    """For whoever has the token of metrics."""
    code = (
        "import os, urllib.request as r; print(r.urlopen(r.Request("
        "'http://127.0.0.1:8081/hub/metrics', "
        "headers={'Authorization': 'token ' + os.environ['METRICS_TOKEN']})).status)"
    )
    pod = world.bed.pods("jupyterhub", "hub")[0]
    return world.bed.execute(pod, "/opt/hub/bin/python", "-c", code).strip() == "200"


def proxy_takes_orders(world: World) -> bool:
    return world.hub_connects(PROXY_API, 8001)


def viewer_serves(world: World) -> bool:
    return world.hub_connects(VIEWER, 8090)


def alan_sees_experiments(world: World) -> bool:
    return experiments(world.alan, OTHER).status_code == 200


def database_serves(world: World) -> bool:
    return world.hub_connects(DATABASE, 5432)


def store_serves(world: World) -> bool:
    return world.bed.connects(world.bed.pods()[0], "object-store", 7070)


def kubelet_serves(world: World) -> bool:
    return world.bystander_connects(world.at["node"], KUBELET)


def etcd_serves(world: World) -> bool:
    machine.run_inside(world.bed.layout, "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{ETCD}")
    return True


def doors_are_open(world: World) -> bool:
    """From outside."""
    return requests.get(f"{world.bed.hub}/hub/health", timeout=10).status_code == 200


def metrics_server_serves(world: World) -> bool:
    return world.bystander_connects(world.at["metrics-server"], 443)


def metadata_serves(world: World) -> bool:
    return world.bystander_connects(METADATA, 80)


def ada_logs_in(world: World) -> bool:
    return world.bed.person("ada").api("GET", "/users/ada").status_code == 200


# -- attacks --------------------------------------------------------------------------------------


def executor(env: list[dict] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod as Spark makes them, with something of the spec changed."""
    pod = sleeper("spark-1-exec-1", TENANT)
    pod["metadata"]["labels"] = {"spillway.dev/role": "spark-executor"}
    pod["spec"] |= {"serviceAccountName": "job", "automountServiceAccountToken": False}
    pod["spec"]["containers"][0] |= {
        "env": env or [],
        "image": references(["postgres"])["postgres"],
        "resources": {"limits": {"memory": "32Mi"}},
    }
    pod["spec"] |= spec
    return pod


def named(name: str, **labels: str) -> dict[str, Any]:
    pod = executor()
    pod["metadata"] = {
        "name": name,
        "labels": {f"spillway.dev/{key}": value for key, value in labels.items()},
    }
    return pod


def in_turn(priority: str) -> dict[str, Any]:
    pod = executor()
    pod["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] = priority
    return pod


def in_container(**words: Any) -> dict[str, Any]:
    pod = executor()
    pod["spec"]["containers"][0] |= words
    return pod


def before_it(**words: Any) -> dict[str, Any]:
    pod = executor()
    pod["spec"]["initContainers"] = [{**pod["spec"]["containers"][0], "name": "first", **words}]
    return pod


def make(pod: dict[str, Any], namespace: str = TENANT) -> str:
    """The try to make it."""
    return f"kube('POST', '/api/v1/namespaces/{namespace}/pods{DRY}', {pod!r})"


def storage_key(secret: str) -> dict[str, Any]:
    ref = {"name": secret, "key": "AWS_ACCESS_KEY_ID", "optional": True}
    return {"name": "KEY", "valueFrom": {"secretKeyRef": ref}}


def volume(**source: Any) -> dict[str, Any]:
    return executor(volumes=[{"name": "loot", **source}])


def experiments(person: Person, team: str) -> requests.Response:
    path = "/services/experiments/ajax-api/2.0/mlflow/experiments/search"
    return person.page(path, params={"workspace": team, "max_results": 1})


def status(answer: requests.Response) -> str:
    return f"{answer.status_code} {answer.text[:200]}"


@dataclass(frozen=True)
class Attack:
    """A try that must be refused."""

    title: str
    alive: Callable[[World], object]
    tried: str | Callable[[World], str]
    """Python in ada's notebook, or what her browser does."""
    refused: str
    """How the answer starts; alternatives by ``|``. And after a space, what it must contain."""


SHUT, NOT_YOURS = "shut", "403|404"
V1 = "/api/v1"
MINE, THEIRS = f"{V1}/namespaces/{TENANT}", f"{V1}/namespaces/{OTHER}"
PLATFORM = f"{V1}/namespaces/{NAMESPACE}"
PATCH = "'application/strategic-merge-patch+json'"
TAINT = {"key": "spillway.dev/burst", "operator": "Exists", "effect": "NoSchedule"}
TOKEN = {"serviceAccountToken": {"path": "token"}}
FORGED = "X_Forwarded_User='alan', Remote_User='alan'"

NETWORK = [
    Attack("a stranger's server", alan_works, "connects(at['alan'], 8888)", SHUT),
    Attack("a colleague's server", grace_works, "connects(at['grace'], 8888)", SHUT),
    Attack("the database", database_serves, f"connects('{DATABASE}', 5432)", SHUT),
    Attack("the database's pod", database_serves, "connects(at['database'], 5432)", SHUT),
    Attack("the proxy's routes", proxy_takes_orders, f"connects('{PROXY_API}', 8001)", SHUT),
    Attack(
        "the experiments page without the proxy",
        viewer_serves,
        f"ask('GET', 'http://{VIEWER}:8090/services/experiments/', {FORGED})",
        "none",
    ),
    Attack("the kubelet", kubelet_serves, f"connects(at['node'], {KUBELET})", SHUT),
    Attack("etcd", etcd_serves, f"connects(at['node'], {ETCD})", SHUT),
    Attack("the hub's door from inside", doors_are_open, "connects(at['node'], 30080)", SHUT),
    Attack("another namespace", metrics_server_serves, "connects(at['metrics-server'], 443)", SHUT),
    Attack("the cloud's metadata", metadata_serves, f"connects('{METADATA}', 80)", SHUT),
]
TRACKING = [
    Attack(
        "a stranger's experiment",
        language_has_experiments,
        "mlflow('GET', 'mlflow/experiments/get-by-name?experiment_name=plans')",
        "403",
    ),
    Attack(
        "an experiment among a stranger's",
        language_has_experiments,
        "mlflow('POST', 'mlflow/experiments/create', {'name': 'worm'})",
        "403",
    ),
    Attack(
        "a stranger's artifacts",
        language_has_experiments,
        "mlflow('GET', 'mlflow-artifacts/artifacts?path=')",
        "403",
    ),
    Attack(
        "the tracking server by another name",
        language_has_experiments,
        "mlflow('GET', 'mlflow/experiments/get-by-name?experiment_name=plans', Authorization='', "
        "**{'x-remote-user': 'system:serviceaccount:language:notebook'})",
        "401",
    ),
]
STORAGE = [
    Attack(
        "a stranger's list of files",
        language_has_files,
        f"s3('list_objects_v2', Bucket='tenant-{OTHER}')",
        "403",
    ),
    Attack(
        "a stranger's file",
        language_has_files,
        f"s3('get_object', Bucket='tenant-{OTHER}', Key='plans')",
        "403",
    ),
    Attack(
        "a file among a stranger's",
        language_has_files,
        f"s3('put_object', Bucket='tenant-{OTHER}', Key='worm', Body=b'x')",
        "403",
    ),
    Attack(
        "all tenants' artifacts",
        vision_has_files,
        "s3('list_objects_v2', Bucket='mlflow')",
        "403",
    ),
    Attack(
        "a file with no keys",
        language_has_files,
        f"ask('GET', STORE.meta.endpoint_url + '/tenant-{OTHER}/plans')",
        "403",
    ),
    Attack(
        "a policy for a stranger's files",
        language_has_files,
        f"s3('get_bucket_policy', Bucket='tenant-{OTHER}')",
        "403",
    ),
    Attack("the store's accounts", vision_has_files, "store_admin('/list-users')", "403"),
    Attack("the store's buckets", vision_has_files, "store_admin('/list-buckets')", "403"),
]


def _kube(method: str, path: str, *more: str) -> str:
    return f"kube({', '.join([repr(method), repr(path), *more])})"


CLUSTER = [
    Attack("a stranger's pods", language_has_pods, _kube("GET", f"{THEIRS}/pods"), "403"),
    Attack("a stranger's keys", language_has_pods, _kube("GET", f"{THEIRS}/secrets"), "403"),
    Attack("a pod among a stranger's", language_has_pods, make(executor(), OTHER), "403"),
    Attack("the platform's pods", hub_answers, _kube("GET", f"{PLATFORM}/pods"), "403"),
    Attack("the platform's keys", hub_answers, _kube("GET", f"{PLATFORM}/secrets"), "403"),
    Attack("the list of nodes", hub_answers, _kube("GET", f"{V1}/nodes"), "403"),
    Attack("the list of namespaces", hub_answers, _kube("GET", f"{V1}/namespaces"), "403"),
    Attack(
        "the power of an operator",
        hub_answers,
        _kube("GET", f"{V1}/nodes", "Impersonate_User='system:admin'"),
        "403 impersonate",
    ),
    Attack(
        "the name of a stranger",
        language_has_pods,
        _kube("GET", f"{THEIRS}/pods", f"Impersonate_User='system:serviceaccount:{OTHER}:job'"),
        "403 impersonate",
    ),
    Attack("all keys of the team", grace_works, _kube("GET", f"{MINE}/secrets"), "403"),
    Attack("the team's own key", grace_works, _kube("GET", f"{MINE}/secrets/storage"), "403"),
    Attack(
        "a colleague's token",
        grace_works,
        _kube("GET", f"{MINE}/secrets/notebook-grace-token"),
        "403",
    ),
    *(
        Attack(
            f"a token of {account}",
            grace_works,
            _kube("POST", f"{MINE}/serviceaccounts/{account}/token", "{}"),
            "403",
        )
        for account in ("notebook", "job", "model", "default")
    ),
    *(
        Attack(
            f"{what} in a colleague's pod",
            grace_works,
            _kube(method, f"{MINE}/pods/notebook-grace{path}"),
            "403",
        )
        for what, method, path in (
            ("a command", "GET", "/exec?command=id&stdout=1"),
            ("a hand", "GET", "/attach?stdin=1"),
            ("a tunnel", "GET", "/portforward?ports=8888"),
            ("a page", "GET", ":8888/proxy/api"),
            ("an ear", "GET", "/log"),
        )
    ),
    Attack(
        "another image for a colleague's pod",
        grace_works,
        _kube("PATCH", f"{MINE}/pods/notebook-grace{DRY}", "{'metadata': {}}", PATCH),
        "403",
    ),
    Attack(
        "a debugger beside a colleague",
        grace_works,
        _kube(
            "PATCH", f"{MINE}/pods/notebook-grace/ephemeralcontainers{DRY}", "{'spec': {}}", PATCH
        ),
        "403",
    ),
    Attack(
        "the end of a colleague's pod",
        grace_works,
        _kube("DELETE", f"{MINE}/pods/notebook-grace{DRY}"),
        "403 metadata.labels",
    ),
    Attack(
        "the end of all pods",
        grace_works,
        _kube("DELETE", f"{MINE}/pods{DRY}"),
        "403 metadata.labels",
    ),
    Attack(
        "a colleague's home",
        grace_works,
        _kube("GET", f"{MINE}/persistentvolumeclaims/home-grace"),
        "403",
    ),
    Attack(
        "the end of a colleague's home",
        grace_works,
        _kube("DELETE", f"{MINE}/persistentvolumeclaims/home-grace{DRY}"),
        "403",
    ),
    Attack(
        "the end of all homes",
        grace_works,
        _kube("DELETE", f"{MINE}/persistentvolumeclaims{DRY}"),
        "403",
    ),
    Attack(
        "the team's settings",
        grace_works,
        _kube("DELETE", f"{MINE}/configmaps/kube-root-ca.crt{DRY}"),
        "403 metadata.name",
    ),
    Attack(
        "settings of another kind",
        executors_are_made,
        _kube("POST", f"{MINE}/configmaps{DRY}", "{'metadata': {'name': 'trap'}}"),
        "403 metadata.name",
    ),
    *(
        Attack(f"a new object: {what}", grace_works, _kube("POST", f"{path}{DRY}", "{}"), "403")
        for what, path in (
            ("service", f"{MINE}/services"),
            ("account", f"{MINE}/serviceaccounts"),
            ("secret", f"{MINE}/secrets"),
            ("home", f"{MINE}/persistentvolumeclaims"),
            ("policy", f"/apis/networking.k8s.io/v1/namespaces/{TENANT}/networkpolicies"),
            ("role", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{TENANT}/rolebindings"),
            ("job", f"/apis/batch/v1/namespaces/{TENANT}/jobs"),
            ("deployment", f"/apis/apps/v1/namespaces/{TENANT}/deployments"),
        )
    ),
    Attack(
        "the end of the fence",
        grace_works,
        _kube("DELETE", f"/apis/networking.k8s.io/v1/namespaces/{TENANT}/networkpolicies{DRY}"),
        "403",
    ),
]
POD = [
    (
        "a colleague's home",
        volume(persistentVolumeClaim={"claimName": "home-grace"}),
        "spec.volumes",
    ),
    ("a colleague's token", volume(secret={"secretName": "notebook-grace-token"}), "spec.volumes"),
    ("a key as a file", volume(secret={"secretName": "storage"}), "spec.volumes"),
    (
        "a key in a mixed volume",
        volume(projected={"sources": [{"secret": {"name": "notebook-grace-token"}}]}),
        "spec.volumes",
    ),
    ("a token of its account", volume(projected={"sources": [TOKEN]}), "spec.volumes"),
    ("its account's token", executor(automountServiceAccountToken=True), "spec.volumes"),
    (
        "a volume claim of its own",
        volume(
            ephemeral={
                "volumeClaimTemplate": {
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1Mi"}},
                    }
                }
            }
        ),
        "spec.volumes",
    ),
    ("a driver's volume", volume(csi={"driver": "secrets-store.csi.k8s.io"}), "spec.volumes"),
    ("a folder of the machine", volume(hostPath={"path": "/"}), "restricted"),
    ("the machine's network", executor(hostNetwork=True), "restricted"),
    ("the role of a notebook", named("x-exec-2", role="notebook"), "metadata.labels"),
    ("no role", named("x-exec-3"), "metadata.labels"),
    ("a colleague's name", named("notebook-grace", role="spark-executor"), "metadata.name"),
    ("a free name", named("notebook-alan", role="spark-executor"), "metadata.name"),
    *(
        (f"the account {account}", executor(serviceAccountName=account), "spec.serviceAccountName")
        for account in ("notebook", "model", "default")
    ),
    ("a node of its choice", executor(nodeName="node"), "spec.nodeName"),
    (
        "the platform's priority",
        executor(priorityClassName="system-node-critical"),
        "spec.priorityClassName",
    ),
    ("the turn of a notebook", in_turn("notebook"), "metadata.labels"),
    ("a node that costs", executor(tolerations=[TAINT]), "spec.tolerations"),
    ("any node", executor(tolerations=[{"operator": "Exists"}]), "spec.tolerations"),
    (
        "a colleague's token as a variable",
        executor(env=[storage_key("notebook-grace-token")]),
        "spec.containers.env",
    ),
    (
        "a colleague's token as variables",
        in_container(envFrom=[{"secretRef": {"name": "notebook-grace-token"}}]),
        "spec.containers.envFrom",
    ),
    (
        "a token in what runs first",
        before_it(env=[storage_key("notebook-grace-token")]),
        "spec.containers.env",
    ),
]
PODS = [
    Attack(f"a pod with {what}", executors_are_made, make(pod), f"403 {field}")
    for what, pod, field in POD
]
HUB_API = [
    Attack("a stranger at the hub", hub_answers, "hub('GET', '/users/alan')", NOT_YOURS),
    Attack("a colleague at the hub", lin_sees_vision, "hub('GET', '/users/grace')", NOT_YOURS),
    Attack("everybody", lin_sees_vision, "hub('GET', '/users')", "403"),
    Attack(
        "the end of a colleague's server",
        grace_works,
        "hub('DELETE', '/users/grace/server')",
        NOT_YOURS,
    ),
    Attack(
        "the end of a stranger's server",
        alan_works,
        "hub('DELETE', '/users/alan/server')",
        NOT_YOURS,
    ),
    Attack("a token of alan", hub_answers, "hub('POST', '/users/alan/tokens', {})", NOT_YOURS),
    Attack("a token of grace", grace_works, "hub('POST', '/users/grace/tokens', {})", NOT_YOURS),
    Attack("a stronger token", ada_logs_in, "hub('POST', '/users/ada/tokens', {})", NOT_YOURS),
    Attack(
        "a colleague who seems awake",
        grace_works,
        "hub('POST', '/users/grace/activity', {'last_activity': '2030-01-01T00:00:00Z'})",
        NOT_YOURS,
    ),
    *(
        Attack(f"the hub's {path}", hub_answers, f"hub({method!r}, {path!r})", "403")
        for method, path in (
            ("GET", "/proxy"),
            ("GET", "/groups"),
            ("GET", "/services"),
            ("GET", "/info"),
            ("POST", "/shutdown"),
        )
    ),
    Attack(
        "the hub's numbers",
        hub_counts,
        f"ask('GET', 'http://{HUB}:8081/hub/metrics', Authorization=f'token {{HUB_TOKEN}}')",
        "403",
    ),
]
BROWSER = [
    Attack(
        "a stranger's page",
        alan_works,
        lambda world: status(world.ada.page(f"{world.alan.home}lab")),
        "403",
    ),
    Attack(
        "a colleague's page",
        grace_works,
        lambda world: status(world.ada.page(f"{world.grace.home}lab")),
        "403",
    ),
    Attack(
        "a stranger's kernels",
        alan_works,
        lambda world: status(world.ada.jupyter("GET", world.alan.home, "kernels")),
        "403",
    ),
    Attack(
        "a member's page, by the team's administrator",
        lin_sees_vision,
        lambda world: status(world.bed.person("lin").page(f"{world.grace.home}lab")),
        "403",
    ),
    Attack(
        "a stranger's server, started",
        hub_answers,
        lambda world: status(world.ada.api("POST", "/users/alan/servers/x", json={})),
        NOT_YOURS,
    ),
    Attack(
        "a server among strangers",
        hub_answers,
        lambda world: status(world.ada.start("x", profile="small", tenant=OTHER)),
        "400",
    ),
    Attack(
        "a stranger's experiments, by the page",
        alan_sees_experiments,
        lambda world: status(experiments(world.ada, OTHER)),
        "403",
    ),
    Attack(
        "a login with a guess",
        ada_logs_in,
        lambda world: status(Person(world.bed.hub, "lin").log_in("password")),
        "403",
    ),
]
ATTACKS = [*NETWORK, *TRACKING, *STORAGE, *CLUSTER, *PODS, *HUB_API, *BROWSER]


# -- the world ------------------------------------------------------------------------------------


@contextmanager
def metadata_service(bed: Testbed) -> Iterator[None]:
    """What a cloud has at this address: the rig's node answers there meanwhile."""
    address = f"{METADATA}/32"
    serve = f"nohup python3 -m http.server 80 --bind {METADATA} >/dev/null 2>&1 & echo $!"
    machine.run_inside(bed.layout, "ip", "address", "replace", address, "dev", "lo")
    pid = machine.run_inside(bed.layout, "sh", "-c", f"cd /var/empty || cd /proc; {serve}").strip()
    try:
        yield
    finally:
        machine.run_inside(bed.layout, "kill", pid)
        machine.run_inside(bed.layout, "ip", "address", "delete", address, "dev", "lo")


@contextmanager
def bystander(bed: Testbed) -> Iterator[None]:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": BYSTANDER}}
    document = yaml.safe_dump_all([space, sleeper(BYSTANDER, BYSTANDER)])
    bed.kubectl("apply", "-f", "-", given=document)
    try:
        ready = ("wait", "--for=condition=Ready", f"pod/{BYSTANDER}", "-n", BYSTANDER)
        bed.kubectl(*ready, "--timeout=120s", timeout=130)
        yield
    finally:
        bed.kubectl("delete", "-f", "-", "--wait=false", given=document)


@contextmanager
def people(bed: Testbed) -> Iterator[list[Person]]:
    teams = {"ada": TENANT, "grace": TENANT, "alan": OTHER}
    found = [bed.person(name) for name in teams]
    for person in found:
        if person.server() is None:
            person.start(profile="small", tenant=teams[person.name])
    try:
        for person in found:
            person.ready(seconds=180)
            person.enter()
        yield found
    finally:
        for person in found:
            person.stop()
        for person in found:
            person.gone()


def addresses(bed: Testbed) -> dict[str, str]:
    def pod(name: str, namespace: str) -> str:
        where = ("-n", namespace, "-o", "jsonpath={.status.podIP}")
        return bed.kubectl("get", "pod", name, *where)

    return {
        "alan": pod("notebook-alan", OTHER),
        "grace": pod("notebook-grace", TENANT),
        "database": pod("database-0", NAMESPACE),
        "metrics-server": bed.service("metrics-server", "kube-system"),
        "node": bed.layout.address,
    }


@pytest.fixture(scope="module")
def world(bed: Testbed) -> Iterator[World]:
    """All proofs, then all attacks: at once, as each takes its time to be refused."""
    with metadata_service(bed), bystander(bed), people(bed) as (ada, grace, alan):
        world = World(bed, ada, grace, alan, addresses(bed))
        for proof in dict.fromkeys(attack.alive for attack in ATTACKS):
            world.proven[proof] = _proven(world, proof)
        inside = [attack.tried for attack in ATTACKS if isinstance(attack.tried, str)]
        world.answers = world.inside(inside)
        yield world


def _proven(world: World, proof: Callable[[World], object]) -> object:
    """True, or why not. What has just started may need a moment before it answers everybody."""

    def true() -> bool | None:
        try:
            return True if proof(world) is True else None
        except (AssertionError, ValueError) as error:
            raise RigError(str(error)[:600]) from error

    try:
        return until(true, 60, proof.__name__)
    except Late as late:
        return late


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.title)
def test_an_attack_is_refused_by_what_is_there_for_its_owner(world: World, attack: Attack):
    assert world.proven[attack.alive] is True, f"the target: {world.proven[attack.alive]}"

    tried = attack.tried
    answer = world.answers[tried] if isinstance(tried, str) else tried(world)

    starts, _, contains = attack.refused.partition(" ")
    assert answer.startswith(tuple(starts.split("|"))), answer
    assert not contains or any(text in answer for text in contains.split("|")), answer


def test_attacks_have_harmed_nobody(world: World):
    assert alan_works(world)
    assert grace_works(world)
    assert hub_answers(world)
