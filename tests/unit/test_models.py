"""What is declared for a model: its pods, its shares, and who may call it."""

import json
from typing import Any

import builders
import pulumi
import pytest
from recording import recorded

from components.cluster.gpu_pods import Gpus
from components.door.access import GRPC, Open
from components.model import Scaling, Version
from components.pods import camel
from components.seldon import definition
from infra import serving, stack
from infra.models import Model

V7, V8 = "models:/iris/7", "models:/iris/8"


def deployment(**changes: Any) -> dict[str, Any]:
    return recorded(lambda: builders.model(**changes).urn).named("iris-serving")


def predictors(**changes: Any) -> dict[str, dict[str, Any]]:
    return {p["name"]: p for p in deployment(**changes)["spec"]["predictors"]}


def shared(*shares: int, shadow: bool = False) -> list[Version]:
    return [
        Version(uri=f"models:/iris/{at + 7}", traffic=share, shadow=shadow and at > 0)
        for at, share in enumerate(shares)
    ]


def pod(predictor: dict[str, Any]) -> dict[str, Any]:
    return predictor["componentSpecs"][0]["spec"]


def content(predictor: dict[str, Any]) -> str:
    return predictor["componentSpecs"][0]["metadata"]["name"]


# -- pods -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", [V7, "s3://tenant-vision/models/iris"])
def test_every_container_is_restricted_by_itself(uri):
    spec = pod(predictors(versions=[Version(uri=uri, traffic=100)])["a"])

    for container in [*spec["initContainers"], *spec["containers"]]:
        security = container["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["resources"]["limits"].keys() == {"memory"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in spec["volumes"]}


def test_only_what_fetches_a_registered_model_has_a_token():
    spec = pod(predictors()["a"])
    (fetcher,), (server,) = spec["initContainers"], spec["containers"]

    assert spec["automountServiceAccountToken"] is False
    assert "identity" in {mount["name"] for mount in fetcher["volumeMounts"]}
    assert "identity" not in {mount["name"] for mount in server["volumeMounts"]}
    assert fetcher["args"] == [V7, "/mnt/models"]
    env = {e["name"]: e["value"] for e in fetcher["env"]}
    assert env["MLFLOW_TRACKING_AUTH"] == "kubernetes-namespaced"
    assert env["MLFLOW_WORKSPACE"] == "vision"
    assert "envFrom" not in fetcher


def test_a_model_in_a_bucket_comes_by_the_tenants_keys_and_no_token():
    spec = pod(predictors(versions=[Version(uri="s3://b/iris", traffic=100)])["a"])
    (fetcher,) = spec["initContainers"]

    assert fetcher["envFrom"] == [{"secretRef": {"name": "storage"}}]
    assert {e["name"] for e in fetcher["env"]} == {"AWS_ENDPOINT_URL_S3"}
    assert "identity" not in {volume["name"] for volume in spec["volumes"]}


def test_in_a_cloud_it_comes_by_who_the_pod_is():
    versions = [Version(uri="gs://b/iris", traffic=100)]
    engine = recorded(
        lambda: builders.model(versions=versions, storage=builders.cloud_storage()).urn
    )
    spec = pod(engine.named("iris-serving")["spec"]["predictors"][0])
    (fetcher,) = spec["initContainers"]

    assert {"name": "login", "configMap": {"name": "login", "defaultMode": 0o444}} in (
        spec["volumes"]
    )
    assert "login" in {mount["name"] for mount in fetcher["volumeMounts"]}
    assert "envFrom" not in fetcher


def test_the_operators_own_fetcher_and_proxy_stay_out():
    predictor = predictors()["a"]

    assert predictor["annotations"] == {"seldon.io/no-engine": "true"}
    assert predictor["graph"] == {"name": "iris", "type": "MODEL", "children": []}
    assert [c["name"] for c in pod(predictor)["containers"]] == ["iris"]


def test_a_server_that_stops_goes_on_answering_for_a_while():
    spec = pod(predictors()["a"])

    assert spec["containers"][0]["lifecycle"] == {
        "preStop": {"exec": {"command": ["/bin/sleep", "10"]}}
    }
    assert spec["terminationGracePeriodSeconds"] > 10


# -- GPUs -----------------------------------------------------------------------------------------

TWO = Gpus(accelerator="l4", count=2)


def component(predictor: dict[str, Any]) -> dict[str, Any]:
    return predictor["componentSpecs"][0]


def test_a_server_with_gpus_waits_in_its_teams_queue_before_jobs():
    labels = component(predictors(gpus=TWO)["a"])["metadata"]["labels"]

    assert labels["kueue.x-k8s.io/queue-name"] == "default"
    assert labels["kueue.x-k8s.io/priority-class"] == "serving"
    assert labels["spillway.dev/role"] == "model"


def test_replicas_with_gpus_go_beside_others_and_not_beside_each_other():
    predictor = predictors(gpus=TWO)["a"]
    (apart,) = pod(predictor)["topologySpreadConstraints"]

    assert apart["topologyKey"] == "kubernetes.io/hostname"
    own = apart["labelSelector"]["matchLabels"]
    assert own.items() <= component(predictor)["metadata"]["labels"].items()
    assert own["app.kubernetes.io/instance"] == "iris"
    assert "topologySpreadConstraints" not in pod(predictors()["a"])


def test_it_asks_for_them_and_what_fetches_its_model_does_not():
    spec = pod(predictors(gpus=TWO)["a"])
    (fetcher,), (server,) = spec["initContainers"], spec["containers"]

    for kind in ("limits", "requests"):
        assert server["resources"][kind]["nvidia.com/gpu"] == "2"
        assert "nvidia.com/gpu" not in fetcher["resources"].get(kind, {})
    assert server["resources"]["limits"]["memory"] == "512Mi"


def test_it_goes_to_machines_that_have_such_and_enough_and_the_queue_says_whose():
    spec = pod(predictors(gpus=TWO)["a"])

    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchExpressions"] == [
        {"key": "spillway.dev/accelerator", "operator": "In", "values": ["l4"]},
        {"key": "spillway.dev/gpus", "operator": "Gt", "values": ["1"]},
    ]
    assert "tolerations" not in spec
    assert "priorityClassName" not in spec


def test_a_model_without_gpus_says_nothing_of_them():
    made = json.dumps(predictors()["a"])

    assert not [word for word in ("kueue", "nvidia", "affinity") if word in made]


def test_other_gpus_are_another_deployment():
    contents = {content(predictors(gpus=gpus)["a"]) for gpus in (None, TWO, Gpus(accelerator="l4"))}

    assert len(contents) == 3


def test_a_version_that_waits_for_a_machine_has_not_failed_yet():
    engine = recorded(lambda: builders.model(gpus=TWO, queue_seconds=1800).urn)
    (predictor,) = engine.named("iris-serving")["spec"]["predictors"]
    (server,) = pod(predictor)["containers"]

    assert predictor["progressDeadlineSeconds"] == 2400
    assert engine.requests["iris-serving"].customTimeouts.create == "2400s"
    # Once it has its machine it has as long as any other.
    assert server["startupProbe"] == pod(predictors()["a"])["containers"][0]["startupProbe"]


@pytest.mark.parametrize("count", [0, -1])
def test_no_gpus_are_said_by_saying_nothing(count):
    with pytest.raises(ValueError, match="count must be 1 or more"):
        Gpus(accelerator="l4", count=count)


def test_keys_that_are_no_names_of_the_sdk_stay_as_they_are():
    assert camel({"node_affinity": {"nvidia.com/gpu": "1"}}) == {
        "nodeAffinity": {"nvidia.com/gpu": "1"}
    }


# -- names ----------------------------------------------------------------------------------------


def test_another_share_is_the_same_pods():
    before, after = predictors(versions=shared(90, 10)), predictors(versions=shared(10, 90))

    assert [content(p) for p in before.values()] == [content(p) for p in after.values()]
    assert [p["traffic"] for p in after.values()] == [10, 90]


@pytest.mark.parametrize(
    "changes",
    [{"versions": [Version(uri=V8, traffic=100)]}, {"memory": "1Gi"}, {"cpu": 2.0}],
    ids=str,
)
def test_another_pod_is_another_deployment_behind_the_same_service(changes):
    before, after = predictors()["a"], predictors(**changes)["a"]

    assert before["name"] == after["name"]
    assert content(before) != content(after)


def test_more_servers_are_the_same_deployment():
    assert content(predictors()["a"]) == content(predictors(replicas=3)["a"])


def test_an_up_waits_for_each_deployment_by_its_name():
    made = deployment(versions=shared(90, 10), replicas=2)

    waits = json.loads(made["metadata"]["annotations"]["pulumi.com/waitFor"])
    names = [f"iris-{p['name']}-0-{content(p)}" for p in made["spec"]["predictors"]]
    assert waits == [
        *(f"jsonpath={{.status.deploymentStatus['{n}'].availableReplicas}}=2" for n in names),
        "jsonpath={.status.state}=Available",
    ]


@pytest.mark.parametrize("uri", [V7, "models:/iris@champion-of-the-north", "s3://b/Iris v1/"])
def test_names_fit_into_a_label(uri):
    model = "m" * 30
    made = recorded(
        lambda: builders.model(model=model, versions=[Version(uri=uri, traffic=100)]).urn
    )

    (predictor,) = made.named("iris-serving")["spec"]["predictors"]
    name = f"{model}-a-0-{content(predictor)}"
    assert len(name) <= 63
    assert name == name.lower()
    assert " " not in name


# -- shares ---------------------------------------------------------------------------------------


def test_a_shadow_answers_nobody():
    found = predictors(versions=shared(100, 50, shadow=True))

    assert [(p["traffic"], p["shadow"]) for p in found.values()] == [(100, False), (50, True)]


@pytest.mark.parametrize("shares", [(90, 20), (50,), ()])
def test_shares_that_do_not_sum_to_100_are_no_deployment(shares):
    with pytest.raises(ValueError, match="traffic must sum to 100"):
        recorded(lambda: builders.model(versions=shared(*shares)).urn)


# -- more servers ---------------------------------------------------------------------------------

SCALING = Scaling(most=4, cpu_percent=70, calm_seconds=60)


def test_each_version_has_its_own_autoscaler_and_no_number_that_would_fight_it():
    engine = recorded(
        lambda: builders.model(versions=shared(90, 10), replicas=2, scaling=SCALING).urn
    )

    made = engine.named("iris-serving")
    for predictor in made["spec"]["predictors"]:
        assert "replicas" not in predictor
        spec = engine.named(f"iris-scaling-{predictor['name']}")["spec"]
        target = f"iris-{predictor['name']}-0-{content(predictor)}"
        assert spec["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": target,
        }
        assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 4)
        assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
        assert spec["behavior"]["scaleDown"] == {"stabilizationWindowSeconds": 60}
        wait = f"jsonpath={{.status.deploymentStatus['{target}'].availableReplicas}}"
        assert wait in json.loads(made["metadata"]["annotations"]["pulumi.com/waitFor"])


CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
}


def requests(place: str, target: str) -> dict[str, Any]:
    labels = {"model": "iris", "place": place}
    return {
        "type": "External",
        "external": {
            "metric": {
                "name": "spillway-requests-per-second",
                "selector": {"matchLabels": labels},
            },
            "target": {"type": "AverageValue", "averageValue": target},
        },
    }


@pytest.mark.parametrize(
    ("by", "metrics"),
    [
        ({"cpu_percent": 70}, lambda _: [CPU]),
        ({"requests": 50.0}, lambda place: [requests(place, "50")]),
        ({"cpu_percent": 70, "requests": 2.5}, lambda place: [CPU, requests(place, "2500m")]),
    ],
    ids=["cpu", "requests", "both"],
)
def test_each_version_is_judged_by_what_was_said_and_by_its_own_requests(by, metrics):
    scaling = Scaling(most=4, calm_seconds=60, **by)
    engine = recorded(lambda: builders.model(versions=shared(90, 10), scaling=scaling).urn)

    for place in "ab":
        assert engine.named(f"iris-scaling-{place}")["spec"]["metrics"] == metrics(place)


def test_scaling_by_nothing_is_no_scaling():
    with pytest.raises(ValueError, match="by cpu_percent, by requests, or by both"):
        Scaling(most=4, calm_seconds=60)


@pytest.mark.parametrize(
    ("said", "cpu", "rate"),
    [
        ({}, 80, None),
        ({"requestsPerSecond": 50}, None, 50),
        ({"requestsPerSecond": 50, "cpuPercent": 60}, 60, 50),
        ({"cpuPercent": 60}, 60, None),
    ],
    ids=str,
)
def test_processors_are_looked_at_unless_only_requests_are_said(said, cpu, rate):
    model = {
        "tenant": "vision",
        "versions": [{"uri": V7}],
        "autoscaling": {"maxReplicas": 3, **said},
    }
    found = serving.scaling(Model.model_validate(model))

    assert found == Scaling(most=3, cpu_percent=cpu, requests=rate, calm_seconds=300)


def test_without_scaling_there_is_no_autoscaler():
    engine = recorded(lambda: builders.model().urn)

    assert engine.of("HorizontalPodAutoscaler") == {}


# -- who may call ---------------------------------------------------------------------------------


def access(**changes: Any) -> Any:
    return recorded(lambda: builders.model_access(**changes).urn)


def allowed(engine: Any) -> list[dict[str, Any]]:
    return engine.named("model-access-allowed")["spec"]["rules"]


def test_a_tenants_models_are_for_the_tenants_accounts_and_only_their_models():
    others, *tenants = allowed(access())

    assert others == {
        "to": [{"operation": {"notHosts": [builders.MODELS, f"{builders.MODELS}:*"]}}]
    }
    pairs = zip(tenants[::2], tenants[1::2], strict=True)
    for name, (rest, grpc) in zip(("vision", "language"), pairs, strict=True):
        anybody = f"https://issuer.example.com/system:serviceaccount:{name}:*"
        for rule, paths in ((rest, [f"/seldon/{name}/{{*}}/v2/models/{{**}}"]), (grpc, GRPC)):
            assert rule["from"] == [{"source": {"requestPrincipals": [anybody]}}]
            (to,) = rule["to"]
            assert to["operation"]["paths"] == paths
            assert to["operation"]["hosts"] == [builders.MODELS, f"{builders.MODELS}:*"]
        assert grpc["when"] == [{"key": "request.headers[namespace]", "values": [name]}]


def test_anybody_may_call_what_was_said_to_be_for_anybody_and_nothing_else():
    path = "/seldon/vision/iris/v2/models/iris"
    opened = Open(tenant="vision", model="iris", path=path)

    assert all("from" in rule for rule in allowed(access())[1:])
    (*_, rest, grpc) = allowed(access(anonymous=[opened]))
    assert "from" not in rest
    assert rest["to"][0]["operation"]["paths"] == [f"{path}/{{**}}"]
    assert "from" not in grpc
    assert grpc["to"][0]["operation"]["paths"] == GRPC
    assert grpc["when"] == [
        {"key": "request.headers[namespace]", "values": ["vision"]},
        {"key": "request.headers[seldon]", "values": ["iris"]},
    ]


def test_by_grpc_a_model_is_asked_and_its_server_left_alone():
    assert all("/Model" in path and "*" not in path for path in GRPC)


def test_tokens_are_made_for_models_and_come_in_the_header():
    (rule,) = access().named("model-access-tokens")["spec"]["jwtRules"]

    assert rule["audiences"] == [builders.MODELS]
    assert rule["fromHeaders"] == [{"name": "Authorization", "prefix": "Bearer "}]
    assert rule["jwksUri"] == "https://kubernetes.default.svc/openid/v1/jwks"


def test_keys_that_are_known_are_asked_of_nobody():
    engine = access(jwks='{"keys": []}')

    (rule,) = engine.named("model-access-tokens")["spec"]["jwtRules"]
    assert rule["jwks"] == '{"keys": []}'
    assert "jwksUri" not in rule
    assert engine.of("ClusterRoleBinding") == {}


# -- the stack ------------------------------------------------------------------------------------

MODEL = '{"iris": {"tenant": "vision", "versions": [{"uri": "models:/iris/7"}]}}'


def run(resolve: Any, monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    for kind in ("chart", "manifest"):
        monkeypatch.setattr(f"infra.charts.{kind}", lambda _: builders.ROLE)
    monkeypatch.setattr("infra.serving.definition", lambda name, _, opts: plain(name, opts))
    config = {**builders.stack_config("dev"), **changes}
    pulumi.runtime.set_all_config(config, [])
    resolve(stack.assemble)


def plain(name: str, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    return builders.k8s.core.v1.ConfigMap(
        name, metadata={"labels": builders.labels("test", name, "definition")}, opts=opts
    )


def test_three_lines_of_the_stack_file_are_an_api(engine, resolve, monkeypatch):
    run(resolve, monkeypatch, **{"spillway:models": MODEL})

    made = engine.named("model-iris-serving")
    assert made["metadata"]["name"] == "iris"
    assert made["metadata"]["namespace"] == "vision"
    assert made["metadata"]["annotations"]["seldon.io/istio-host"] == "models.spillway.localhost"
    assert engine.named("seldon-operator")
    assert {"tenant-vision-models", "tenant-language-models"} <= set(engine.of("NetworkPolicy"))


def images_of(engine: Any, model: str) -> tuple[str, str]:
    """(what fetches the model, what serves it)."""
    (predictor,) = engine.named(f"model-{model}-serving")["spec"]["predictors"]
    spec = pod(predictor)
    return spec["initContainers"][0]["image"], spec["containers"][0]["image"]


def test_a_model_whose_libraries_the_platform_lacks_names_its_own_server(
    engine, resolve, monkeypatch
):
    own = "registry.example.com/model-server:tensorflow"
    models = json.loads(MODEL)
    models["digits"] = models["iris"] | {"image": own}
    run(resolve, monkeypatch, **{"spillway:models": json.dumps(models)})

    (fetcher, server), (same, other) = (images_of(engine, name) for name in ("iris", "digits"))
    assert "/model-server:" in server
    assert other == own
    assert same == fetcher


def test_another_image_is_another_deployment(engine, resolve, monkeypatch):
    models = json.loads(MODEL)
    models["digits"] = models["iris"] | {"image": "registry.example.com/model-server:1"}
    models["letters"] = models["iris"] | {"image": "registry.example.com/model-server:2"}
    run(resolve, monkeypatch, **{"spillway:models": json.dumps(models)})

    found = [engine.named(f"model-{name}-serving")["spec"]["predictors"][0] for name in models]
    assert len({content(predictor) for predictor in found}) == 3


def meter(engine: Any) -> list[str]:
    return [r.name for r in engine.resources if r.name.startswith("request-meter")]


def readers_of_statistics(engine: Any) -> list[Any]:
    rules = engine.named("front-door-traffic")["spec"]["ingress"]
    return [r["from"] for r in rules if {"protocol": "TCP", "port": 15090} in r["ports"]]


def test_requests_are_counted_where_some_model_scales_by_them(engine, resolve, monkeypatch):
    models = json.loads(MODEL)
    models["iris"]["autoscaling"] = {"maxReplicas": 4, "requestsPerSecond": 50}
    run(resolve, monkeypatch, **{"spillway:models": json.dumps(models)})

    (peers,) = readers_of_statistics(engine)
    chosen = peers[0]["podSelector"]["matchLabels"]
    template = engine.named("request-meter-server")["spec"]["template"]
    assert chosen.items() <= template["metadata"]["labels"].items()
    assert engine.named("request-meter-server")["metadata"]["namespace"] == "front-door"
    assert "/storage-initializer:" in template["spec"]["containers"][0]["image"]


def test_nobody_counts_requests_for_models_that_scale_by_processors(engine, resolve, monkeypatch):
    models = json.loads(MODEL)
    models["iris"]["autoscaling"] = {"maxReplicas": 4}
    run(resolve, monkeypatch, **{"spillway:models": json.dumps(models)})

    assert engine.named("model-iris-scaling-a")
    assert meter(engine) == []
    assert readers_of_statistics(engine) == []


def test_a_stack_without_models_has_no_operator_and_opens_nothing(engine, resolve, monkeypatch):
    run(resolve, monkeypatch)

    assert engine.of("SeldonDeployment") == {}
    assert not [r.name for r in engine.resources if r.name.startswith(("seldon", "model-"))]
    assert not [name for name in engine.of("NetworkPolicy") if name.endswith("-models")]


def on_prod(resolve: Any, monkeypatch: pytest.MonkeyPatch, **gpu: Any) -> None:
    for kind in ("chart", "manifest"):
        monkeypatch.setattr(f"infra.charts.{kind}", lambda _: builders.ROLE)
    for module in ("infra.serving", "components.cluster.queue"):
        monkeypatch.setattr(f"{module}.definition", lambda name, *given: plain(name, given[-1]))
    model = {"tenant": "vision", "versions": [{"uri": "models:/iris/7"}], "gpu": gpu}
    config = {**builders.stack_config("prod"), "spillway:models": json.dumps({"iris": model})}
    pulumi.runtime.set_all_config(config, [])
    resolve(stack.assemble)


@pytest.mark.parametrize(
    ("accelerator", "seconds"), [("a100-80gb", "600s"), ("l4", "2400s")], ids=["own", "burst"]
)
def test_a_model_waits_longer_for_gpus_of_a_cloud(
    accelerator, seconds, engine, resolve, monkeypatch
):
    on_prod(resolve, monkeypatch, accelerator=accelerator, count=1)

    spec = pod(engine.named("model-iris-serving")["spec"]["predictors"][0])
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "/model-server:" in spec["containers"][0]["image"]
    assert engine.requests["model-iris-serving"].customTimeouts.update == seconds


def test_gpus_may_be_used_by_an_image_of_their_own(engine, resolve, monkeypatch):
    on_prod(resolve, monkeypatch, accelerator="l4", image="example.com/model-server:gpu")

    spec = pod(engine.named("model-iris-serving")["spec"]["predictors"][0])
    assert spec["containers"][0]["image"] == "example.com/model-server:gpu"
    assert "/storage-initializer:" in spec["initContainers"][0]["image"]


def test_the_definition_stays_when_the_stack_goes_and_carries_no_prose(tmp_path):
    schema = {"description": "words", "properties": {"description": {"type": "string"}}}
    file = tmp_path / "crd.json"
    file.write_text(
        json.dumps(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": "seldondeployments.machinelearning.seldon.io"},
                "spec": {"versions": [{"schema": schema}]},
            }
        )
    )

    engine = recorded(lambda: definition("crd", file, pulumi.ResourceOptions()).urn)

    assert engine.named("crd")["spec"] == {
        "versions": [{"schema": {"properties": {"description": {"type": "string"}}}}]
    }
    assert engine.requests["crd"].retainOnDelete
