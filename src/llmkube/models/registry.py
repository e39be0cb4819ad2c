"""A registry as we ask it (https://github.com/opencontainers/distribution-spec): manifests, and who may read them.

A registry that wants a token names the server that gives it. That address is the registry's word: it is held to the
policy, and gets our password only over TLS (or where the registry itself is plain HTTP already).
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import platform
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from llmkube.models.answers import at_most
from llmkube.models.credentials import same_origin
from llmkube.models.errors import SourceError
from llmkube.models.oci import (
    DIGEST,
    INDEXES,
    LARGEST_MANIFEST,
    MANIFESTS,
    Layer,
    document,
    invalid,
    is_index,
    layer_of,
    manifest_of,
)
from llmkube.models.refusal import check_status
from llmkube.models.registry_login import DOCKER_HUB, login

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import aiohttp

    from llmkube.models.credentials import Credentials
    from llmkube.models.source import Source
    from llmkube.models.web import Web

LARGEST_TOKEN = 64 * 1024
CHALLENGE = re.compile(r'(?P<name>[a-zA-Z_]+)="(?P<value>[^"]*)"')
TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


class Registry:
    """One artifact of a registry, with the authorization that was asked for. All files of it are of one manifest."""

    def __init__(self, source: Source, web: Web, credentials: Credentials) -> None:
        self._source, self._web = source, web
        self._one_asks = asyncio.Lock()
        self._artifact: tuple[dict[str, Any], str] | None = None
        host, _, self._repository = source.host.partition("/")
        if host == DOCKER_HUB:
            host = "registry-1.docker.io"
            self._repository = self._repository if "/" in self._repository else f"library/{self._repository}"
        self._base = f"{'http' if credentials.plain_http or _is_loopback(host) else 'https'}://{host}"
        self._login = login(credentials, host, self._repository)
        self._authorization: dict[str, str] = {}

    async def layer(self, source: Source) -> tuple[Layer, str]:
        """The layer of one file, and the digest of the manifest that names it: a tag that moves mixes no two models."""
        async with self._one_asks:
            if self._artifact is None:
                self._artifact = await self._found()
        manifest, digest = self._artifact
        return layer_of(source, manifest), digest

    async def _found(self) -> tuple[dict[str, Any], str]:
        found, digest = await self._manifest(self._source.revision)
        if is_index(found):
            machine = MACHINES.get(platform.machine(), platform.machine())
            found, digest = await self._manifest(manifest_of(self._source, found, f"linux/{machine}"))
        return found, digest

    def blob_url(self, layer: Layer) -> str:
        return f"{self._base}/v2/{self._repository}/blobs/sha256:{layer.sha256}"

    def headers(self, url: str, asked: Mapping[str, str]) -> dict[str, str]:
        """What a request carries: our authorization where the registry itself is asked."""
        return {**asked, **(self._authorization if same_origin(url, self._base) else {})}

    async def renew(self, response: aiohttp.ClientResponse) -> bool:
        """Get what a refusal asks for; False when it asks for nothing that we have not given already."""
        before = self._authorization
        challenges = response.headers.getall("WWW-Authenticate", [])
        if not same_origin(str(response.url), self._base):
            return False
        for challenge in challenges:
            scheme, _, rest = challenge.partition(" ")
            if scheme.lower() == "bearer":
                self._authorization = await self._bearer(dict(CHALLENGE.findall(rest[:4096])))
                break
            if scheme.lower() == "basic":
                self._authorization = self._login
                break
        return self._authorization != before

    async def _manifest(self, reference: str) -> tuple[dict[str, Any], str]:
        url = f"{self._base}/v2/{self._repository}/manifests/{quote(reference, safe=':')}"
        accept = {"Accept": ", ".join((*MANIFESTS, *INDEXES))}
        async with self._web.get(self._source.text, url, lambda at: self.headers(at, accept)) as response:
            if response.status != 401 or not await self.renew(response):
                return await self._read(response, reference)
        async with self._web.get(self._source.text, url, lambda at: self.headers(at, accept)) as response:
            return await self._read(response, reference)

    async def _read(self, response: aiohttp.ClientResponse, reference: str) -> tuple[dict[str, Any], str]:
        await check_status(self._source, response)
        data = await at_most(response, LARGEST_MANIFEST + 1)
        if len(data) > LARGEST_MANIFEST:
            raise invalid(self._source, f"a manifest of at most {LARGEST_MANIFEST} bytes", "a longer one")
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if DIGEST.fullmatch(reference) and digest != reference:
            message = f"{self._source.text}: expected a manifest with digest {reference}, found {digest}"
            raise SourceError(
                "DigestMismatch", f"{message}; the registry is broken, or something between changes its answers"
            )
        return document(self._source, bytes(data)), digest

    async def _bearer(self, challenge: Mapping[str, str]) -> dict[str, str]:
        """A token for pulling this repository (https://distribution.github.io/distribution/spec/auth/token)."""
        realm = challenge.get("realm", "")
        self._check_realm(realm)
        query = {"scope": f"repository:{self._repository}:pull"}
        if service := challenge.get("service"):
            query["service"] = service
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        own = self._login
        async with self._web.get(self._source.text, url, lambda at: own if same_origin(at, realm) else {}) as response:
            await check_status(self._source, response, what="a token of the registry's token server")
            return {"Authorization": f"Bearer {self._token(bytes(await at_most(response, LARGEST_TOKEN)))}"}

    def _check_realm(self, realm: str) -> None:
        try:
            parts = urlsplit(realm)
            is_one = bool(parts.hostname) and parts.username is None and parts.port != 0 and not parts.fragment
        except ValueError:
            is_one = False
        if not is_one or parts.scheme not in {"http", "https"}:
            self._refuse("a token server's address in its WWW-Authenticate", realm)
        if parts.scheme == "http" and self._base.startswith("https:"):
            self._refuse("a token server with https", realm)

    def _refuse(self, expected: str, realm: str) -> None:
        found = "".join(one for one in realm[:100] if one.isprintable())
        message = f"{self._source.text}: expected {expected}, found {found!r}; correct the registry's configuration"
        raise SourceError("SourceDenied", message)

    def _token(self, data: bytes) -> str:
        try:
            found = json.loads(data)
            token = found.get("token") or found.get("access_token") if isinstance(found, dict) else None
        except (ValueError, RecursionError):
            token = None
        if not isinstance(token, str) or not TOKEN.fullmatch(token):
            message = f"{self._source.text}: expected a token of the registry's token server, found none in its answer"
            raise SourceError("Unauthorized", f"{message}; check the credentials in sourceSecretRef")
        return token


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
