"""How pods reach Google's APIs."""

from components import network

PORT = 443
NOT_GOOGLE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"]
"""The company's own networks, and the metadata servers of clouds."""


def egress() -> network.Egress:
    """The rule for a NetworkPolicy.

    To the whole outside world: Google changes the addresses of its APIs at any time, and a
    NetworkPolicy knows no names.
    """
    return network.egress([{"ip_block": {"cidr": "0.0.0.0/0", "except_": NOT_GOOGLE}}], PORT)
