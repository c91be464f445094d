"""Who may do what in Google Cloud. Conditions are evaluated here as Google would."""

import json

import pytest
from builders_gcp import AUTOSCALER, ISSUER, JWKS, MIGRATION, PROJECT, SERVER, identity

from components.gcp.federation import Believed, check_length
from components.gcp.login import MOUNT
from components.shapes import Subject

POOL = "projects/123456789012/locations/global/workloadIdentityPools/identity-0badcafe"
PROVIDER = f"//iam.googleapis.com/{POOL}/providers/kubernetes"


def cel(expression, subject):
    """What a CEL expression of ours says of the token of a service account."""
    test, _, choice = expression.partition(" ? ")
    cluster = {"namespace": subject.namespace, "serviceaccount": {"name": subject.account}}
    token = {"sub": subject.name, "kubernetes.io": cluster}
    code = test.replace("assertion.sub", "assertion['sub']")
    code = code.replace("||", "or").replace("&&", "and")
    value = eval(code, {"__builtins__": {}}, {"assertion": token})
    if not choice:
        return value
    yes, no = choice.split(" : ")
    return (yes if value else no).strip("'")


def provider(engine):
    return engine.named("identity-provider")


def grants(engine, subject):
    """Which folders the token of this service account opens."""
    mapped = {key: cel(e, subject) for key, e in provider(engine)["attributeMapping"].items()}
    me = {
        f"principal://iam.googleapis.com/{POOL}/subject/{mapped['google.subject']}",
        *(
            f"principalSet://iam.googleapis.com/{POOL}/{key}/{value}"
            for key, value in mapped.items()
            if key.startswith("attribute.")
        ),
    }
    if not cel(provider(engine)["attributeCondition"], subject):
        return set()
    members = engine.of("ManagedFolderIamMember").values()
    return {m["managedFolder"] for m in members if m["member"] in me}


@pytest.mark.parametrize(
    ("subject", "folders"),
    [
        (Subject(namespace="vision", account="notebook"), {"tenants/vision/"}),
        (Subject(namespace="vision", account="job"), {"tenants/vision/"}),
        (Subject(namespace="vision", account="model"), {"tenants/vision/"}),
        (Subject(namespace="vision", account="default"), set()),
        (Subject(namespace="language", account="notebook"), {"tenants/language/"}),
        (SERVER, {"mlflow/"}),
        (MIGRATION, {"mlflow/"}),
        (AUTOSCALER, set()),
        (Subject(namespace="spillway", account="default"), set()),
        (Subject(namespace="kube-system", account="mlflow"), set()),
        (Subject(namespace="vision2", account="notebook"), set()),
        (Subject(namespace="visio", account="n"), set()),
        # Who may name accounts freely cannot pass as somebody else.
        (Subject(namespace="stranger", account="vision"), set()),
        (Subject(namespace="vision", account="mlflow"), set()),
    ],
    ids=lambda value: value.name if isinstance(value, Subject) else None,
)
def test_everybody_opens_their_own_folder_only(subject, folders, engine, resolve):
    resolve(lambda: identity().urn)

    assert grants(engine, subject) == folders


@pytest.mark.parametrize(
    ("subject", "believed"),
    [
        (SERVER, True),
        (MIGRATION, True),
        (AUTOSCALER, True),
        (Subject(namespace="vision", account="notebook"), True),
        (Subject(namespace="vision", account="anybody"), False),
        (Subject(namespace="stranger", account="notebook"), False),
        (Subject(namespace="spillway", account="default"), False),
        (Subject(namespace="kube-system", account="cluster-autoscaler"), False),
        (Subject(namespace="default", account="default"), False),
    ],
    ids=lambda value: value.name if isinstance(value, Subject) else None,
)
def test_tokens_of_nobody_else_are_exchanged_at_all(subject, believed, engine, resolve):
    resolve(lambda: identity().urn)

    assert cel(provider(engine)["attributeCondition"], subject) is believed


def test_the_condition_reads_as_google_wants_it(engine, resolve):
    resolve(lambda: identity().urn)

    assert provider(engine)["attributeCondition"] == (
        'assertion.sub in ["system:serviceaccount:spillway:mlflow",'
        '"system:serviceaccount:spillway:mlflow-migration",'
        '"system:serviceaccount:spillway:cluster-autoscaler"] || '
        "assertion['kubernetes.io']['namespace'] in [\"vision\",\"language\"] && "
        "assertion['kubernetes.io']['serviceaccount']['name'] in "
        '["notebook","job","model"]'
    )


def test_google_believes_the_keys_it_was_given_and_tokens_made_for_it_alone(engine, resolve):
    resolve(lambda: identity().urn)

    assert provider(engine)["oidc"] == {"issuerUri": ISSUER, "jwksJson": JWKS}


def test_a_grant_is_on_a_folder_and_never_on_the_bucket(engine, resolve):
    resolve(lambda: identity().urn)

    folders = {f["name"] for f in engine.of("ManagedFolder").values()}
    assert folders == {"tenants/vision/", "tenants/language/", "mlflow/"}
    members = list(engine.of("ManagedFolderIamMember").values())
    assert {m["role"] for m in members} == {"roles/storage.objectUser"}
    assert {m["bucket"] for m in members} == {"identity-s3-bucket-0badcaf"}
    granting = {r.typ.rpartition(":")[2] for r in engine.resources if "iam" in r.typ.lower()}
    assert granting == {
        "ManagedFolderIamMember",
        "IAMMember",
        "IAMCustomRole",
        "WorkloadIdentityPool",
        "WorkloadIdentityPoolProvider",
    }


def test_the_autoscaler_may_resize_groups_and_act_as_nobody(engine, resolve):
    resolve(lambda: identity().urn)

    role, member = engine.named("identity-autoscaler"), engine.named("identity-autoscaler-member")
    assert role["title"] == "Autoscaler of prod"
    assert role["roleId"] == "identity_autoscaler_0badcafe"
    assert {p.partition(".")[0] for p in role["permissions"]} == {"compute"}
    assert {p for p in role["permissions"] if p.rpartition(".")[2] not in ("get", "list")} == {
        "compute.instanceGroupManagers.update",
        "compute.instances.create",
        "compute.instances.delete",
    }
    assert member["role"] == f"projects/{PROJECT}/roles/identity_autoscaler_0badcafe"
    assert member["member"] == (
        f"principal://iam.googleapis.com/{POOL}/subject/"
        "system:serviceaccount:spillway:cluster-autoscaler"
    )


def test_no_key_and_no_service_account_is_made(engine, resolve):
    resolve(lambda: identity().urn)

    assert [r.typ for r in engine.resources if "serviceaccount/" in r.typ.lower()] == []


def test_outputs_name_who_acts(resolve):
    built = []
    values = resolve(
        lambda: [
            built.append(identity()) or built[0].issuer,
            built[0].roles,
            built[0].autoscaler,
            built[0].tracking,
        ]
    )

    people = f"//iam.googleapis.com/{POOL}"
    assert values == [
        ISSUER,
        {
            "vision": f"principalSet:{people}/attribute.namespace/vision",
            "language": f"principalSet:{people}/attribute.namespace/language",
        },
        f"principal:{people}/subject/system:serviceaccount:spillway:cluster-autoscaler",
        f"principalSet:{people}/attribute.part/tracking",
    ]


def test_without_tenants_there_are_no_roles_and_the_rest_stands(engine, resolve):
    assert resolve(lambda: identity(tenants=[]).roles) == {}
    assert {f["name"] for f in engine.of("ManagedFolder").values()} == {"mlflow/"}
    assert cel(provider(engine)["attributeCondition"], SERVER) is True


def logged_in(resolve, subject):
    """A login with all its values known."""

    def build():
        login = identity().login(subject)
        return [dict(login.environment), list(login.volumes), list(login.mounts), login.egress]

    return resolve(build)


def test_a_pod_carries_a_token_for_google_and_a_file_that_says_what_to_do_with_it(engine, resolve):
    environment, volumes, mounts, egress = logged_in(resolve, SERVER)

    folder = "/var/run/secrets/spillway.dev/google"
    assert environment == {
        "GOOGLE_APPLICATION_CREDENTIALS": f"{folder}/credentials.json",
        "GOOGLE_CLOUD_PROJECT": PROJECT,
    }
    assert mounts == [{"name": "google-login", "mount_path": folder, "read_only": True}]
    (volume,) = volumes
    token, file = volume["projected"]["sources"]
    assert volume["name"] == "google-login"
    assert token["service_account_token"] == {
        "audience": f"https:{PROVIDER}",
        "expiration_seconds": 3600,
        "path": "token",
    }
    assert file["config_map"]["name"] == "identity-login"
    assert file["config_map"]["items"] == [{"key": "credentials.json", "path": "credentials.json"}]
    assert [rule["ports"] for rule in egress] == [[{"protocol": "TCP", "port": 443}]]
    content = json.loads(engine.named("identity-login")["data"]["credentials.json"])
    assert content == {
        "universe_domain": "googleapis.com",
        "type": "external_account",
        "audience": PROVIDER,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": f"{folder}/token", "format": {"type": "text"}},
    }


def test_the_file_asks_for_no_service_account_to_impersonate(engine, resolve):
    resolve(lambda: identity().urn)

    assert "impersonation" not in engine.named("identity-login")["data"]["credentials.json"]


def test_googles_own_client_takes_the_file(engine, resolve, tmp_path):
    auth = pytest.importorskip("google.auth")
    resolve(lambda: identity().urn)
    file = tmp_path / "credentials.json"
    file.write_text(engine.named("identity-login")["data"]["credentials.json"])

    credentials, _ = auth.load_credentials_from_file(file)
    assert type(credentials).__module__ == "google.auth.identity_pool"


@pytest.mark.parametrize(
    "subject", [SERVER, MIGRATION, AUTOSCALER, Subject(namespace="vision", account="job")]
)
def test_everybody_known_may_log_in(subject, resolve):
    assert logged_in(resolve, subject)


def test_a_stranger_is_told_who_may_log_in(engine):
    with pytest.raises(ValueError, match="system:serviceaccount:default:x has no identity") as told:
        identity().login(Subject(namespace="default", account="x"))

    for known in (SERVER.name, MIGRATION.name, AUTOSCALER.name, "vision", "language"):
        assert known in str(told.value)


@pytest.mark.parametrize("protect", [True, False])
def test_what_grants_are_made_on_is_protected(protect, engine, resolve):
    resolve(lambda: identity(protect=protect).urn)

    wanted = {
        "identity-life",
        "identity-pool",
        "identity-provider",
        "identity-folder-tracking",
        "identity-folder-tenant-vision",
        "identity-folder-tenant-language",
    }
    own = {n for n, r in engine.requests.items() if r.parent.endswith("Identity::identity")}
    assert wanted < own
    assert {name for name in own if engine.requests[name].protect} == (wanted if protect else set())


def believed(**changes):
    known = {"tracking": [SERVER], "others": [AUTOSCALER], "tenants": ["vision"]}
    return Believed(**{**known, **changes})


def test_more_tenants_than_google_can_check_are_refused_before_anything_is_made():
    assert believed(tenants=[f"tenant-{n:03}" for n in range(200)])
    with pytest.raises(ValueError, match=r"400 tenants make .* Google takes 4096"):
        believed(tenants=[f"tenant-{n:03}" for n in range(400)])


@pytest.mark.parametrize("tenant", ["", "Vision", 'x"] || true || "" in ["', "a/b", "a" * 64])
def test_a_tenant_is_a_namespace_and_no_expression(tenant):
    with pytest.raises(ValueError, match="is no namespace"):
        believed(tenants=["vision", tenant])


def test_an_account_whose_name_google_cannot_take_is_refused():
    with pytest.raises(ValueError, match="127"):
        believed(others=[Subject(namespace="n" * 60, account="a" * 60)])


def test_neither_can_a_tenants_account_with_such_a_name_log_in(engine):
    with pytest.raises(ValueError, match="127"):
        check_length(Subject(namespace="vision", account="a" * 120))


def test_a_tenants_storage_is_its_folder_and_its_pods_find_the_file_in_their_namespace(
    engine, resolve
):
    def build():
        storage = identity().storage("vision", "vision")
        login = storage.login
        return [
            [storage.uri, storage.environment, storage.credentials],
            [login.environment, login.volumes[0], login.egress],
            [r.urn for r in storage.ready],
        ]

    (uri, environment, credentials), (variables, volume, egress), ready = resolve(build)

    folders = [f["name"] for f in engine.of("ManagedFolder").values()]
    assert uri == "gs://identity-s3-bucket-0badcaf/tenants/vision"
    assert f"{uri.partition('0badcaf/')[2]}/" in folders
    assert (environment, credentials) == ({"GOOGLE_CLOUD_PROJECT": PROJECT}, {})
    assert variables["GOOGLE_APPLICATION_CREDENTIALS"].startswith(MOUNT)
    file = volume["projected"]["sources"][1]["config_map"]["name"]
    copy, first = engine.named(file), engine.named("identity-login")
    assert copy["metadata"]["namespace"] == "vision"
    assert first["metadata"]["namespace"] == "spillway"
    assert copy["data"] == first["data"]
    assert [rule["ports"][0]["port"] for rule in egress] == [443]
    waits = [urn.rpartition("::")[2] for urn in ready]
    assert waits == ["identity-s3-bucket", "identity-member-tenant-vision"]


def test_labels_of_a_tenants_file_fit_whatever_the_tenant_is_called(engine, resolve):
    tenant = "a" * 63
    resolve(lambda: identity(tenants=[tenant]).storage(tenant, tenant).uri)

    file = engine.named(f"identity-tenant-{tenant}-login")
    assert all(len(value) <= 63 for value in file["metadata"]["labels"].values())


def test_no_storage_for_a_tenant_that_is_no_tenant(engine, resolve):
    with pytest.raises(ValueError, match="has no identity in Google Cloud"):
        identity().storage("stranger", "stranger")
