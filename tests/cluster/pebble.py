"""Let's Encrypt's ACME server for tests, on this machine, and the DNS that it asks."""

import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from testbed import until

from rig import toolchain

DIRECTORY, MANAGEMENT, DNS = 9714, 9715, 9753
"""Ports of this machine's end of the rig's network."""
PROVED = "set VALID by completed challenge"
"""What it writes when a name was proved."""
ENVIRONMENT = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}
"""It looks at once, and again for every certificate."""


@dataclass
class Pebble:
    """Its authorities are new with every start, and are for nothing else."""

    address: str
    """Of this machine, where the cluster's pods reach it."""
    leads_to: str
    """Where all names lead."""
    http_port: int
    """There; of a real one it is 80."""
    folder: Path
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def directory(self) -> str:
        return f"https://{self.address}:{DIRECTORY}/dir"

    @property
    def authority(self) -> str:
        """By which it is known itself, which is none of those that it signs with."""
        return (self.folder / "shown.crt").read_text()

    @property
    def root(self) -> Path:
        """That of the certificates it signs."""
        return self.folder / "root.crt"

    def proved(self) -> int:
        """How many names it has found to lead to who asked."""
        return (self.folder / "pebble.log").read_text().count(PROVED)

    def start(self) -> None:
        programs = toolchain.ensure_all(["pebble"])
        self._show_itself()
        settings = {
            "listenAddress": f"{self.address}:{DIRECTORY}",
            "managementListenAddress": f"{self.address}:{MANAGEMENT}",
            "certificate": str(self.folder / "shown.crt"),
            "privateKey": str(self.folder / "shown.key"),
            "httpPort": self.http_port,
            "keyAlgorithm": "ecdsa",
        }
        told = self.folder / "pebble.json"
        told.write_text(json.dumps({"pebble": settings}))
        dns = f"{self.address}:{DNS}"
        unused = ("http01", "https01", "tlsalpn01", "doh")
        self._run(
            programs["pebble-challtestsrv"],
            *(f"-dnsserver={dns}", f"-defaultIPv4={self.leads_to}", "-defaultIPv6="),
            *(f"-management={self.address}:{DNS + 1}", *(f"-{name}=" for name in unused)),
        )
        self._run(programs["pebble"], f"-config={told}", f"-dnsserver={dns}")
        until(self._ask_for_root, 30, "Pebble")

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(10)

    def _run(self, program: Path, *words: str) -> None:
        with (self.folder / f"{program.name}.log").open("ab") as log:
            environment = {**os.environ, **ENVIRONMENT}
            self._processes.append(
                subprocess.Popen([program, *words], stdout=log, stderr=log, env=environment)
            )

    def _ask_for_root(self) -> bool:
        context = ssl.create_default_context(cadata=self.authority)
        url = f"https://{self.address}:{MANAGEMENT}/roots/0"
        with urllib.request.urlopen(url, context=context, timeout=5) as answer:
            self.root.write_bytes(answer.read())
        return True

    def _show_itself(self) -> None:
        """A certificate of its own for its address."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a company's ACME server")])
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address(self.address))
        shown = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (self.folder / "shown.crt").write_bytes(shown.public_bytes(pem))
        (self.folder / "shown.key").write_bytes(key.private_bytes(pem, *private))
