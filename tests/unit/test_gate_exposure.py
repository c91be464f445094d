"""What opens to people outside."""

import json
from typing import Any

import builders
import pytest
from gate_plans import AWS, AWS_POLICY, CONFIG, UNKNOWN, Made, Planned
from recording import recorded

from infra.gate import judge
from infra.gate.exposure import openings

ANY = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
KEYS = ["arn:aws:s3:::oidc/.well-known/openid-configuration", "arn:aws:s3:::oidc/openid/v1/jwks"]
RULE = {"protocol": "tcp", "fromPort": 5432, "toPort": 5432}


def policy(**statement: Any) -> dict[str, str]:
    statements = [*AWS_POLICY["Statement"], {**ANY, **statement}]
    return {"policy": json.dumps({"Version": "2012-10-17", "Statement": statements})}


def network_policy(*peers: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"ingress": [{"from": list(peers)}]}}


REFUSED = [
    ("aws:s3/bucketPolicy:BucketPolicy", policy(Resource="arn:aws:s3:::b/*")),
    ("aws:s3/bucketPolicy:BucketPolicy", policy(Resource="arn:aws:s3:::b/a", Action="s3:*")),
    ("aws:s3/bucketPolicy:BucketPolicy", policy(Resource=[*KEYS, "arn:aws:s3:::oidc"])),
    (
        "aws:s3/bucketPolicy:BucketPolicy",
        policy(Principal={"AWS": ["arn:aws:iam::1:root", "*"]}, Resource="arn:aws:s3:::b/?"),
    ),
    (
        "aws:s3/bucketPolicy:BucketPolicy",
        policy(Resource="arn:aws:s3:::b/*", Condition={"StringLike": {"aws:UserAgent": "browser"}}),
    ),
    (
        "aws:s3/bucketPolicy:BucketPolicy",
        policy(
            Resource="arn:aws:s3:::b/*",
            Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}},
        ),
    ),
    (
        "aws:s3/bucketPolicy:BucketPolicy",
        {"policy": {"Statement": {"Effect": "Allow", "NotPrincipal": {"AWS": "x"}, "Action": "*"}}},
    ),
    (
        "aws:iam/role:Role",
        {"assumeRolePolicy": json.dumps({"Statement": [{**ANY, "Action": "sts:AssumeRole"}]})},
    ),
    ("aws:kms/key:Key", {"policy": json.dumps({"Statement": [{**ANY, "Action": "kms:*"}]})}),
    ("aws:s3/bucketAcl:BucketAcl", {"acl": "public-read"}),
    ("aws:ec2/securityGroup:SecurityGroup", {"ingress": [{**RULE, "cidrBlocks": ["0.0.0.0/0"]}]}),
    (
        "aws:ec2/securityGroup:SecurityGroup",
        {"ingress": [{**RULE, "cidrBlocks": ["10.0.0.0/8"], "ipv6CidrBlocks": ["::/0"]}]},
    ),
    (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {**RULE, "cidrIpv4": "0.0.0.0/0"},
    ),
    (
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        {**RULE, "type": "ingress", "cidrBlocks": ["0.0.0.0/0"]},
    ),
    ("aws:rds/instance:Instance", {"publiclyAccessible": True}),
    ("aws:ec2/subnet:Subnet", {"mapPublicIpOnLaunch": True}),
    ("aws:lb/loadBalancer:LoadBalancer", {"name": "front"}),
    ("gcp:storage/bucketIAMMember:BucketIAMMember", {"member": "allUsers"}),
    ("gcp:storage/bucketIAMBinding:BucketIAMBinding", {"members": ["allAuthenticatedUsers"]}),
    ("gcp:artifactregistry/repositoryIamMember:RepositoryIamMember", {"member": "allUsers"}),
    (
        "gcp:compute/firewall:Firewall",
        {"sourceRanges": ["0.0.0.0/0"], "allows": [{"protocol": "tcp"}]},
    ),
    (
        "gcp:sql/databaseInstance:DatabaseInstance",
        {"settings": {"ipConfiguration": {"ipv4Enabled": True}}},
    ),
]

TOLD = [
    ("aws:s3/bucketPolicy:BucketPolicy", policy(Resource=KEYS), "openid/v1/jwks"),
    (
        "aws:s3/bucketPolicy:BucketPolicy",
        policy(
            Resource="arn:aws:s3:::b/*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
        ),
        "who meets a condition",
    ),
    (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {"blockPublicAcls": True, "ignorePublicAcls": True, "restrictPublicBuckets": True},
        "blockPublicPolicy is off",
    ),
    ("gcp:storage/bucket:Bucket", {"publicAccessPrevention": "inherited"}, "not prevented"),
    ("kubernetes:core/v1:Service", {"spec": {"type": "LoadBalancer"}}, "LoadBalancer"),
    ("kubernetes:core/v1:Service", {"spec": {"type": "NodePort"}}, "NodePort"),
    (
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        network_policy({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}),
        "(0.0.0.0/0) but those it excepts",
    ),
    (
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        {"spec": {"ingress": [{"ports": [{"port": 80}]}]}},
        "lets every address in",
    ),
]

CLOSED = [
    ("aws:s3/bucketPolicy:BucketPolicy", {"policy": json.dumps(AWS_POLICY)}),
    (
        "aws:iam/role:Role",
        {
            "assumeRolePolicy": json.dumps(
                {"Statement": [{**ANY, "Principal": {"Federated": "arn:aws:iam::1:oidc/x"}}]}
            )
        },
    ),
    ("aws:ec2/securityGroup:SecurityGroup", {"egress": [{**RULE, "cidrBlocks": ["0.0.0.0/0"]}]}),
    (
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        {**RULE, "type": "egress", "cidrBlocks": ["0.0.0.0/0"]},
    ),
    ("aws:lb/loadBalancer:LoadBalancer", {"internal": True}),
    (
        "gcp:compute/firewall:Firewall",
        {"sourceRanges": ["0.0.0.0/0"], "denies": [{"protocol": "all"}]},
    ),
    (
        "gcp:compute/firewall:Firewall",
        {"direction": "EGRESS", "sourceRanges": ["0.0.0.0/0"], "allows": [{"protocol": "tcp"}]},
    ),
    ("gcp:storage/bucket:Bucket", {"publicAccessPrevention": "enforced"}),
    ("kubernetes:core/v1:Service", {"spec": {"type": "ClusterIP"}}),
    (
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        network_policy({"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}),
    ),
    ("kubernetes:networking.k8s.io/v1:NetworkPolicy", {"spec": {"ingress": []}}),
]


def created(type_: str, inputs: dict[str, Any]) -> Planned:
    plan = Planned(*AWS)
    plan.create(Made("", type_, "new", inputs, protect=False))
    return plan


@pytest.mark.parametrize(("type_", "inputs"), REFUSED)
def test_what_opens_to_the_internet_is_refused_unless_allowed(type_: str, inputs: dict[str, Any]):
    plan = created(type_, inputs)
    config = {**CONFIG, "budget": {}}
    (reason,) = judge(plan.json(), config).reasons
    assert "new` opens to the internet" in reason
    allowed = judge(plan.json(), {**config, "allow": [plan.urn("new")]})
    assert allowed.reasons == ()
    assert "🟠" in allowed.markdown


@pytest.mark.parametrize(("type_", "inputs", "says"), TOLD)
def test_what_opens_a_little_is_told(type_: str, inputs: dict[str, Any], says: str):
    verdict = judge(created(type_, inputs).json(), CONFIG)
    assert verdict.reasons == ()
    section = verdict.markdown.partition("### Newly reachable")[2].partition("### ")[0]
    assert says in section
    assert "🟡" in section


@pytest.mark.parametrize(("type_", "inputs"), CLOSED)
def test_what_stays_closed_is_not_mentioned(type_: str, inputs: dict[str, Any]):
    verdict = judge(created(type_, inputs).json(), {**CONFIG, "budget": {}})
    assert verdict.reasons == ()
    assert "Newly reachable" not in verdict.markdown


def test_what_is_open_already_is_not_new():
    front = Made("", "aws:lb/loadBalancer:LoadBalancer", "front", {"name": "a"})
    plan = Planned(front)
    plan.update("front", name="b")
    assert judge(plan.json()).reasons == ()


def test_a_policy_that_is_not_known_yet_is_named_and_not_taken_for_closed():
    plan = created("aws:s3/bucketPolicy:BucketPolicy", {"policy": UNKNOWN})
    verdict = judge(plan.json(), CONFIG)
    assert verdict.reasons == ()
    assert f"`{plan.urn('new')} (policy)`" in verdict.markdown


def test_a_secret_that_could_be_allusers_is_named():
    plan = created("gcp:storage/bucketIAMMember:BucketIAMMember", {"member": "[secret]"})
    assert "(member)`" in judge(plan.json(), CONFIG).markdown


def hub_and_tenant():
    built = builders.jupyterhub(node_port=30080, pod_network="10.42.0.0/16")
    return [built.urn, builders.tenant().urn]


def test_of_hub_and_tenants_the_door_alone_opens_and_is_told():
    found = {
        resource.name: [(o.what.partition(":")[0], o.refused) for o in opened]
        for resource in recorded(hub_and_tenant).children()
        if (opened := openings(resource.typ, resource.inputs))
    }

    assert found == {
        "jupyterhub-proxy-service": [("a Service of type NodePort", False)],
        "jupyterhub-proxy-traffic": [
            ("lets every address in (0.0.0.0/0) but those it excepts", False)
        ],
    }
