"""Where a source's bytes are over HTTP, by its kind: the address, and what a request to it carries.

A place's own headers are for the origin of its address alone: no redirect to another host ever sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llmkube.models.credentials import same_origin
from llmkube.models.source import HUGGING_FACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from llmkube.models.credentials import Credentials, S3Access
    from llmkube.models.registry import Registry
    from llmkube.models.source import Source
    from llmkube.models.web import Web


class Place:
    """`landed` is where the last redirect led. `size`, `sha256`, `revision`: what is known without the bytes."""

    def __init__(
        self,
        url: str,
        own: Mapping[str, str] | None = None,
        *,
        size: int | None = None,
        sha256: str = "",
        revision: str = "",
    ) -> None:
        self.url = url
        self.landed = ""
        self.size, self.sha256, self.revision = size, sha256, revision
        self._own = dict(own or {})

    def headers(self, url: str, asked: Mapping[str, str]) -> dict[str, str]:
        """The headers of a request for a URL: what is asked, and who we are where that is for this URL."""
        return {**asked, **self._own} if same_origin(url, self.url) else dict(asked)

    def forget(self) -> bool:
        """Begin at the source's own address again; whether we were elsewhere."""
        was, self.landed = self.landed, ""
        return bool(was)

    async def renew(self, response: aiohttp.ClientResponse) -> bool:
        """Whether asking again may be answered otherwise: after a token ran out."""
        return False


class ObjectPlace(Place):
    """An object of S3: every request is signed on its own."""

    def __init__(self, url: str, access: S3Access) -> None:
        super().__init__(url)
        self._access = access

    def headers(self, url: str, asked: Mapping[str, str]) -> dict[str, str]:
        from llmkube.models.s3 import signed

        if not self._access.access_key or not same_origin(url, self.url):
            return dict(asked)
        return signed(url, asked, self._access)


class BlobPlace(Place):
    """A layer of an artifact, at the registry that gave its manifest."""

    def __init__(self, registry: Registry, url: str, *, size: int | None, sha256: str, revision: str) -> None:
        super().__init__(url, size=size, sha256=sha256, revision=revision)
        self._registry = registry

    def headers(self, url: str, asked: Mapping[str, str]) -> dict[str, str]:
        return self._registry.headers(url, asked)

    async def renew(self, response: aiohttp.ClientResponse) -> bool:
        return response.status == 401 and await self._registry.renew(response)


@dataclass
class Places:
    """The places of one model's files. What a tag or a branch is, it is for all of them: no mixture of two pushes."""

    web: Web
    credentials: Credentials
    hugging_face: str = HUGGING_FACE
    commits: dict[tuple[str, str], str] = field(default_factory=dict)
    _registries: dict[tuple[str, str], Registry] = field(default_factory=dict)

    async def of(self, source: Source) -> Place:
        """The place of a remote source; a registry is asked for the manifest. SourceError when there is none."""
        match source.kind:
            case "s3":
                from llmkube.models.s3 import checked, object_url

                return ObjectPlace(object_url(source, self.credentials.s3), checked(source, self.credentials.s3))
            case "oci":
                return await self._blob(source)
            case "hf":
                pinned = replace(source, revision=self.commits.get((source.host, source.revision), source.revision))
                return Place(pinned.url(self.hugging_face), self.credentials.headers(is_hugging_face=True))
        return Place(source.url(), self.credentials.headers())

    async def _blob(self, source: Source) -> Place:
        from llmkube.models.registry import Registry

        key = (source.host, source.revision)
        if key not in self._registries:
            self._registries[key] = Registry(source, self.web, self.credentials)
        registry = self._registries[key]
        layer, revision = await registry.layer(source)
        return BlobPlace(registry, registry.blob_url(layer), size=layer.size, sha256=layer.sha256, revision=revision)
