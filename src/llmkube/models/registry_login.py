"""Who we are to a registry: the entry for it in a docker config.json, or else the source's own name and password.

The file is what `docker login` and `kubectl create secret docker-registry` write. Credential helpers are programs of
another machine: they are not run.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmkube.models.credentials import DOCKER_CONFIG_JSON, basic, bearer
from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.models.credentials import Credentials

DOCKER_HUB = "docker.io"
DOCKER_HUB_HOSTS = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
LARGEST_CONFIG = 1 << 20


def login(credentials: Credentials, host: str, repository: str) -> dict[str, str]:
    """The Authorization header with which to ask a registry, or its token server, for a repository; {} for nobody."""
    entry = _entry(credentials.docker_config, host, repository)
    return _basic(entry) if entry is not None else credentials.headers()


def with_docker_config(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, and in it the config.json of the person who runs a command. Reads a file; none is no error."""
    if DOCKER_CONFIG_JSON in environ:
        return dict(environ)
    folder = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME", ""), ".docker")  # noqa: PTH118
    try:
        text = Path(folder, "config.json").read_text()
    except (OSError, ValueError):
        return dict(environ)
    return {**environ, DOCKER_CONFIG_JSON: text}


def _entry(config: str, host: str, repository: str) -> dict[str, Any] | None:
    """The entry with the longest path that the repository is below."""
    wanted = f"{_canonical(host)}/{repository}/"
    entries = [(_key(key), entry) for key, entry in _auths(config).items() if isinstance(entry, dict)]
    fitting = [(key, entry) for key, entry in entries if wanted.startswith(f"{key}/") and entry]
    return max(fitting, key=lambda one: len(one[0]))[1] if fitting else None


def _auths(config: str) -> dict[str, Any]:
    if not config:
        return {}
    try:
        found = json.loads(config) if len(config) <= LARGEST_CONFIG else None
        auths = found.get("auths", {}) if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        auths = None
    if not isinstance(auths, dict):
        message = (
            "docker config.json (key .dockerconfigjson of the Secret): expected JSON with auths, found something else"
        )
        raise SourceError("InvalidCredentials", f"{message}; make it with `kubectl create secret docker-registry`")
    return auths


def _key(text: str) -> str:
    """`https://index.docker.io/v1/`, `ghcr.io` and `ghcr.io/team` as HOST[/PATH]."""
    host, _, path = text.partition("://")[2].partition("/") if "://" in text else text.partition("/")
    path = path.strip("/")
    return "/".join(filter(None, (_canonical(host), "" if path in {"v1", "v2"} else path)))


def _canonical(host: str) -> str:
    return DOCKER_HUB if host.lower() in DOCKER_HUB_HOSTS else host.lower()


def _basic(entry: dict[str, Any]) -> dict[str, str]:
    if isinstance(entry.get("registrytoken"), str):
        return bearer("registrytoken of the docker config.json", entry["registrytoken"])
    username, password = entry.get("username"), entry.get("password")
    if isinstance(entry.get("auth"), str) and not (username or password):
        try:
            username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (ValueError, binascii.Error):
            message = "docker config.json: expected base64 of NAME:PASSWORD in auth, found something else"
            raise SourceError("InvalidCredentials", f"{message}; run `docker login` again") from None
    return basic(str(username or ""), str(password or "").rstrip("\x00"))
