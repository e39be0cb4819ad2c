"""What an answer to a request says: whether it is a success, and the lines of one that does not end.

expect_success(response, content: bytes) -> bytes      or ApiError, TransportError
lines(response, lost) -> AsyncIterator[bytes]          `lost` makes an aiohttp error the error of the request
refusal(response, lost) -> bytes                       what else than a success a stream began with
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from llmkube.kube.errors import ApiError, TransportError, from_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MAX_LINE = 64 * 1024 * 1024
REFUSAL_BYTES = 1 << 20
REFUSAL_TIMEOUT = 30.0
NETWORK = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""What aiohttp raises; a ValueError at an address or a header that cannot be sent."""


def expect_success(response: aiohttp.ClientResponse, content: bytes) -> bytes:
    """Return the content of a success. An API server does not redirect: somebody stands before it."""
    if 300 <= response.status < 400:
        where = response.headers.get("Location", "nowhere")[:200]
        raise TransportError(
            f"{response.url.origin()} answered {response.method} {response.url.path} with a redirect to {where!r}; "
            "give the address of the API server itself"
        )
    if response.status >= 400:
        raise _error(response, content)
    return content


def _error(response: aiohttp.ClientResponse, content: bytes) -> ApiError:
    error = from_response(response.status, content)
    after = response.headers.get("Retry-After", "")
    error.retry_after = float(after) if after.isdecimal() else None
    return error


async def refusal(response: aiohttp.ClientResponse, lost: Callable[[BaseException], TransportError]) -> bytes:
    """Return the body of an answer that was to be a stream and is an error; it is short, and comes at once."""
    said = bytearray()
    try:
        async with asyncio.timeout(REFUSAL_TIMEOUT):
            while len(said) < REFUSAL_BYTES and (chunk := await _chunk(response, lost)):
                said += chunk
    except TimeoutError as error:
        raise lost(error) from error
    return bytes(said)


async def lines(
    response: aiohttp.ClientResponse, lost: Callable[[BaseException], TransportError]
) -> AsyncIterator[bytes]:
    """Split what comes into lines; a line may be as large as the largest object.

    Only what goes wrong with reading is the server's: whoever takes the lines has errors of his own.
    """
    pending, searched = bytearray(), 0
    while chunk := await _chunk(response, lost):
        pending += chunk
        while (end := pending.find(b"\n", searched)) >= 0:
            yield bytes(pending[:end])
            del pending[: end + 1]
            searched = 0
        searched = len(pending)
        if len(pending) > MAX_LINE:
            raise TransportError(f"a line of more than {MAX_LINE} bytes came: this is not a Kubernetes API")
    if pending:
        yield bytes(pending)


async def _chunk(response: aiohttp.ClientResponse, lost: Callable[[BaseException], TransportError]) -> bytes:
    """Return what has come; nothing at the end."""
    try:
        return await response.content.readany()
    except NETWORK as error:
        raise lost(error) from error
