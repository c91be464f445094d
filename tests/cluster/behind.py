"""What is behind the front door, and a browser that finds it without a DNS."""

from requests.adapters import HTTPAdapter
from testbed import DOMAIN, HTTPS_DOOR
from urllib3.util.connection import create_connection

HUB, TRACKING, MODELS = (f"{name}.{DOMAIN}" for name in ("hub", "mlflow", "models"))
DOOR = "front-door"
SECRET = "front-door-certificate"


def url(host: str, path: str = "/") -> str:
    return f"https://{host}:{HTTPS_DOOR}{path}"


class ToTheNode(HTTPAdapter):
    """Names lead to the node, as a DNS would tell; certificates are checked for the names."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def get_connection_with_tls_context(self, request, verify, proxies=None, cert=None):
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        address, port = self._address, pool.port
        pool.ConnectionCls = type(
            "Connection",
            (pool.ConnectionCls,),
            {"_new_conn": lambda _: create_connection((address, port), timeout=20)},
        )
        return pool
