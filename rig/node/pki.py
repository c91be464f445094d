"""Certificates of the cluster: one authority, a certificate a component, their kubeconfigs."""

import datetime
import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rig.node.layout import NODE_NAME, Layout

YEARS = 10
Clients = Mapping[str, tuple[str, str | None]]
"""Client certificates: file name -> (user, group)."""
Servers = Mapping[str, tuple[str, Sequence[str]]]
"""Server certificates: file name -> (name, names and addresses under which it is called)."""
COMPONENTS: Clients = {
    "admin": ("spillway-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", None),
    "network-policy": ("spillway:network-policy", None),
    "apiserver-kubelet-client": ("spillway:apiserver", "system:masters"),
    "front-proxy": ("front-proxy", None),
}


def ensure(layout: Layout) -> None:
    """Everything a rig needs, made where it is missing."""
    servers = {
        "apiserver": api_server(layout.address, layout.kubernetes_service),
        "kubelet-server": (NODE_NAME, [NODE_NAME, layout.address]),
    }
    issue(layout.pki, COMPONENTS, servers)
    context = f"spillway-{layout.name}"
    for name in ("controller-manager", "scheduler", "kubelet", "kube-proxy", "network-policy"):
        path = layout.pki / f"{name}.kubeconfig"
        kubeconfig(path, layout.pki / name, server=layout.server, context=context)
    kubeconfig(layout.kubeconfig, layout.pki / "admin", server=layout.server, context=context)


def issue(
    folder: Path,
    clients: Clients,
    servers: Servers,
    *,
    authority: str = "spillway",
    pkcs1: bool = False,
) -> None:
    """An authority, the service accounts' key and certificates by file name, in ``folder``.

    What is there stays, the authority too: the state may hold tokens that it signed. ``pkcs1`` is
    for who reads an authority's key in that form alone, so it is RSA.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    signer = _authority(folder, authority, pkcs1=pkcs1)
    _service_account_key(folder)
    for name, (user, group) in clients.items():
        _leaf(folder / name, signer, user, group, [])
    for name, (user, sans) in servers.items():
        _leaf(folder / name, signer, user, None, sans)


def api_server(*addresses: str) -> tuple[str, list[str]]:
    """For ``issue``: an API server, as it is called on its machine and in pods."""
    service = ["kubernetes", "default", "svc", "cluster", "local"]
    in_pods = [".".join(service[:count]) for count in (1, 2, 3, 5)]
    return "kube-apiserver", ["localhost", NODE_NAME, *in_pods, *addresses, "127.0.0.1"]


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Authority = tuple[x509.Certificate, Key]


def _authority(folder: Path, called: str, *, pkcs1: bool) -> Authority:
    cert, key = folder / "ca.crt", folder / "ca.key"
    if cert.exists() and key.exists():
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        assert isinstance(loaded, Key)  # noqa: S101 - we wrote it
        return x509.load_pem_x509_certificate(cert.read_bytes()), loaded
    private: Key = ec.generate_private_key(ec.SECP256R1())
    if pkcs1:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
    # Without keyUsage, Python 3.13 refuses every certificate that this authority signs.
    signing = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, private.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(signing, critical=True)
        # Kueue looks for its authority's name here.
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(called)]), critical=False)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False
        )
        .sign(private, hashes.SHA256())
    )
    form = serialization.PrivateFormat
    _write(key, _pem(private, form.TraditionalOpenSSL if pkcs1 else form.PKCS8))
    _write(cert, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, private


def _leaf(
    stem: Path, authority: Authority, user: str, group: str | None, sans: Sequence[str]
) -> None:
    cert, key = stem.with_suffix(".crt"), stem.with_suffix(".key")
    if cert.exists() and key.exists():
        return
    ca, ca_key = authority
    private = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    if group:
        subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    usage = ExtendedKeyUsageOID.SERVER_AUTH if sans else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(x509.Name(subject), ca.subject, private.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    if sans:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_san(s) for s in sans]), critical=False
        )
    _write(key, _pem(private))
    _write(cert, builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _san(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # An hour of slack for machines whose clocks were set back.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
    )


def _service_account_key(folder: Path) -> None:
    key = folder / "service-account.key"
    if key.exists():
        return
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(folder / "service-account.pub", public)
    _write(key, _pem(private))


def _pem(key: Key, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def kubeconfig(path: Path, stem: Path, *, server: str, context: str) -> None:
    """A way in for the client whose certificate and key are ``stem`` with their suffixes."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [
            {
                "name": context,
                "cluster": {
                    "server": server,
                    "certificate-authority": str(stem.with_name("ca.crt")),
                },
            }
        ],
        "users": [
            {
                "name": context,
                "user": {
                    "client-certificate": str(stem.with_suffix(".crt")),
                    "client-key": str(stem.with_suffix(".key")),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    _write(path, yaml.safe_dump(document, sort_keys=False).encode())


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
