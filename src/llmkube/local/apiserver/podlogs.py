"""pods/log: what is asked for (core/v1 PodLogOptions), checked, and the bytes that a node has of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aiohttp import web

from llmkube.local.apiserver import errors, listoptions
from llmkube.local.apiserver.errors import Cause
from llmkube.local.objects import Key, bad_request, container_of, parse_time, spec_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from llmkube.local.apiserver.registry import Registry
    from llmkube.local.apiserver.requests import Target

LEAST = {"tailLines": 0, "sinceSeconds": 1, "limitBytes": 1}


class LogReader(Protocol):
    """Reads what containers wrote; the node has it."""

    async def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        previous: bool = False,
        since_seconds: int | None = None,
        timestamps: bool = False,
    ) -> AsyncIterator[bytes]: ...


class Asked(NamedTuple):
    numbers: Mapping[str, int | None]
    follow: bool
    previous: bool
    timestamps: bool


async def logs(registry: Registry, reader: LogReader, request: web.Request, target: Target) -> web.StreamResponse:
    """The bytes; no content where no node has the pod yet."""
    asked = options(request.query, target.name)
    pod = registry.writer.stored(target.main())
    container = container_of(pod, request.query.get("container", ""))
    if not (node := spec_of(pod).get("nodeName")):
        return web.Response(status=204)
    if registry.storage.get("nodes", Key("", node)) is None:
        raise errors.not_found("pods", "", node)  # sic: Kubernetes names the node a pod
    chunks = await reader.logs(
        target.namespace or "",
        target.name,
        container,
        follow=asked.follow,
        tail=asked.numbers["tailLines"],
        previous=asked.previous,
        since_seconds=asked.numbers["sinceSeconds"],
        timestamps=asked.timestamps,
    )
    return await _sent(request, chunks, asked.numbers["limitBytes"])


async def _sent(request: web.Request, chunks: AsyncIterator[bytes], left: int | None) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    async for chunk in chunks:
        await response.write(chunk if left is None else chunk[:left])
        left = None if left is None else left - len(chunk)
        if left is not None and left <= 0:
            break
    await response.write_eof()
    return response


def options(query: Mapping[str, str], pod: str) -> Asked:
    """StatusError 400 for what is no number or no time, 422 for what is none of the options."""
    numbers: dict[str, int | None] = {name: _whole(query, name) for name in LEAST}
    moment = _moment(query)
    causes = [*_small(numbers), *_forbidden(query)]
    if causes:
        raise errors.invalid("PodLogOptions", "", pod, causes)
    if moment is not None:
        numbers["sinceSeconds"] = max(1, int((datetime.now(UTC) - moment).total_seconds()))
    flags = (listoptions.flag(query, name) for name in ("follow", "previous", "timestamps"))
    return Asked(numbers, *flags)


def _whole(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if text and not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise bad_request(f"strconv.ParseInt: parsing {errors.quoted(text)}: invalid syntax")
    return int(text) if text else None


def _moment(query: Mapping[str, str]) -> datetime | None:
    if not (text := query.get("sinceTime", "")):
        return None
    try:
        return parse_time(text).astimezone(UTC)
    except ValueError:
        form = f'parsing time {errors.quoted(text)} as "2006-01-02T15:04:05Z07:00"'
        raise bad_request(f"{form}: expected a time of RFC 3339") from None


def _small(numbers: Mapping[str, int | None]) -> Iterator[Cause]:
    for name, least in LEAST.items():
        found = numbers[name]
        if found is not None and found < least:
            bound = "must be greater than 0" if least else "must be greater than or equal to 0"
            yield Cause("FieldValueInvalid", name, f"Invalid value: {found}: {bound}")


def _forbidden(query: Mapping[str, str]) -> Iterator[Cause]:
    if query.get("sinceTime") and query.get("sinceSeconds"):
        why = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        yield Cause("FieldValueForbidden", "[]", f"Forbidden: {why}")
    if query.get("stream"):
        yield Cause("FieldValueForbidden", "stream", "Forbidden: may not be specified")
