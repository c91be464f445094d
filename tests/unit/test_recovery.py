"""What is known of a resource that was being made when the engine was killed."""

import json
from pathlib import Path

import pytest

from rig import recovery
from rig.recovery import IDS, NAMELESS, adopt, identify, mend, report, unfinished

GOLDEN = Path(__file__).parent / "golden"
STACK = "urn:pulumi:prod::spillway::pulumi:pulumi:Stack::spillway-prod"
OTHERS = ("kubernetes:", "random:", "pulumi:", "spillway:")


def urn(kind, name):
    return f"urn:pulumi:prod::spillway::{kind}::{name}"


AWS = {
    "urn": urn("pulumi:providers:aws", "aws"),
    "type": "pulumi:providers:aws",
    "inputs": {"region": "eu-central-1", "allowedAccountIds": '["210987654321"]'},
}
GCP = {
    "urn": urn("pulumi:providers:gcp", "gcp"),
    "type": "pulumi:providers:gcp",
    "inputs": {"project": "acme", "region": "europe-west3"},
}


def pending(kind, name, inputs, **more):
    provider = {"aws": AWS, "gcp": GCP}.get(kind.split(":")[0])
    known = {"provider": f"{provider['urn']}::some-id"} if provider else {}
    return {"urn": urn(kind, name), "type": kind, "inputs": inputs, **known, **more}


def deployment(*creations, resources=()):
    operations = [{"type": "creating", "resource": one} for one in creations]
    return {"resources": [AWS, GCP, *resources], "pending_operations": operations}


@pytest.mark.parametrize("file", ["prod.txt", "prod-gcp.txt", "dev.txt"])
def test_of_every_type_it_is_decided_whether_its_id_follows_from_its_name(file):
    types = {line.split()[0] for line in (GOLDEN / file).read_text().splitlines()}
    clouds = {kind for kind in types if not kind.startswith(OTHERS)}

    assert clouds <= set(IDS) | NAMELESS
    assert not set(IDS) & NAMELESS


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        ("aws:s3/bucket:Bucket", {"bucket": "b-1"}, "b-1"),
        ("aws:iam/rolePolicy:RolePolicy", {"role": "r", "name": "p"}, "r:p"),
        (
            "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
            {"url": "https://keys.example.com/x"},
            "arn:aws:iam::210987654321:oidc-provider/keys.example.com/x",
        ),
        ("aws:rds/instance:Instance", {"identifier": "db-1"}, "db-1"),
        (
            "gcp:compute/subnetwork:Subnetwork",
            {"name": "s"},
            "projects/acme/regions/europe-west3/subnetworks/s",
        ),
        (
            "gcp:compute/subnetwork:Subnetwork",
            {"name": "s", "region": "europe-west1", "project": "other"},
            "projects/other/regions/europe-west1/subnetworks/s",
        ),
        ("gcp:sql/user:User", {"name": "u", "instance": "i"}, "u//i"),
        (
            "gcp:servicenetworking/connection:Connection",
            {"network": "projects/acme/global/networks/n", "service": "s.example.com"},
            "projects%2Facme%2Fglobal%2Fnetworks%2Fn:s.example.com",
        ),
        ("kubernetes:core/v1:Secret", {"metadata": {"name": "s", "namespace": "ns"}}, "ns/s"),
        ("kubernetes:core/v1:Namespace", {"metadata": {"name": "ns"}}, "ns"),
    ],
)
def test_an_id_follows_from_type_inputs_and_provider(kind, inputs, expected):
    assert identify(pending(kind, "x", inputs), [AWS, GCP]) == expected


@pytest.mark.parametrize(
    "resource",
    [
        pending("aws:ec2/vpc:Vpc", "x", {"cidrBlock": "10.0.0.0/16"}),
        pending("aws:s3/bucket:Bucket", "x", {}),
        pending("aws:s3/bucket:Bucket", "x", {"bucket": {"ciphertext": "hidden"}}),
        pending("aws:s3/bucket:Bucket", "x", {"bucket": "b"}, parent=urn("a:b:C", "unrecorded")),
    ],
)
def test_no_id_is_made_up(resource):
    assert identify(resource, [AWS, GCP]) is None


def test_the_account_is_read_from_what_exists_where_the_provider_does_not_say_it():
    provider = {**AWS, "inputs": {"region": "eu-central-1"}}
    key = {"urn": urn("aws:kms/key:Key", "k"), "outputs": {"arn": "arn:aws:kms:r:111122223333:k"}}
    issuer = pending(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider", "x", {"url": "https://e.example"}
    )

    found = identify(issuer, [provider, key])

    assert found == "arn:aws:iam::111122223333:oidc-provider/e.example"


def test_pending_creations_become_resources_and_the_rest_is_forgotten():
    bucket = pending("aws:s3/bucket:Bucket", "b", {"bucket": "b-1", "__defaults": ["bucket"]})
    vpc = pending("aws:ec2/vpc:Vpc", "v", {})
    password = pending("random:index/randomPassword:RandomPassword", "p", {})
    state = deployment(bucket, vpc, password)

    found = adopt(state)

    assert (found.guessed, found.unknown) == ([bucket["urn"]], [vpc["urn"]])
    assert found.again == [password["urn"]]
    assert "pending_operations" not in state
    new = state["resources"][-1]
    assert (new["id"], new["outputs"]) == ("b-1", {"bucket": "b-1"})
    assert new["inputs"] == bucket["inputs"]


def test_what_was_being_replaced_is_deleted_next_and_comes_after_what_it_needs():
    group = pending("aws:rds/parameterGroup:ParameterGroup", "g", {"name": "g-2"})
    old = {**group, "id": "g-1", "inputs": {"name": "g-1"}}
    user = {"urn": urn("aws:rds/instance:Instance", "i"), "dependencies": [group["urn"]]}
    state = deployment(group, resources=[old, user])

    adopt(state)

    order = [(one["urn"], one.get("id"), one.get("delete")) for one in state["resources"][2:]]
    assert order == [
        (group["urn"], "g-1", True),
        (group["urn"], "g-2", None),
        (user["urn"], None, None),
    ]


def test_what_was_deleted_to_be_replaced_is_not_in_the_state_twice():
    group = pending("aws:rds/parameterGroup:ParameterGroup", "g", {"name": "g-2"})
    old = {**group, "id": "g-1", "pendingReplacement": True}
    state = deployment(group, resources=[old])

    adopt(state)

    assert [one.get("id") for one in state["resources"][2:]] == ["g-2"]


def test_the_person_is_told_what_may_exist_twice_and_how_to_find_it():
    vpc = pending("aws:ec2/vpc:Vpc", "network-vpc", {})
    bucket = pending("aws:s3/bucket:Bucket", "bucket", {"bucket": "b"})
    found = adopt(deployment(vpc, bucket))

    told = "\n".join(report("prod", found, {bucket["urn"]}))

    assert "taken over bucket" in told
    assert "two of aws:ec2/vpc:Vpc network-vpc" in told
    assert "project=spillway, stack=prod" in told


class Engine:
    """Answers with states, one after the other."""

    def __init__(self, *states):
        self.states, self.commands = list(states), []

    def __call__(self, command):
        self.commands.append(list(command))
        state = self.states.pop(0) if command[1] == "export" else {}
        return json.dumps({"version": 3, "deployment": state})

    @property
    def verbs(self):
        return [" ".join(one[:2]) for one in self.commands if one[1] != "export"]


def test_nothing_happens_where_nothing_is_pending(tmp_path, capsys):
    engine = Engine({"resources": [AWS]})

    mend(engine, "prod", tmp_path / "config", tmp_path / "notes")

    assert engine.verbs == []
    assert not capsys.readouterr().err


def test_others_wait_for_a_database_that_the_cloud_is_still_making(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recovery.time, "sleep", lambda _: None)
    instance = pending("aws:rds/instance:Instance", "db", {"identifier": "db-1"})
    making = {**instance, "outputs": {"status": "creating"}}
    made = {**instance, "outputs": {"status": "backing-up", "address": "db-1.example"}}
    states = [{"resources": [one]} for one in (making, making, made)]
    engine = Engine(deployment(instance), *states)

    mend(engine, "prod", tmp_path / "config", tmp_path / "notes")

    assert engine.verbs == ["stack import", *["refresh --yes"] * 3]
    assert capsys.readouterr().err.count("still making") == 1
    assert unfinished(making)
    assert not unfinished(made)


def test_who_is_interrupted_while_mending_goes_on_the_next_time(tmp_path):
    bucket = pending("aws:s3/bucket:Bucket", "b", {"bucket": "b-1"})
    notes = tmp_path / "notes"

    class Killed(Engine):
        def __call__(self, command):
            if command[0] == "refresh":
                raise KeyboardInterrupt
            return super().__call__(command)

    with pytest.raises(KeyboardInterrupt):
        mend(Killed(deployment(bucket)), "prod", tmp_path / "config", notes)
    again = Engine({"resources": [{**bucket, "id": "b-1"}]}, {"resources": [AWS]})
    mend(again, "prod", tmp_path / "config", notes)

    assert [bucket["urn"]] == [c[-1] for c in again.commands if c[0] == "refresh"]
    assert not notes.exists()


def applied(state, *managers):
    entries = [{"manager": name, "operation": how} for name, how in managers]
    metadata = {"name": "s", "managedFields": entries}
    outputs = {"__fieldManager": state, "metadata": metadata}
    return {"type": "kubernetes:core/v1:Service", "urn": urn("k", "s"), "outputs": outputs}


def test_who_applied_the_live_object_goes_on_changing_it():
    made = applied("pulumi-kubernetes-b", ("kubelet", "Update"), ("pulumi-kubernetes-a", "Apply"))

    assert recovery.claim(made)
    assert made["outputs"]["__fieldManager"] == "pulumi-kubernetes-a"
    assert not recovery.claim(made)


@pytest.mark.parametrize(
    "managers",
    [
        (),
        (("kubectl", "Apply"),),
        (("pulumi-kubernetes-a", "Update"),),
        (("pulumi-kubernetes-a", "Apply"), ("pulumi-kubernetes-c", "Apply")),
    ],
)
def test_where_the_object_does_not_tell_who_made_it_nothing_is_claimed(managers):
    assert not recovery.claim(applied("pulumi-kubernetes-b", *managers))
