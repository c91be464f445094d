"""JupyterHub: the hub, its proxy, and the page that shows experiments."""

from components.hub.hub import JupyterHub, JupyterHubArgs
from components.hub.names import HUB_PORT, hub_pods, proxy_pods, spawner, viewer, viewer_pods
from components.hub.profiles import Profile
from components.hub.told import Login, Pool, Servers, Team

__all__ = [
    "HUB_PORT",
    "JupyterHub",
    "JupyterHubArgs",
    "Login",
    "Pool",
    "Profile",
    "Servers",
    "Team",
    "hub_pods",
    "proxy_pods",
    "spawner",
    "viewer",
    "viewer_pods",
]
