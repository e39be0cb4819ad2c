"""How we show an API server who we are: the headers that authenticate a request, and for whom it acts.

    StaticToken, Basic, TokenFile   what stands in a kubeconfig, or in a file
    Remembered                      what a plugin or provider gives, kept until it expires or is refused
    Impersonating                   any of these, acting as somebody else

A header is what it says: no value ends or breaks a line, and no error quotes one.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from llmkube.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

_HEADER_NAME = "!#$&'*+^`|"
"""What a header's name may hold, besides letters, digits and _.-~ (RFC 9110, token; % escapes the rest)."""


class ConfigError(KubeError):
    """No usable configuration; the message says what was looked for and what to do."""


class Credentials(Protocol):
    """Gives the headers that authenticate a request."""

    async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the headers; after a 401 to `refused`, newer ones where there can be any.

        Who was refused with headers that are no longer the current ones gets the current ones. ConfigError where there
        are none to be had.
        """


def token_of(text: str, where: str) -> str:
    """Return a token as a header can hold it; ConfigError, which never quotes it, where it cannot be one."""
    token = text.strip()
    if not token:
        raise ConfigError(f"{where} is empty; put one there")
    if not (token.isascii() and token.isprintable()):
        raise ConfigError(f"{where} holds line breaks, control or non-ASCII characters, as no token does; correct it")
    return token


@dataclass(frozen=True)
class StaticToken:
    """A token written in the kubeconfig, or none at all (client certificates)."""

    token: str = field(default="", repr=False)

    async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@dataclass(frozen=True)
class Basic:
    """A name and password written in the kubeconfig, which few API servers but their proxies still take."""

    username: str
    password: str = field(repr=False)

    async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode())
        return {"Authorization": f"Basic {pair.decode()}"}


@dataclass(frozen=True)
class TokenFile:
    """A projected token, which the kubelet rotates: read again for each request."""

    path: Path
    otherwise: str = field(default="", repr=False)
    """The token while the file holds none, as client-go has it; empty for no such token."""

    async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        where = f"token file {self.path}"
        try:
            token = self.path.read_text()
        except (OSError, UnicodeError) as error:
            if not self.otherwise:
                why = error.strerror if isinstance(error, OSError) else "not a text"
                raise ConfigError(f"{where}: {why}; mount a service account token") from error
            token = ""
        return {"Authorization": f"Bearer {token_of(token.strip() or self.otherwise, where)}"}


@dataclass(frozen=True)
class Given:
    """What a plugin or provider gave: headers, a client certificate with its key (PEM), when they expire (Unix s)."""

    headers: Mapping[str, str] = field(repr=False)
    pair: tuple[bytes, bytes] | None = field(default=None, repr=False)
    expires: float = math.inf


class Remembered:
    """Credentials that take time to get: got once for all who ask, and again when they expired or were refused."""

    def __init__(self, ask: Callable[[], Awaitable[Given]], *, now: Callable[[], float] = time.time) -> None:
        self._ask = ask
        self._now = now
        self._given: Given | None = None
        self._asking = asyncio.Lock()

    async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        async with self._asking:
            given = self._given
            if given is None or given.expires <= self._now() or _are_refused(given.headers, refused):
                given = self._given = await self._ask()
        return dict(given.headers)

    def pair(self) -> tuple[bytes, bytes] | None:
        """The client certificate and its key that came with the latest headers; nothing where none did."""
        return self._given.pair if self._given is not None else None


def _are_refused(current: Mapping[str, str], refused: Mapping[str, str] | None) -> bool:
    return refused is not None and refused.get("Authorization") == current.get("Authorization")


@dataclass(frozen=True)
class Impersonating:
    """Credentials that act as somebody else, which RBAC must let them (the verb `impersonate`)."""

    credentials: Credentials
    somebody: Mapping[str, str]
    """The Impersonate- headers: impersonation() makes them."""

    async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**await self.credentials.headers(refused=refused), **self.somebody}


def impersonation(
    user: str, uid: str, groups: list[str], extra: Mapping[str, list[str]], *, where: str
) -> dict[str, str]:
    """Return the headers of `as`, `as-uid`, `as-groups` and `as-user-extra`; none where nothing is asked for.

    Each group and each value is a header of its own; requests here have one of each name, so more is a ConfigError.
    """
    if not user and (uid or groups or extra):
        raise ConfigError(f"{where}: as-uid, as-groups and as-user-extra need a user to act as; set `as`")
    said = {"Impersonate-User": [user], "Impersonate-Uid": [uid], "Impersonate-Group": groups} | {
        f"Impersonate-Extra-{quote(key, safe=_HEADER_NAME)}": values for key, values in extra.items()
    }
    headers = {name: [each for each in values if each] for name, values in said.items()}
    for name, values in headers.items():
        if len(values) > 1:
            raise ConfigError(f"{where}: {name} has {len(values)} values, but llmkube sends one; leave the others out")
        if not all(each.isprintable() for each in values):
            raise ConfigError(f"{where}: {name} holds line breaks or control characters; correct it")
    return {name: values[0] for name, values in headers.items() if values}


async def of_auth_provider(kubeconfigs: Sequence[Path], context: str) -> Given:
    """Ask the legacy auth-provider (oidc, gcp) of a context, through kubernetes-asyncio: a second to import."""
    import aiohttp
    from kubernetes_asyncio import client, config

    loaded: Any = client.Configuration()
    files = os.pathsep.join(map(str, kubeconfigs))
    where = f"{files} (context {context}): its auth-provider"
    wrong = (config.ConfigException, aiohttp.ClientError, OSError, ValueError, LookupError)
    try:
        await config.load_kube_config(files, context, client_configuration=loaded)
        token = await loaded.get_api_key_with_prefix("BearerToken") or loaded.api_key.get("authorization", "")
    except (*wrong, TypeError, AttributeError, AssertionError) as error:
        # It names a missing key by its path, which begins with the whole of the user: {'name': …, 'client-secret': …}.
        why = str(error).partition("{")[0] or type(error).__name__
        raise ConfigError(f"{where} failed: {why}; log in again, or use an exec plugin") from error
    if not token:
        raise ConfigError(f"{where} gave no token; use an exec plugin instead")
    return Given({"Authorization": token_of(str(token), f"{where}'s token")})
