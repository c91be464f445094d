"""Names, addresses and folders of one rig; nothing here touches the machine."""

import ipaddress
import zlib
from dataclasses import dataclass
from pathlib import Path

from rig import paths

NODE_NAME = "spillway"
QUEUE = 100
"""Netfilter queue on which rig/go/addons/network-policy answers."""

OTHER_RIGS = 16
"""How many /16 networks the rigs beside ``dev`` are spread over."""


@dataclass(frozen=True)
class Layout:
    """One rig. Each has a /16: a link to the machine, a range for pods, a range for Services."""

    name: str
    state: Path

    @classmethod
    def of(cls, name: str | None = None) -> "Layout":
        """The rig called ``name``, or the one that ``SPILLWAY_RIG`` names."""
        name = name or paths.instance()
        return cls(name, paths.state_dir(name))

    @property
    def network(self) -> ipaddress.IPv4Network:
        """10.90.0.0/16 for ``dev``; others by their name, so that a restart finds the same one."""
        second = 90 if self.name == "dev" else 91 + zlib.crc32(self.name.encode()) % OTHER_RIGS
        return ipaddress.IPv4Network(f"10.{second}.0.0/16")

    def _address(self, offset: int) -> str:
        return str(self.network.network_address + offset)

    @property
    def gateway(self) -> str:
        """The machine's end of the link."""
        return self._address(1)

    @property
    def address(self) -> str:
        """The node's end of the link: API server, kubelet and NodePorts answer here."""
        return self._address(2)

    @property
    def link(self) -> ipaddress.IPv4Network:
        """The two ends of the link."""
        return ipaddress.IPv4Network(f"{self._address(0)}/30")

    @property
    def pods(self) -> ipaddress.IPv4Network:
        """The second quarter of the network."""
        return list(self.network.subnets(new_prefix=18))[1]

    @property
    def services(self) -> ipaddress.IPv4Network:
        """The third quarter of the network."""
        return list(self.network.subnets(new_prefix=18))[2]

    @property
    def kubernetes_service(self) -> str:
        """First address of the Service range, which the API server takes for itself."""
        return str(self.services.network_address + 1)

    @property
    def dns(self) -> str:
        """Where CoreDNS answers."""
        return str(self.services.network_address + 10)

    @property
    def interface(self) -> str:
        """The machine's end of the link, an interface name."""
        return f"spw-{self.name}"

    @property
    def cgroup(self) -> str:
        """Everything of the rig runs below this cgroup."""
        return f"spillway-{self.name}"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.address}:6443"

    @property
    def pki(self) -> Path:
        """Certificates, keys and the kubeconfigs made of them."""
        return self.state / "pki"

    @property
    def etc(self) -> Path:
        """Configuration written anew at every start."""
        return self.state / "etc"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.state / "logs"

    @property
    def volumes(self) -> Path:
        """Persistent volumes, a folder each."""
        return self.state / "volumes"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's way in."""
        return self.state / "kubeconfig"

    @property
    def pid_file(self) -> Path:
        """Process that holds the rig's namespaces: its pid and its start time."""
        return self.state / "node.pid"
