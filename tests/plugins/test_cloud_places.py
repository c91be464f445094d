"""What a cloud refuses because of what else is there; without the mistake the same thing passes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cloudbed import Player, play

from rig.plugins.gcp.names import number_of

SUBNET = "aws:ec2/subnet:Subnet"
TABLE = "aws:ec2/routeTable:RouteTable"
JOINED = "aws:ec2/routeTableAssociation:RouteTableAssociation"
ROUTE = "aws:ec2/route:Route"
GATEWAY = "aws:ec2/internetGateway:InternetGateway"
VPN = "aws:ec2/vpnGateway:VpnGateway"
ISSUER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
RANGE = "gcp:compute/globalAddress:GlobalAddress"
TUNNEL = "gcp:compute/vPNTunnel:VPNTunnel"
FOLDER = "gcp:storage/managedFolder:ManagedFolder"
GRANT = "gcp:storage/bucketIAMMember:BucketIAMMember"
DISCOVERY = ".well-known/openid-configuration"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Player:
    return play("aws", tmp_path, monkeypatch)


@pytest.fixture
def gcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Player:
    return play("gcp", tmp_path, monkeypatch)


@pytest.fixture
def vpc(aws: Player) -> str:
    return aws.create("aws:ec2/vpc:Vpc", "vpc", cidrBlock="10.64.0.0/16")


@pytest.fixture
def net(gcp: Player) -> str:
    return gcp.create("gcp:compute/network:Network", "net", name="net")


@contextmanager
def refused(said: str) -> Iterator[None]:
    with pytest.raises(ValueError, match=said) as told:
        yield
    assert "\n" not in str(told.value)


def test_a_vpc_has_one_gateway_of_a_kind(aws: Player, vpc: str):
    for token, said in ((GATEWAY, "internet gateway already"), (VPN, "VPN gateway already")):
        aws.create(token, "one", vpcId=vpc)
        with refused(said):
            aws.create(token, "two", vpcId=vpc)


def test_a_subnet_has_one_route_table(aws: Player, vpc: str):
    subnet = aws.create(SUBNET, vpcId=vpc, cidrBlock="10.64.0.0/20")
    one, two = (aws.create(TABLE, name, vpcId=vpc) for name in ("one", "two"))
    aws.create(JOINED, "one", subnetId=subnet, routeTableId=one)
    with refused(f"{subnet} has a route table already"):
        aws.create(JOINED, "two", subnetId=subnet, routeTableId=two)
    with refused("is in use by route table association"):
        aws.delete(one)


def test_a_table_has_one_route_to_a_place(aws: Player, vpc: str):
    table, way = aws.create(TABLE, vpcId=vpc), aws.create(GATEWAY, vpcId=vpc)
    given = {"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": way}
    aws.create(ROUTE, "one", **given)
    with refused("has a route to 0.0.0.0/0 already"):
        aws.create(ROUTE, "two", **given)
    aws.create(ROUTE, "two", **given | {"destinationCidrBlock": "10.0.0.0/8"})


def test_both_ends_of_a_vpn_have_numbers_of_their_own(aws: Player, vpc: str):
    gateway = aws.create(VPN, vpcId=vpc, amazonSideAsn="64512")

    def connect(asn: str) -> None:
        company = aws.create(
            "aws:ec2/customerGateway:CustomerGateway",
            f"company-{asn}",
            type="ipsec.1",
            ipAddress="203.0.113.10",
            bgpAsn=asn,
        )
        aws.create(
            "aws:ec2/vpnConnection:VpnConnection",
            f"vpn-{asn}",
            type="ipsec.1",
            vpnGatewayId=gateway,
            customerGatewayId=company,
        )

    with refused("both ends are AS 64512"):
        connect("64512")
    connect("65010")


def test_routes_are_learnt_from_a_gateway_of_the_same_vpc(aws: Player, vpc: str):
    other = aws.create("aws:ec2/vpc:Vpc", "other", cidrBlock="10.65.0.0/16")
    tables = [aws.create(TABLE, one, vpcId=one) for one in (vpc, other)]
    gateway = aws.create(VPN, vpcId=vpc)
    token = "aws:ec2/vpnGatewayRoutePropagation:VpnGatewayRoutePropagation"
    with refused("is not attached to the VPC of"):
        aws.create(token, vpnGatewayId=gateway, routeTableId=tables[1])
    aws.create(token, vpnGatewayId=gateway, routeTableId=tables[0])


def test_an_issuer_publishes_before_aws_asks(aws: Player):
    given = {
        "url": "https://issuer.s3.eu-central-1.amazonaws.com",
        "clientIdLists": ["sts.amazonaws.com"],
    }
    bucket = aws.create("aws:s3/bucket:Bucket", bucket="issuer")
    with refused(f"AWS finds no {DISCOVERY} in the bucket issuer"):
        aws.create(ISSUER, **given)
    aws.create("aws:s3/bucketObjectv2:BucketObjectv2", bucket=bucket, key=DISCOVERY, content="{}")
    aws.create(ISSUER, **given)


def test_a_range_for_services_keeps_off_subnets(gcp: Player, net: str):
    gcp.create("gcp:compute/subnetwork:Subnetwork", network=net, ipCidrRange="10.96.0.0/20")
    given = {
        "network": net,
        "purpose": "VPC_PEERING",
        "addressType": "INTERNAL",
        "prefixLength": 20,
    }
    with refused(r"10\.96\.0\.0/20 overlaps 10\.96\.0\.0/20 of projects/"):
        gcp.create(RANGE, **given, address="10.96.0.0")
    gcp.create(RANGE, **given, address="10.97.0.0")


def test_services_live_in_ranges_for_them(gcp: Player, net: str):
    token = "gcp:servicenetworking/connection:Connection"
    given = {"network": net, "service": "servicenetworking.googleapis.com"}
    gcp.create(RANGE, "other", name="other", purpose="PRIVATE_SERVICE_CONNECT",
               addressType="INTERNAL", network=net)  # fmt: skip
    with refused("other is not reserved for VPC_PEERING"):
        gcp.create(token, **given, reservedPeeringRanges=["other"])
    with refused("there is no reserved range nowhere"):
        gcp.create(token, **given, reservedPeeringRanges=["nowhere"])


def test_a_tunnel_joins_ends_that_are_there_and_only_one_does(gcp: Player, net: str):
    gateway = gcp.create("gcp:compute/haVpnGateway:HaVpnGateway", network=net)
    device = gcp.create("gcp:compute/externalVpnGateway:ExternalVpnGateway",
                        redundancyType="SINGLE_IP_INTERNALLY_REDUNDANT",
                        interfaces=[{"id": 0, "ipAddress": "203.0.113.10"}])  # fmt: skip
    router = gcp.create("gcp:compute/router:Router", network=net, bgp={"asn": 64514})
    given = {
        "vpnGateway": gateway,
        "vpnGatewayInterface": 0,
        "peerExternalGateway": device,
        "peerExternalGatewayInterface": 0,
        "router": router,
        "sharedSecret": "open-sesame",
    }
    with refused(r"peerExternalGatewayInterface 1: the peer has \[0\]"):
        gcp.create(TUNNEL, "wrong", **given | {"peerExternalGatewayInterface": 1})
    with refused("the router is in europe-west3"):
        gcp.create(TUNNEL, "far", **given, region="europe-west4")
    gcp.create(TUNNEL, "one", **given)
    with refused("joins the same two addresses"):
        gcp.create(TUNNEL, "two", **given)
    gcp.create(TUNNEL, "two", **given | {"vpnGatewayInterface": 1})


def bucket(gcp: Player, **more: Any) -> str:
    return gcp.create("gcp:storage/bucket:Bucket", location="EU", **more)


def test_a_managed_folder_needs_uniform_access(gcp: Player):
    with refused("needs uniformBucketLevelAccess"):
        gcp.create(FOLDER, name="a/", bucket=bucket(gcp, name="mixed"))
    uniform = bucket(gcp, name="uniform", uniformBucketLevelAccess=True)
    gcp.create(FOLDER, name="a/", bucket=uniform)


def test_nobody_opens_a_bucket_that_prevents_it(gcp: Player):
    private = bucket(gcp, publicAccessPrevention="enforced")
    given = {"bucket": private, "role": "roles/storage.objectViewer"}
    with refused("prevents public access"):
        gcp.create(GRANT, **given, member="allUsers")
    gcp.create(GRANT, **given, member="user:somebody@example.com")


@pytest.mark.parametrize("grant", ["bucket", "project"])
def test_who_is_granted_something_is_of_a_pool_that_is_there(gcp: Player, grant: str):
    path = f"projects/{number_of('example-ds')}/locations/global/workloadIdentityPools/onprem"
    member = f"principalSet://iam.googleapis.com/{path}/attribute.namespace/vision"
    if grant == "bucket":
        made: Callable[[], object] = lambda: gcp.create(  # noqa: E731
            GRANT, bucket=bucket(gcp), role="roles/storage.objectUser", member=member
        )
    else:
        token = "gcp:projects/iAMMember:IAMMember"
        made = lambda: gcp.create(  # noqa: E731
            token, project="example-ds", role="roles/viewer", member=member
        )
    with refused("there is no workload identity pool projects/"):
        made()
    gcp.create("gcp:iam/workloadIdentityPool:WorkloadIdentityPool", workloadIdentityPoolId="onprem")
    if grant == "project":
        made()
    else:
        gcp.create(GRANT, bucket=next(iter(gcp.states)), role="roles/storage.objectUser",
                   member=member)  # fmt: skip


def test_a_subnet_with_a_new_name_in_the_program_does_not_lie_on_itself(aws: Player, vpc: str):
    subnet = aws.create(SUBNET, "old-name", vpcId=vpc, cidrBlock="10.64.0.0/20")
    token, _, inputs, state = aws.states[subnet]
    aws.states[subnet] = (token, "new-name", inputs, state)
    aws.update(subnet, tags={"a": "b"})
