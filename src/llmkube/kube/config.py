"""Where the API server is and how to show who we are: a kubeconfig, or the service account of a pod.

    load(kubeconfig, context) -> ClusterConfig      whatever is wrong with it is a ConfigError or TrustError
    from_kubeconfig(*paths, context=…), in_cluster()

What a kubeconfig says is read in kubeconfig.py, what its users show in credentials.py and exec_plugin.py, and which
proxy is on the way in proxies.py.
"""

from __future__ import annotations

import base64
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmkube.kube import proxies
from llmkube.kube.credentials import (
    Basic,
    ConfigError,
    Credentials,
    Impersonating,
    Remembered,
    StaticToken,
    TokenFile,
    impersonation,
    of_auth_provider,
    token_of,
)
from llmkube.kube.exec_plugin import ExecPlugin
from llmkube.kube.kubeconfig import EXEC_EXTENSION, Chosen, chosen
from llmkube.kube.trust import Trust, present, trusting

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ClusterConfig",
    "ConfigError",
    "Credentials",
    "StaticToken",
    "TokenFile",
    "default_kubeconfigs",
    "from_kubeconfig",
    "in_cluster",
    "load",
]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class ClusterConfig:
    """One cluster, as one user, with the namespace that is meant when none is named."""

    server: str
    namespace: str
    credentials: Credentials
    tls: Trust | None = None
    """To be asked for its context after the credentials for their headers: a plugin gives both."""
    origin: str = ""
    proxy: str = field(default="", repr=False)
    """URL of the HTTP proxy on the way there, which may hold a password; empty for none."""
    server_hostname: str = ""
    """The name that the server's certificate must have; empty for the one in its URL."""


async def load(kubeconfig: Path | None = None, context: str | None = None) -> ClusterConfig:
    """Return the cluster of a kubeconfig ($KUBECONFIG, ~/.kube/config), or of the pod we run in."""
    paths = (kubeconfig,) if kubeconfig else default_kubeconfigs()
    if paths:
        return from_kubeconfig(*paths, context=context)
    if (SERVICE_ACCOUNT / "token").exists():
        return in_cluster()
    raise ConfigError(
        "no cluster is configured: expected $KUBECONFIG, ~/.kube/config or a pod's service account; "
        "name one with --kubeconfig, or start one on this machine with `llmkube local up`"
    )


def default_kubeconfigs() -> tuple[Path, ...]:
    """Return the kubeconfigs that kubectl would read as one, which are there; none where there are none."""
    named = os.environ.get("KUBECONFIG", "")
    candidates = [Path(each) for each in named.split(os.pathsep) if each] or [Path.home() / ".kube" / "config"]
    found = tuple(each for each in candidates if each.exists())
    if named and not found:
        raise ConfigError(f"KUBECONFIG={named}: no such file; correct it or unset it")
    return found


def in_cluster() -> ClusterConfig:
    """Return the cluster of the pod we run in; a proxy of the environment is for sources, never on the way there."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ConfigError("KUBERNETES_SERVICE_HOST is not set: this pod has no way to its API server")
    host = f"[{host}]" if ":" in host else host
    try:
        namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{SERVICE_ACCOUNT}/namespace cannot be read: {error}; mount a service account") from error
    authority, origin = SERVICE_ACCOUNT / "ca.crt", "the pod's service account"
    tls = Trust(lambda: trusting(cafile=authority), files=[authority], origin=origin)
    return ClusterConfig(f"https://{host}:{port}", namespace, TokenFile(SERVICE_ACCOUNT / "token"), tls, origin)


def from_kubeconfig(*paths: Path, context: str | None = None) -> ClusterConfig:
    """Return the cluster of one context of kubeconfigs that are read as one; their current one by default."""
    found = chosen(paths, context)
    server = found.server
    credentials = _credentials(found)
    is_tls = server.startswith("https")
    return ClusterConfig(
        server,
        found.namespace,
        _impersonating(found, credentials),
        _tls(found, credentials.pair if isinstance(credentials, Remembered) else _no_pair) if is_tls else None,
        found.origin,
        _proxy(found),
        (found.cluster.tls_server_name or "") if is_tls else "",
    )


def _proxy(found: Chosen) -> str:
    said = proxies.of_cluster(found.cluster.proxy_url or "", f"{found.origin}: its cluster's proxy-url")
    return said or proxies.of_environment(found.server)


def _credentials(found: Chosen) -> Credentials:
    """As client-go prefers them: a token's file, the token, name and password, a plugin, a provider."""
    user = found.user
    token = token_of(user.token, f"{found.origin}: its user's token") if user.token else ""
    if (token or user.token_file) and (user.username or user.password):
        raise ConfigError(f"{found.origin}: its user has both a token and a username; leave one of them out")
    if user.token_file:
        return TokenFile(Path(user.token_file), token)
    if token:
        return StaticToken(token)
    if user.username or user.password:
        return Basic(user.username or "", user.password or "")
    if user.exec is not None:
        file, context = found.user_file, found.context
        return Remembered(ExecPlugin(user.exec, lambda: _told(found), kubeconfig=file, context=context).give)
    if user.auth_provider:
        return Remembered(lambda: of_auth_provider(found.paths, found.context))
    return StaticToken()


def _impersonating(found: Chosen, credentials: Credentials) -> Credentials:
    user = found.user
    somebody = impersonation(
        user.as_user or "",
        user.as_uid or "",
        user.as_groups or [],
        user.as_user_extra or {},
        where=f"{found.origin}: its user",
    )
    return Impersonating(credentials, somebody) if somebody else credentials


def _told(found: Chosen) -> dict[str, Any]:
    """What a plugin is told of the cluster: spec.cluster of an ExecCredential; what is not set is left out."""
    cluster = found.cluster
    try:
        authority = found.content(
            "certificate-authority", cluster.certificate_authority, cluster.certificate_authority_data
        )
    except OSError as error:
        raise ConfigError(f"{found.origin}: its certificate-authority cannot be read: {error}; correct it") from error
    own = (each.extension for each in cluster.extensions or () if each.name == EXEC_EXTENSION)
    told = {
        "server": found.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": base64.b64encode(authority).decode(),
        "proxy-url": cluster.proxy_url,
        "disable-compression": cluster.disable_compression,
        "config": next(own, None),
    }
    return {name: value for name, value in told.items() if value}


def _no_pair() -> tuple[bytes, bytes] | None:
    return None


def _tls(found: Chosen, pair: Callable[[], tuple[bytes, bytes] | None]) -> Trust:
    """`pair` is the client certificate, with its key, that a plugin gave; what the kubeconfig says comes before it."""
    cluster, user = found.cluster, found.user
    named = (
        (cluster.certificate_authority, cluster.certificate_authority_data),
        (user.client_certificate, user.client_certificate_data),
        (user.client_key, user.client_key_data),
    )
    if any(named[1]) and not any(named[2]):
        raise ConfigError(f"{found.origin}: its user has a client-certificate but no client-key; add one")
    files = [Path(file) for file, data in named if file and not data]
    return Trust(lambda: _context(found, pair()), files=files, origin=str(found.path), held=pair)


def _context(found: Chosen, given: tuple[bytes, bytes] | None) -> ssl.SSLContext:
    cluster = found.cluster
    authority = (cluster.certificate_authority, cluster.certificate_authority_data)
    # Bundles have names in their comments, in any alphabet; PEM itself is ASCII.
    pem = found.content("certificate-authority", *authority).decode("ascii", "ignore")
    if any(authority) and not pem:
        raise ValueError("its certificate-authority is empty")  # without this the system's would be trusted
    context = trusting(cadata=pem or None)
    if cluster.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if (pair := _client_certificate(found) or given) is not None:
        present(context, *pair)
    return context


def _client_certificate(found: Chosen) -> tuple[bytes, bytes] | None:
    """The certificate and key that the kubeconfig holds or names, each in its own way; nothing where there is none."""
    user = found.user
    if not (user.client_certificate or user.client_certificate_data):
        return None
    certificate = found.content("client-certificate", user.client_certificate, user.client_certificate_data)
    return certificate, found.content("client-key", user.client_key, user.client_key_data)
