"""Kubeconfig files: the context that is meant, its cluster and user, each checked field by field.

    chosen(paths, context) -> Chosen    ConfigError names the file, the entry and the field

Several files are read as one, as kubectl reads $KUBECONFIG: each entry is the first file's that has it, and a relative
path is one from that file. Source: client-go's tools/clientcmd, its api/v1 and loader.go. Entries that are not chosen
may be as they like. No error quotes a value that may be a secret.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import yaml

from llmkube.kube.credentials import ConfigError
from llmkube.kube.exec_plugin import ExecConfig  # noqa: TC001 - msgspec reads the annotation
from llmkube.kube.proxies import http_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

S = TypeVar("S")
P = TypeVar("P", bound=msgspec.Struct)
EXEC_EXTENSION = "client.authentication.k8s.io/exec"
"""The extension of a cluster that a plugin is told as spec.cluster.config."""
PATHS = ("certificate_authority", "client_certificate", "client_key", "token_file")
"""Fields of a cluster or a user that name files."""


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
    """One context of kubeconfigs, with what it names; the files that they name are where they are."""

    paths: tuple[Path, ...]
    path: Path
    """The file that has the context."""
    user_file: Path
    context: str
    namespace: str
    cluster: Cluster
    user: User = field(repr=False)

    @property
    def origin(self) -> str:
        return f"{self.path} (context {self.context})"

    @property
    def server(self) -> str:
        """`server` as a URL without a slash at its end; a ConfigError, which quotes nothing, for what is none.

        Without a scheme it is https where anything is said of certificates, as client-go takes it.
        """
        said = (self.cluster.server or "").strip()
        if not said:
            raise ConfigError(f"{self.origin}: its cluster has no server; set one")
        parts = http_url(said if "://" in said else f"{'https' if self._speaks_of_tls() else 'http'}://{said}")
        if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
            todo = "set one such as https://example.com:6443, without a name, password or query"
            raise ConfigError(f"{self.origin}: its cluster's server is no http:// or https:// URL; {todo}")
        return parts.geturl().rstrip("/")

    def _speaks_of_tls(self) -> bool:
        cluster, user = self.cluster, self.user
        authority = cluster.certificate_authority or cluster.certificate_authority_data
        certificate = user.client_certificate or user.client_certificate_data
        return bool(authority or certificate or cluster.insecure_skip_tls_verify or cluster.tls_server_name)

    def content(self, which: str, file: str | None, data: str | None) -> bytes:
        """Return what stands in the field `<which>-data`, which wins, or in the file of `which`; b"" without either.

        OSError where the file cannot be read, ConfigError where the data is not base64.
        """
        if data:
            try:
                return base64.b64decode("".join(data.split()), validate=True)
            except ValueError as error:
                raise ConfigError(f"{self.origin}: {which}-data is not base64; correct it") from error
        return Path(file).read_bytes() if file else b""


def chosen(paths: Sequence[Path], context: str | None = None) -> Chosen:
    """Return one context of kubeconfigs that are read as one; their current one by default."""
    files = _Files(paths)
    name = context or files.current_context
    path, of_context = files.entry("context", name)
    meant = _shaped(of_context.context, Context, f"{path}: context {name!r}")
    cluster_file, cluster = files.entry("cluster", meant.cluster or "")
    user_file, user = files.entry("user", meant.user) if meant.user else (path, _Named(""))
    # `kubectl config set-credentials NAME` alone leaves a user of nothing.
    said = {} if user.user is None else user.user
    return Chosen(
        paths=tuple(paths),
        path=path,
        user_file=user_file,
        context=name,
        namespace=meant.namespace or "default",
        cluster=_placed(_shaped(cluster.cluster, Cluster, f"{cluster_file}: cluster {cluster.name!r}"), cluster_file),
        user=_placed(_shaped(said, User, f"{user_file}: user {user.name!r}"), user_file),
    )


def _placed(said: P, file: Path) -> P:
    """The entry with the paths in it as they are from anywhere."""
    named = {name: getattr(said, name, None) for name in PATHS}
    return msgspec.structs.replace(said, **{name: str(file.parent / path) for name, path in named.items() if path})


class _Files:
    """The sections of all the files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._where = os.pathsep.join(map(str, paths))
        self._files = [(path, _read(path)) for path in paths]

    @property
    def current_context(self) -> str:
        for _, file in self._files:
            if file.current_context:
                return file.current_context
        raise ConfigError(f"{self._where}: has no current-context; name one of: {self._names('context')}")

    def entry(self, kind: str, name: str) -> tuple[Path, _Named]:
        for path, each in self._entries(kind):
            if each.name == name:
                return path, each
        raise ConfigError(f"{self._where}: no {kind} {name!r}; it has: {self._names(kind)}")

    def _names(self, kind: str) -> str:
        return ", ".join(dict.fromkeys(each.name for _, each in self._entries(kind))) or "none"

    def _entries(self, kind: str) -> Iterator[tuple[Path, _Named]]:
        for path, file in self._files:
            sections = {"context": file.contexts, "cluster": file.clusters, "user": file.users}
            yield from ((path, each) for each in sections[kind] or ())


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
    # An empty file is one without entries, which `kubectl config` writes into.
    return _File() if content is None else _shaped(content, _File, f"{path}: cannot be read as a kubeconfig")


def _shaped(content: Any, kind: type[S], where: str) -> S:
    """Return what stands there as what it is meant to be; the ConfigError names the field that is something else."""
    try:
        return msgspec.convert(content, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ConfigError(f"{where}: {error}; correct it") from error
