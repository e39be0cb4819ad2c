"""A whole collection, page by page, with the version that a watch may follow from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from msgspec import Struct

from llmkube.kube.errors import Gone
from llmkube.kube.received import decoder_of, received, unexpected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.kube.transport import Transport

T = TypeVar("T")

PAGE = 500


class _ListMeta(Struct, frozen=True, rename={"resource_version": "resourceVersion", "more": "continue"}):
    resource_version: str = ""
    more: str | None = None


class _Page(Struct, Generic[T], frozen=True):
    metadata: _ListMeta
    items: list[T] | None = None


async def list_pages(transport: Transport, path: str, params: Mapping[str, str], of: type[T]) -> tuple[list[T], str]:
    """Return the objects and the first page's version; later pages are as old as the first (KEP-365).

    A continue token that expired (410) makes one request for everything instead. What has no version is no list: it
    would be taken for an empty one, and everything for deleted.
    """
    first = await _page(transport, path, {**params, "limit": str(PAGE)}, of)
    found, more = list(first.items or ()), first.metadata.more
    while more:
        try:
            page = await _page(transport, path, {**params, "limit": str(PAGE), "continue": more}, of)
        except Gone:
            whole = await _page(transport, path, params, of)
            return list(whole.items or ()), whole.metadata.resource_version
        found += page.items or ()
        more = page.metadata.more
        await asyncio.sleep(0)
    return found, first.metadata.resource_version


async def _page(transport: Transport, path: str, params: Mapping[str, str], of: type[T]) -> _Page[T]:
    content = await transport.request("GET", path, params=params, timeout=60.0)
    page = cast("_Page[T]", received(content, decoder_of(_Page[of]), f"a list of {path}"))  # type: ignore[valid-type]
    if not page.metadata.resource_version:
        raise unexpected(f"a list of {path} with its version", content)
    return page
