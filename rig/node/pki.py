"""Certificates of the cluster: one authority, a certificate a component, their kubeconfigs."""

import datetime
import ipaddress
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rig.node.layout import NODE_NAME, Layout

YEARS = 10
COMPONENTS = {
    "admin": ("spillway-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", None),
    "network-policy": ("spillway:network-policy", None),
    "apiserver-kubelet-client": ("spillway:apiserver", "system:masters"),
    "front-proxy": ("front-proxy", None),
}
"""Client certificates: file name -> (user, group)."""


def ensure(layout: Layout) -> None:
    """Make what is missing. An existing authority is kept: the state may hold tokens it signed."""
    layout.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _authority(layout.pki)
    _service_account_key(layout.pki)
    for name, (user, group) in COMPONENTS.items():
        _leaf(layout.pki / name, authority, user, group, [])
    names = ["localhost", NODE_NAME, "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    names.append("kubernetes.default.svc.cluster.local")
    addresses = [layout.address, layout.kubernetes_service, "127.0.0.1"]
    _leaf(layout.pki / "apiserver", authority, "kube-apiserver", None, [*names, *addresses])
    _leaf(layout.pki / "kubelet-server", authority, NODE_NAME, None, [NODE_NAME, layout.address])
    for name in ("controller-manager", "scheduler", "kubelet", "kube-proxy", "network-policy"):
        _kubeconfig(layout, layout.pki / f"{name}.kubeconfig", name)
    _kubeconfig(layout, layout.kubeconfig, "admin")


Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _authority(folder: Path) -> Authority:
    cert, key = folder / "ca.crt", folder / "ca.key"
    if cert.exists() and key.exists():
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)  # noqa: S101 - we wrote it
        return x509.load_pem_x509_certificate(cert.read_bytes()), loaded
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "spillway")])
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
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False
        )
        .sign(private, hashes.SHA256())
    )
    _write(key, _pem(private))
    _write(cert, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, private


def _leaf(stem: Path, authority: Authority, user: str, group: str | None, sans: list[str]) -> None:
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
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
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


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _kubeconfig(layout: Layout, path: Path, name: str) -> None:
    context = f"spillway-{layout.name}"
    pki = layout.pki
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [
            {
                "name": context,
                "cluster": {
                    "server": layout.server,
                    "certificate-authority": str(pki / "ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": context,
                "user": {
                    "client-certificate": str(pki / f"{name}.crt"),
                    "client-key": str(pki / f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    _write(path, yaml.safe_dump(document, sort_keys=False).encode())


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
