"""The bucket and the registry in Google Cloud."""

import pytest
from builders_gcp import object_store, registry

BUCKET = "object-store-bucket"


def test_the_bucket_is_private_whatever_anybody_grants(engine, resolve):
    resolve(lambda: object_store().urn)

    bucket = engine.named(BUCKET)
    assert bucket["uniformBucketLevelAccess"] is True
    assert bucket["publicAccessPrevention"] == "enforced"
    assert bucket["forceDestroy"] is False
    assert bucket["location"] == "EUROPE-WEST3"
    assert [r.typ for r in engine.resources if "IAM" in r.typ or "Acl" in r.typ] == []


def test_what_is_overwritten_can_be_had_back_for_a_while(engine, resolve):
    resolve(lambda: object_store(keep_days=45).urn)

    bucket = engine.named(BUCKET)
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["softDeletePolicy"] == {"retentionDurationSeconds": 604800}
    assert bucket["lifecycleRules"] == [
        {
            "action": {"type": "Delete"},
            "condition": {"daysSinceNoncurrentTime": 45, "withState": "ARCHIVED"},
        },
        {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}},
    ]


def test_live_objects_never_expire(engine, resolve):
    resolve(lambda: object_store().urn)

    deletes = [
        rule["condition"]
        for rule in engine.named(BUCKET)["lifecycleRules"]
        if rule["action"]["type"] == "Delete"
    ]
    assert deletes
    assert all(condition["withState"] == "ARCHIVED" for condition in deletes)


def test_artifacts_go_to_a_folder_of_the_tracking_server(resolve):
    bucket, uri = resolve(lambda: [(s := object_store()).bucket, s.uri])

    assert bucket == "object-store-bucket-0badcaf"
    assert uri == "gs://object-store-bucket-0badcaf/mlflow"


def test_clients_need_the_api_of_google_and_no_key(resolve):
    store = []
    resolve(lambda: store.append(object_store()) or store[0].urn)

    assert store[0].credentials == {}
    assert store[0].environment == {"GOOGLE_CLOUD_PROJECT": "example-ds"}
    (rule,) = store[0].egress
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    (block,) = [peer["ip_block"] for peer in rule["to"]]
    assert block["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(block["except_"])


@pytest.mark.parametrize("protect", [True, False])
def test_the_bucket_follows_protect(protect, engine, resolve):
    resolve(lambda: object_store(protect=protect).urn)

    assert engine.requests[BUCKET].protect is protect
    assert engine.requests[BUCKET].importId == ""
    assert "name" not in engine.named(BUCKET)


def test_an_adopted_bucket_is_imported_and_protected_whatever_is_said(engine, resolve):
    resolve(lambda: object_store(adopt="old-artifacts", protect=False).urn)

    assert engine.named(BUCKET)["name"] == "old-artifacts"
    assert engine.requests[BUCKET].importId == "old-artifacts"
    assert engine.requests[BUCKET].protect is True


def test_images_are_pushed_below_one_url_and_tags_stay(engine, resolve):
    url = resolve(lambda: registry().url)

    assert url == "europe-west3-docker.pkg.dev/example-ds/spillway-dev-registry"
    repository = engine.named("registry-repository")
    assert repository["format"] == "DOCKER"
    assert repository["dockerConfig"] == {"immutableTags": True}
    assert repository["location"] == "europe-west3"


def test_a_project_of_a_domain_is_a_folder_in_a_url(resolve):
    url = resolve(lambda: registry(project="example.com:ds").url)

    assert url == "europe-west3-docker.pkg.dev/example.com/ds/spillway-dev-registry"


@pytest.mark.parametrize("protect", [True, False])
def test_the_registry_follows_protect(protect, engine, resolve):
    resolve(lambda: registry(protect=protect).urn)

    request = engine.requests["registry-repository"]
    assert request.protect is protect
    assert request.deleteBeforeReplace is True
