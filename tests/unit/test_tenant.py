"""A tenant: what it may hold, whom its pods may talk to, and what its accounts may do."""

import ipaddress
from typing import Any

import builders
import pytest
from pulumi.runtime.rpc import is_rpc_secret
from recording import recorded

TRACKING = ["experiments", "datasets", "registeredmodels"]
WRITE = ["get", "list", "create", "update", "delete"]
HUB = "spillway: jupyterhub/hub"
PROXY = "spillway: jupyterhub/proxy"
EVERYBODY = "*"
API = [f"{builders.NODES}:443", f"{builders.NODES}:6443"]


def one():
    return builders.tenant().urn


def in_a_cloud():
    return builders.tenant(kept=builders.cloud_storage()).urn


def closed():
    return builders.tenant(internet=False).urn


def two():
    return [builders.tenant("vision").urn, builders.tenant("language").urn]


def words(labels: dict[str, str]) -> str:
    """Labels of the platform's pods as app/role, of a tenant's as their role."""
    if role := labels.get("spillway.dev/role"):
        return role
    if labels:
        rest = [labels.get(f"app.kubernetes.io/{k}") for k in ("instance", "component")]
        return "/".join(part for part in rest if part) or str(labels)
    return EVERYBODY


def peer(rule: dict[str, Any]) -> str:
    if block := rule.get("ipBlock"):
        return block["cidr"] + ("…" if block.get("except") else "")
    spaces = rule.get("namespaceSelector", {}).get("matchLabels", {})
    space = spaces.get("kubernetes.io/metadata.name", "?")
    return f"{space}: {words(rule['podSelector'].get('matchLabels', {}))}"


def ways(rules: list[dict[str, Any]], side: str) -> list[str]:
    """Every peer and port of the rules of one direction."""
    found = []
    for rule in rules:
        ports = [f":{p['port']:.0f}" for p in rule.get("ports", [])] or [""]
        found += [peer(p) + port for p in rule[side] for port in ports]
    return sorted(found)


def policies(engine) -> dict[str, tuple[str, list[str], list[str]]]:
    """By name: whose pods, who may call them, and whom they may call."""
    return {
        name: (
            words(policy["spec"]["podSelector"].get("matchLabels", {})),
            ways(policy["spec"].get("ingress", []), "from"),
            ways(policy["spec"].get("egress", []), "to"),
        )
        for name, policy in engine.of("NetworkPolicy").items()
        if not name.endswith("-dns")
    }


# -- the namespace --------------------------------------------------------------------------------


def test_its_namespace_is_restricted_and_says_what_it_is_for():
    (namespace,) = recorded(one).of("Namespace").values()

    labels = namespace["metadata"]["labels"]
    assert namespace["metadata"]["name"] == "vision"
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
    for mark in ("tenant", "mlflow-workspace", "mlflow-client", "storage-client"):
        assert labels[f"spillway.dev/{mark}"] == "true"


@pytest.mark.parametrize("protect", [True, False])
def test_its_namespace_with_every_home_is_locked_as_the_stack_says(protect, engine, resolve):
    resolve(lambda: builders.tenant(protect=protect).urn)

    assert engine.requests["vision-namespace"].protect is protect
    assert engine.requests["vision-namespace"].deleteBeforeReplace


def test_its_quota_is_the_files_and_nothing_leaves_but_through_the_platforms_door():
    (quota,) = recorded(one).of("ResourceQuota").values()

    assert quota["spec"] == {
        "hard": {
            "requests.cpu": "8",
            "requests.memory": "16Gi",
            "limits.memory": "16Gi",
            "requests.nvidia.com/gpu": "2",
            "pods": "80",
            "services.nodeports": "0",
            "services.loadbalancers": "0",
        }
    }


def test_a_small_tenant_may_still_have_pods_enough(engine, resolve):
    resolve(lambda: builders.tenant(cpu=1).urn)

    assert engine.named("vision-quota")["spec"]["hard"]["pods"] == "50"


def test_a_container_that_says_nothing_gets_what_a_quota_needs_and_no_cpu_limit():
    (limits,) = recorded(one).of("LimitRange").values()

    assert limits["spec"]["limits"] == [
        {
            "type": "Container",
            "defaultRequest": {"cpu": "100m", "memory": "256Mi"},
            "default": {"memory": "1Gi"},
        }
    ]


# -- who may talk to whom -------------------------------------------------------------------------


def test_nothing_is_allowed_until_a_policy_says_so():
    deny = recorded(one).named("vision-default-deny")["spec"]

    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_way_in_and_out_is_one_of_these():
    executors = "vision: spark-executor"
    assert policies(recorded(one)) == {
        "vision-default-deny": (EVERYBODY, [], []),
        "vision-everybody": (EVERYBODY, [], ["0.0.0.0/0…", "spillway: mlflow:5000"]),
        "vision-bucket": (EVERYBODY, [], ["?: {'app': 'client'}:9000"]),
        "vision-notebooks": (
            "notebook",
            sorted(
                [f"{HUB}:8888", f"{PROXY}:8888", f"{executors}:7078", f"{executors}:7079"],
            ),
            sorted([*API, f"{HUB}:8081", executors]),
        ),
        "vision-executors": (
            "spark-executor",
            ["vision: notebook", executors],
            ["vision: notebook", executors],
        ),
    }


def test_every_policy_is_for_both_directions_so_that_what_it_leaves_out_stays_shut():
    found = recorded(one).of("NetworkPolicy")

    one_way = [n for n, p in found.items() if p["spec"]["policyTypes"] != ["Ingress", "Egress"]]
    assert one_way == ["vision-dns"]


def test_without_internet_no_public_address_is_left():
    open_to_all = policies(recorded(one))

    assert policies(recorded(closed)) == {
        **open_to_all,
        "vision-everybody": (EVERYBODY, [], ["spillway: mlflow:5000"]),
    }


@pytest.mark.parametrize(
    "address",
    ["10.10.0.5", "10.43.0.1", "172.16.9.9", "192.168.1.1", "100.64.0.1", "169.254.169.254"],
)
def test_the_internet_is_no_way_to_what_is_private(address):
    _, internet = recorded(one).named("vision-everybody")["spec"]["egress"]
    (block,) = (p["ipBlock"] for p in internet["to"])

    spared = [ipaddress.ip_network(cidr) for cidr in block["except"]]
    assert any(ipaddress.ip_address(address) in network for network in spared)
    assert not any(ipaddress.ip_address("93.184.215.14") in network for network in spared)


def test_in_a_cloud_its_pods_reach_where_they_log_in():
    _, incoming, outgoing = policies(recorded(in_a_cloud))["vision-bucket"]

    assert (incoming, outgoing) == ([], ["0.0.0.0/0:443"])


def test_no_pod_of_another_tenant_is_let_in_or_called():
    for name, (_, incoming, outgoing) in policies(recorded(two)).items():
        other = "language" if name.startswith("vision") else "vision"
        assert not any(way.startswith(f"{other}:") for way in (*incoming, *outgoing)), name
        # Without a namespace a selector means the policy's own.
        assert not any(way.startswith("?: *") for way in (*incoming, *outgoing)), name


# -- who may do what ------------------------------------------------------------------------------

MLFLOW = (("mlflow.kubeflow.org",), tuple(TRACKING))
GATEWAY = ((("mlflow.kubeflow.org",), ("gatewayendpoints/use",)), ["create"])
SPARK = [
    ((("",), ("pods",)), ["get", "list", "watch", "create", "delete", "deletecollection"]),
    ((("",), ("configmaps",)), ["create", "delete", "deletecollection"]),
]
SERVE = (
    (("machinelearning.seldon.io",), ("seldondeployments",)),
    ["get", "list", "watch", "create", "update", "patch", "delete"],
)
RIGHTS = {
    "notebook": ("vision", "notebook", [(MLFLOW, WRITE), GATEWAY, SERVE, *SPARK]),
    "job": ("vision", "job", [(MLFLOW, WRITE), SERVE, *SPARK]),
    "model": ("vision", "model", [(MLFLOW, ["get", "list"])]),
    "spawner": (
        "spillway",
        "jupyterhub-hub",
        [
            ((("",), ("pods",)), ["get", "list", "watch", "create", "delete"]),
            ((("", "events.k8s.io"), ("events",)), ["get", "list", "watch"]),
            ((("",), ("persistentvolumeclaims",)), ["get", "create", "delete"]),
            ((("",), ("secrets",)), ["create", "delete", "patch"]),
        ],
    ),
    "viewer": (
        "spillway",
        "jupyterhub-tracking-ui",
        [((("",), ("serviceaccounts/token",)), ["create"])],
    ),
}


def rules(role: dict[str, Any]) -> list[Any]:
    return [
        ((tuple(r["apiGroups"]), tuple(r["resources"])), list(r["verbs"])) for r in role["rules"]
    ]


@pytest.mark.parametrize("who", RIGHTS)
def test_an_account_may_do_exactly_this(who):
    namespace, account, allowed = RIGHTS[who]
    engine = recorded(one)

    assert rules(recorded(builders.tenant_roles).named(f"tenant-roles-{who}")) == allowed
    binding = engine.named(f"vision-{who}-binding")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    ]
    assert binding["roleRef"]["kind"] == "ClusterRole"
    assert binding["roleRef"]["name"] == f"role-{who}"


def test_there_are_no_other_rights_and_none_outside_the_namespace():
    engine, roles = recorded(one), recorded(builders.tenant_roles)

    bindings = engine.of("RoleBinding")
    assert set(roles.of("ClusterRole")) == {f"tenant-roles-{who}" for who in RIGHTS}
    assert set(bindings) == {f"vision-{who}-binding" for who in RIGHTS}
    assert all(binding["metadata"]["namespace"] == "vision" for binding in bindings.values())
    assert not engine.of("Role")
    assert not [*engine.of("ClusterRoleBinding"), *roles.of("ClusterRoleBinding")]


def test_no_right_is_a_wildcard():
    for name, role in recorded(builders.tenant_roles).of("ClusterRole").items():
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], name


def test_nobody_reads_secrets_starts_a_shell_or_gives_rights_away():
    for name, role in recorded(builders.tenant_roles).of("ClusterRole").items():
        for rule in role["rules"]:
            read = {"get", "list", "watch"} & set(rule["verbs"])
            assert not ("secrets" in rule["resources"] and read), name
            forbidden = {"pods/exec", "pods/attach", "roles", "rolebindings", "resourcequotas"}
            assert not forbidden & set(rule["resources"]), name
            assert not {"impersonate", "bind", "escalate"} & set(rule["verbs"]), name


def test_the_experiments_page_asks_as_people_do_and_as_no_other_account():
    (rule,) = recorded(builders.tenant_roles).named("tenant-roles-viewer")["rules"]

    assert rule["resourceNames"] == ["notebook"]


def test_accounts_have_fixed_names_and_hand_no_token_to_pods_that_did_not_ask():
    accounts = recorded(one).of("ServiceAccount")

    assert {a["metadata"]["name"] for a in accounts.values()} == {"notebook", "job", "model"}
    assert all(a["automountServiceAccountToken"] is False for a in accounts.values())


# -- its storage ----------------------------------------------------------------------------------


def test_keys_of_its_storage_are_in_a_secret_that_programs_know_by_name():
    secret = recorded(one).named("vision-storage")

    assert secret["metadata"]["name"] == "storage"
    assert secret["metadata"]["namespace"] == "vision"
    assert is_rpc_secret(secret["stringData"])
    assert secret["stringData"]["value"] == {"AWS_SECRET_ACCESS_KEY": "hunter2storage"}


def test_where_who_a_pod_is_opens_the_storage_there_is_no_secret():
    assert recorded(in_a_cloud).of("Secret") == {}
