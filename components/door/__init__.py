"""The one way in: a gateway with TLS, its certificate, its routes, and who may take which."""

from components.door.access import ModelAccess, ModelAccessArgs, Open
from components.door.gateway import CHOSEN, NAMESPACE, TITLE, FrontDoor, FrontDoorArgs, gateway_pods
from components.door.issuers import Acme, Certificates, GivenSecret, OwnAuthority
from components.door.meter import RequestMeter, RequestMeterArgs, meter_pods
from components.door.routes import Route

GATEWAY = f"{NAMESPACE}/{TITLE}"
"""As routes name it."""

__all__ = [
    "CHOSEN",
    "GATEWAY",
    "Acme",
    "Certificates",
    "FrontDoor",
    "FrontDoorArgs",
    "GivenSecret",
    "ModelAccess",
    "ModelAccessArgs",
    "Open",
    "OwnAuthority",
    "RequestMeter",
    "RequestMeterArgs",
    "Route",
    "gateway_pods",
    "meter_pods",
]
