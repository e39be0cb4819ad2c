"""A whole collection, page by page, with the version that a watch may follow from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from msgspec import Struct

from llmkube.kube import objects
from llmkube.kube.errors import Gone
from llmkube.kube.received import decoder_of, received

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.kube.kinds import Kind
    from llmkube.kube.transport import Transport

T = TypeVar("T", bound=objects.Object)

PAGE = 500


class _ListMeta(Struct, frozen=True, rename={"resource_version": "resourceVersion", "more": "continue"}):
    resource_version: str = ""
    more: str | None = None


class _Page(Struct, Generic[T], frozen=True):
    metadata: _ListMeta
    items: list[T] | None = None


async def list_pages(transport: Transport, kind: Kind[T], path: str, params: Mapping[str, str]) -> tuple[list[T], str]:
    """Return the objects and the first page's version; later pages are as old as the first (KEP-365).

    A continue token that expired (410) makes one request for everything instead.
    """
    first = await _page(transport, kind, path, {**params, "limit": str(PAGE)})
    found, more = list(first.items or ()), first.metadata.more
    while more:
        try:
            page = await _page(transport, kind, path, {**params, "limit": str(PAGE), "continue": more})
        except Gone:
            whole = await _page(transport, kind, path, params)
            return list(whole.items or ()), whole.metadata.resource_version
        found += page.items or ()
        more = page.metadata.more
        await asyncio.sleep(0)
    return found, first.metadata.resource_version


async def _page(transport: Transport, kind: Kind[T], path: str, params: Mapping[str, str]) -> _Page[T]:
    content = await transport.request("GET", path, params=params, timeout=60.0)
    of = decoder_of(_Page[kind.type])  # type: ignore[name-defined]
    return cast("_Page[T]", received(content, of, f"a list of {kind.plural}"))
