"""Where the API server is and how to show who we are: a kubeconfig, or the service account of a pod.

kubernetes-asyncio reads exec plugins and cloud auth providers; importing it costs more than a second, so a kubeconfig
with a token or a client certificate, the usual ones, is read here.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from llmkube.kube.errors import KubeError
from llmkube.kube.trust import Trust, trusting

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(KubeError):
    """No usable configuration; the message says what was looked for and what to do."""


class Credentials(Protocol):
    """Gives the headers that authenticate a request."""

    async def headers(self, *, refresh: bool = False) -> dict[str, str]:
        """Return the headers; with `refresh`, after a 401, new ones where there can be any."""


@dataclass(frozen=True)
class StaticToken:
    """A token written in the kubeconfig, or none at all (client certificates)."""

    token: str = field(default="", repr=False)

    async def headers(self, *, refresh: bool = False) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@dataclass(frozen=True)
class TokenFile:
    """A projected token, which the kubelet rotates: read again for each connection that asks."""

    path: Path

    async def headers(self, *, refresh: bool = False) -> dict[str, str]:
        try:
            return {"Authorization": f"Bearer {self.path.read_text().strip()}"}
        except OSError as error:
            raise ConfigError(f"token file {self.path}: {error.strerror}; mount a service account token") from error


class PluginCredentials:
    """An exec plugin or auth provider, run by kubernetes-asyncio; run again, once for all, when the server says 401."""

    def __init__(self, kubeconfig: Path, context: str) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._headers: dict[str, str] = {}
        self._asking = asyncio.Lock()

    async def headers(self, *, refresh: bool = False) -> dict[str, str]:
        known = self._headers
        async with self._asking:
            if not self._headers or (refresh and self._headers is known):
                self._headers = {"Authorization": await self._token()}
        return self._headers

    async def _token(self) -> str:
        from kubernetes_asyncio import client, config

        loaded, where = client.Configuration(), f"{self._kubeconfig} (context {self._context})"
        try:
            await config.load_kube_config(str(self._kubeconfig), self._context, client_configuration=loaded)
        except (config.ConfigException, OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{where}: its credential plugin failed: {error}") from error
        token = await loaded.get_api_key_with_prefix("BearerToken") or loaded.api_key.get("authorization", "")
        if not token:
            raise ConfigError(f"{where}: its credential plugin gave no token; use one that does")
        return str(token)


@dataclass(frozen=True)
class ClusterConfig:
    """One cluster, as one user, with the namespace that is meant when none is named."""

    server: str
    namespace: str
    credentials: Credentials
    tls: Trust | None = None
    origin: str = ""


async def load(kubeconfig: Path | None = None, context: str | None = None) -> ClusterConfig:
    """Return the cluster of a kubeconfig ($KUBECONFIG, ~/.kube/config), or of the pod we run in."""
    path = kubeconfig or default_kubeconfig()
    if path is not None:
        return from_kubeconfig(path, context)
    if (SERVICE_ACCOUNT / "token").exists():
        return in_cluster()
    raise ConfigError(
        "no cluster is configured: expected $KUBECONFIG, ~/.kube/config or a pod's service account; "
        "name one with --kubeconfig, or start one on this machine with `llmkube local up`"
    )


def default_kubeconfig() -> Path | None:
    """Return the kubeconfig that kubectl would read, or nothing where there is none."""
    named = os.environ.get("KUBECONFIG", "")
    candidates = [Path(each) for each in named.split(os.pathsep) if each] or [Path.home() / ".kube" / "config"]
    if named and not any(each.exists() for each in candidates):
        raise ConfigError(f"KUBECONFIG={named}: no such file; correct it or unset it")
    return next((each for each in candidates if each.exists()), None)


def in_cluster() -> ClusterConfig:
    """Return the cluster of the pod we run in."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ConfigError("KUBERNETES_SERVICE_HOST is not set: this pod has no way to its API server")
    host = f"[{host}]" if ":" in host else host
    namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    authority, origin = SERVICE_ACCOUNT / "ca.crt", "the pod's service account"
    tls = Trust(lambda: trusting(cafile=authority), files=[authority], origin=origin)
    return ClusterConfig(f"https://{host}:{port}", namespace, TokenFile(SERVICE_ACCOUNT / "token"), tls, origin)


def from_kubeconfig(path: Path, context: str | None = None) -> ClusterConfig:
    """Return the cluster of one context of a kubeconfig; its current one by default."""
    content = _read(path)
    name = context or content.get("current-context") or ""
    chosen = _entry(path, content, "contexts", name)["context"]
    cluster = _entry(path, content, "clusters", chosen.get("cluster", ""))["cluster"]
    user = _entry(path, content, "users", chosen["user"])["user"] if chosen.get("user") else {}
    server = str(cluster.get("server", "")).rstrip("/")
    if not server:
        raise ConfigError(f"{path}: cluster {chosen.get('cluster')!r} has no server")
    return ClusterConfig(
        server,
        chosen.get("namespace") or "default",
        _credentials(path, name, user),
        _tls(path, cluster, user) if server.startswith("https") else None,
        f"{path} (context {name})",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as a kubeconfig: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a kubeconfig, found {type(content).__name__}")
    return content


def _entry(path: Path, content: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for each in content.get(section) or []:
        if each.get("name") == name:
            return dict(each)
    known = ", ".join(str(each.get("name")) for each in content.get(section) or []) or "none"
    raise ConfigError(f"{path}: no {section.rstrip('s')} {name!r}; it has: {known}")


def _credentials(path: Path, context: str, user: dict[str, Any]) -> Credentials:
    if user.get("token"):
        return StaticToken(user["token"])
    if user.get("tokenFile"):
        return TokenFile(path.parent / user["tokenFile"])
    if user.get("exec") or user.get("auth-provider"):
        return PluginCredentials(path, context)
    return StaticToken()


def _tls(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Trust:
    named = (cluster.get("certificate-authority"), user.get("client-certificate"), user.get("client-key"))
    files = [path.parent / each for each in named if each]
    return Trust(lambda: _context(path, cluster, user), files=files, origin=str(path))


def _context(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    data = cluster.get("certificate-authority-data")
    file = cluster.get("certificate-authority")
    context = trusting(
        cafile=path.parent / file if file else None, cadata=base64.b64decode(data).decode() if data else None
    )
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load_client_certificate(context, path, user)
    return context


def _load_client_certificate(context: ssl.SSLContext, path: Path, user: dict[str, Any]) -> None:
    """Load the pair; OpenSSL reads only files, so inline data goes through one that nobody else can open."""
    if user.get("client-certificate"):
        context.load_cert_chain(path.parent / user["client-certificate"], path.parent / user["client-key"])
    elif user.get("client-certificate-data"):
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            for part in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[part]) + b"\n")
            file.flush()
            context.load_cert_chain(file.name)
