"""How pods reach AWS' APIs."""

from components import network

PORT = 443
NOT_AWS = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"]
"""The company's own networks, and the metadata servers of clouds."""


def egress() -> network.Egress:
    """The rule for a NetworkPolicy.

    To the whole outside world: S3 and STS change their addresses at any time, and a NetworkPolicy
    knows no names.
    """
    return network.egress([{"ip_block": {"cidr": "0.0.0.0/0", "except_": NOT_AWS}}], PORT)


def region_variables(region: str) -> dict[str, str]:
    """Go's SDK reads the one, boto3 only the other."""
    return {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}


def domain(region: str) -> str:
    """Under which the names of AWS' services lie."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
