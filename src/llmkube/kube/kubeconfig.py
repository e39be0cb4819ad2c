"""A kubeconfig file: the context that is meant, its cluster and user, each checked field by field.

    chosen(path, context) -> Chosen     ConfigError names the file, the entry and the field

Source: client-go's tools/clientcmd/api/v1. Entries that are not chosen may be as they like. No error quotes a value
that may be a secret.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import yaml

from llmkube.kube.credentials import ConfigError
from llmkube.kube.exec_plugin import ExecConfig  # noqa: TC001 - msgspec reads the annotation

if TYPE_CHECKING:
    from pathlib import Path

S = TypeVar("S")
EXEC_EXTENSION = "client.authentication.k8s.io/exec"
"""The extension of a cluster that a plugin is told as spec.cluster.config."""


class Context(msgspec.Struct):
    """Which user of which cluster, and the namespace that is meant when none is named."""

    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None


class Extension(msgspec.Struct):
    """What somebody else has to say about a cluster."""

    name: str
    extension: Any = None


class Cluster(msgspec.Struct, rename="kebab"):
    """Where an API server is, and how it is known."""

    server: str | None = None
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool | None = None
    tls_server_name: str | None = None
    proxy_url: str | None = None
    disable_compression: bool | None = None
    extensions: list[Extension] | None = None


class User(msgspec.Struct, rename="kebab"):
    """How somebody shows who they are, and as whom they act."""

    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    username: str | None = None
    password: str | None = None
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    exec: ExecConfig | None = None
    auth_provider: dict[str, Any] | None = None
    as_user: str | None = msgspec.field(default=None, name="as")
    as_uid: str | None = None
    as_groups: list[str] | None = None
    as_user_extra: dict[str, list[str]] | None = None

    def __repr__(self) -> str:
        return "User(…)"


class _Named(msgspec.Struct):
    """An entry of any of the sections."""

    name: str
    context: Any = None
    cluster: Any = None
    user: Any = None


class _File(msgspec.Struct, rename="kebab"):
    current_context: str | None = None
    contexts: list[_Named] | None = None
    clusters: list[_Named] | None = None
    users: list[_Named] | None = None


@dataclass(frozen=True)
class Chosen:
    """One context of a kubeconfig, with what it names."""

    path: Path
    context: str
    namespace: str
    cluster: Cluster
    user: User = field(repr=False)

    @property
    def origin(self) -> str:
        return f"{self.path} (context {self.context})"

    @property
    def proxy(self) -> str:
        """`proxy-url`, which may be empty; a ConfigError for what is no HTTP proxy."""
        url = self.cluster.proxy_url or ""
        try:
            parts = urlsplit(url)
            is_proxy = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number
            is_proxy = False
        if url and not is_proxy:
            raise ConfigError(f"{self.origin}: its cluster's proxy-url is none of http:// or https://; use one that is")
        return url

    def content(self, which: str, file: str | None, data: str | None) -> bytes:
        """Return what stands in the field `<which>-data`, which wins, or in the file of `which`; b"" without either.

        OSError where the file cannot be read, ConfigError where the data is not base64.
        """
        if data:
            try:
                return base64.b64decode("".join(data.split()), validate=True)
            except ValueError as error:
                raise ConfigError(f"{self.origin}: {which}-data is not base64; correct it") from error
        return (self.path.parent / file).read_bytes() if file else b""


def chosen(path: Path, context: str | None = None) -> Chosen:
    """Return one context of a kubeconfig; its current one by default."""
    file = _read(path)
    name = context or file.current_context or ""
    if not name:
        raise ConfigError(f"{path}: has no current-context; name one of: {_names(file.contexts)}")
    found = _entry(path, "context", name, file.contexts)
    meant = _shaped(found.context, Context, f"{path}: context {name!r}")
    cluster = _entry(path, "cluster", meant.cluster or "", file.clusters)
    user = _entry(path, "user", meant.user, file.users) if meant.user else _Named("")
    return Chosen(
        path,
        name,
        meant.namespace or "default",
        _shaped(cluster.cluster, Cluster, f"{path}: cluster {cluster.name!r}"),
        # `kubectl config set-credentials NAME` alone leaves a user of nothing.
        _shaped({} if user.user is None else user.user, User, f"{path}: user {user.name!r}"),
    )


def _read(path: Path) -> _File:
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read as a kubeconfig: {error.strerror}; name another") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, a date that is none
        # What PyYAML says quotes the line, and that may be a token's.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigError(f"{path}: cannot be read as a kubeconfig: it is no YAML{where}; correct it") from error
    return _shaped(content, _File, f"{path}: cannot be read as a kubeconfig")


def _shaped(content: Any, kind: type[S], where: str) -> S:
    """Return what stands there as what it is meant to be; the ConfigError names the field that is something else."""
    try:
        return msgspec.convert(content, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ConfigError(f"{where}: {error}; correct it") from error


def _entry(path: Path, section: str, name: str, entries: list[_Named] | None) -> _Named:
    for each in entries or ():
        if each.name == name:
            return each
    raise ConfigError(f"{path}: no {section} {name!r}; it has: {_names(entries)}")


def _names(entries: list[_Named] | None) -> str:
    return ", ".join(each.name for each in entries or ()) or "none"
