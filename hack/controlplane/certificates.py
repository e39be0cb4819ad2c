"""What proves who is who in the control plane: one CA, a certificate for each side, and the key of service accounts.

All of it is made anew at every start; a DIR is a test's, not a cluster's.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llmkube.local.apiserver.tls import write_secret

if TYPE_CHECKING:
    from pathlib import Path

LIFETIME = dt.timedelta(days=365)
CLOCK_SKEW = dt.timedelta(hours=1)
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
SERVER_ADDRESSES = ("127.0.0.1", "10.96.0.1")
PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A CA that lives as long as this object: its key is never written."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("llmkube-test-ca")
        limits = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder(self._name, self._key).add_extension(limits, critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(PEM)

    def client(self, user: str, group: str | None = None) -> Pair:
        """Return what proves to be a user of Kubernetes, in a group."""
        return self._issue(_name(user, group), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))

    def server(self) -> Pair:
        """Return the API server's."""
        names = [x509.DNSName(one) for one in SERVER_NAMES]
        addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in SERVER_ADDRESSES]
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return self._issue(_name("kube-apiserver"), usage, x509.SubjectAlternativeName([*names, *addresses]))

    def _issue(self, subject: x509.Name, *extensions: x509.ExtensionType) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(subject, key)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return Pair(builder.sign(self._key, hashes.SHA256()).public_bytes(PEM), _private(key))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now + LIFETIME)
        )


def write_all(directory: Path, server: str) -> None:
    """Write the files that the programs are started with, and a kubeconfig for each who talks to the API server."""
    authority = Authority()
    own, accounts = authority.server(), ec.generate_private_key(ec.SECP256R1())
    write_secret(directory / "ca.crt", authority.certificate)
    write_secret(directory / "apiserver.crt", own.certificate)
    write_secret(directory / "apiserver.key", own.key)
    write_secret(directory / "service-accounts.key", _private(accounts))
    users = {
        "admin": authority.client("admin", "system:masters"),
        "kube-controller-manager": authority.client("system:kube-controller-manager"),
        "kube-scheduler": authority.client("system:kube-scheduler"),
    }
    write_secret(directory / "admin.crt", users["admin"].certificate)
    write_secret(directory / "admin.key", users["admin"].key)
    for name, pair in users.items():
        write_secret(directory / f"{name}.kubeconfig", kubeconfig(server, authority.certificate, pair, user=name))


def kubeconfig(server: str, authority: bytes, pair: Pair, *, user: str) -> bytes:
    """Return a kubeconfig that names no other file."""
    cluster = {"server": server, "certificate-authority-data": _text(authority)}
    proof = {"client-certificate-data": _text(pair.certificate), "client-key-data": _text(pair.key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "controlplane",
        "clusters": [{"name": "controlplane", "cluster": cluster}],
        "users": [{"name": user, "user": proof}],
        "contexts": [{"name": "controlplane", "context": {"cluster": "controlplane", "user": user}}],
    }
    return yaml.safe_dump(content, sort_keys=False).encode()


def _text(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    # kube-apiserver reads the EC keys of service accounts in this form, and TLS keys in any.
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(PEM, form, serialization.NoEncryption())


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)
