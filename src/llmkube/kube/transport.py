"""HTTP to the API server: authenticated, bounded in time and number, retried where a retry is safe.

Knows paths and bytes, and turns every failure into one of errors.py; it must never let an aiohttp error out.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import aiohttp

from llmkube import __version__
from llmkube.kube.answers import NETWORK, expect_success, lines, refusal
from llmkube.kube.connection import connection
from llmkube.kube.errors import FencedError, ServerError, TooManyRequests, TransportError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from llmkube.kube.config import ClusterConfig

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ATTEMPTS = 4
LONGEST_PAUSE = 10.0
"""How long a Retry-After is waited for here; a longer one is the caller's to wait for, which takes up no worker."""
CREDENTIALS_TIMEOUT = 30.0
IN_FLIGHT = 64


class RequestObserver(Protocol):
    """Counts requests: runtime/metrics.py implements it."""

    def request(self, *, method: str, code: str, seconds: float) -> None:
        """One request came to an end; the code is `<error>` when there was no answer."""


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    params: Mapping[str, str] | None
    body: bytes | None
    content_type: str
    accept: str
    timeout: float

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Accept": self.accept}
        return headers if self.body is None else headers | {"Content-Type": self.content_type}


@dataclass(frozen=True)
class _Stream:
    method: str
    path: str
    params: Mapping[str, str] | None
    body: bytes | None
    headers: Mapping[str, str]
    idle_timeout: float


class Transport:
    """One session to one API server; `async with` opens and closes it."""

    def __init__(self, config: ClusterConfig, *, observer: RequestObserver | None = None) -> None:
        self.config = config
        self.observer = observer
        self.fence: Callable[[], float] | None = None
        """For how many seconds this process may still write: the rest of its lease. Asked when a write leaves."""
        self.trace: Callable[[str, str], AbstractContextManager[None]] = lambda _method, _path: nullcontext()
        """Wraps each request but a stream."""
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def __aenter__(self) -> Transport:
        connector = aiohttp.TCPConnector(limit=0, socket_factory=connection)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": f"llmkube/{__version__}"},
            auto_decompress=True,
            read_bufsize=1 << 20,
            max_line_size=1 << 15,
            max_field_size=1 << 15,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: float = 30.0,
    ) -> bytes:
        """Return the body of a successful answer; raise ApiError or TransportError.

        A 429 or 503 is asked again after what Retry-After says, a lost connection after a moment: every write here is
        an apply, or carries a resourceVersion, and so can be sent twice.
        """
        asked = _Request(method, path, params, body, content_type, accept, timeout)
        shown, refused = {}, None
        for attempt in range(ATTEMPTS):
            try:
                shown = await self._credentials(refused)
                return await self._once(asked, shown)
            except Unauthorized:
                if refused is not None:
                    raise
                refused = shown
            except (TooManyRequests, ServerError) as error:
                if attempt == ATTEMPTS - 1 or error.status not in {429, 503} or error.retry_after is None:
                    raise
                if error.retry_after > LONGEST_PAUSE:
                    raise
                await asyncio.sleep(error.retry_after)
            except TransportError:
                if attempt == ATTEMPTS - 1 or method == "POST":
                    raise
                await asyncio.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311 - jitter
        raise TransportError(f"{method} {path}: no answer after {ATTEMPTS} attempts")

    async def _once(self, asked: _Request, shown: Mapping[str, str]) -> bytes:
        async with self._slots:
            with self.trace(asked.method, asked.path):
                return await self._send(asked, {**asked.headers, **shown}, timeout=self._allowed(asked))

    def _allowed(self, asked: _Request) -> float:
        """How many seconds the request may take: a write no longer than this process is sure to lead."""
        if self.fence is None or asked.method not in WRITES:
            return asked.timeout
        left = self.fence()
        if left <= 0:
            raise FencedError(f"{asked.method} {asked.path} was not sent: another process may lead by now")
        return min(asked.timeout, left)

    async def _send(self, asked: _Request, headers: Mapping[str, str], *, timeout: float) -> bytes:
        started, code = asyncio.get_running_loop().time(), "<error>"
        try:
            async with self._open().request(
                asked.method,
                self.config.server + asked.path,
                params=asked.params,
                data=asked.body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout, connect=10, ceil_threshold=float("inf")),
                **self._way(),
            ) as response:
                code = str(response.status)
                content = await response.read()
                return expect_success(response, content)
        except NETWORK as error:
            raise self._lost(asked.method, asked.path, error) from error
        finally:
            self._count(asked.method, code, asyncio.get_running_loop().time() - started)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        idle_timeout: float,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the lines of an answer as they come; silence of `idle_timeout` seconds is a TransportError."""
        accepted = {"Accept": JSON, **(headers or {}), **({} if body is None else {"Content-Type": JSON})}
        asked = _Stream(method, path, params, body, accepted, idle_timeout)
        response = await self._answer(asked)
        try:
            yield lines(response, lambda error: self._lost(method, path, error))
        finally:
            response.close()

    async def _answer(self, asked: _Stream) -> aiohttp.ClientResponse:
        """Return an answer that is a success, its body unread; a 401 is asked again with new credentials."""
        shown = await self._credentials(None)
        response = await self._begin(asked, shown)
        if response.status == 401:
            response.close()
            response = await self._begin(asked, await self._credentials(shown))
        if response.status >= 300:
            async with response:
                expect_success(
                    response, await refusal(response, lambda error: self._lost(asked.method, asked.path, error))
                )
        return response

    async def _begin(self, asked: _Stream, shown: Mapping[str, str]) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=asked.idle_timeout)
        url, code, started = self.config.server + asked.path, "<error>", asyncio.get_running_loop().time()
        headers = {**asked.headers, **shown}
        try:
            response = await self._open().request(
                asked.method, url, params=asked.params, data=asked.body, headers=headers, timeout=timeout, **self._way()
            )
            code = str(response.status)
        except NETWORK as error:
            raise self._lost(asked.method, asked.path, error) from error
        finally:
            self._count(asked.method, code, asyncio.get_running_loop().time() - started)
        return response

    async def _credentials(self, refused: Mapping[str, str] | None) -> dict[str, str]:
        """A plugin that hangs must not hold up a watch for ever, nor a reconcile beyond its time."""
        try:
            async with asyncio.timeout(CREDENTIALS_TIMEOUT):
                return await self.config.credentials.headers(refused=refused)
        except TimeoutError as error:
            raise TransportError(f"{self.config.origin}: no credentials within {CREDENTIALS_TIMEOUT:.0f} s") from error

    def _way(self) -> dict[str, Any]:
        """How a request gets there. An API server does not redirect, and our credentials are for nobody else."""
        return {
            "ssl": self.config.tls.context() if self.config.tls is not None else True,
            "proxy": self.config.proxy or None,
            "server_hostname": self.config.server_hostname or None,
            "allow_redirects": False,
        }

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise TransportError("the transport is not open: use it in `async with`")
        return self._session

    def _lost(self, method: str, path: str, error: BaseException) -> TransportError:
        what = str(error) or type(error).__name__
        if isinstance(error, aiohttp.ClientHttpProxyError):  # which tells the proxy's URL, and may tell a password
            what = f"its proxy {urlsplit(self.config.proxy).hostname} answered {error.status} {error.message}"
        return TransportError(f"{self.config.server} did not answer {method} {path}: {what}")

    def _count(self, method: str, code: str, seconds: float) -> None:
        if self.observer is not None:
            self.observer.request(method=method, code=code, seconds=seconds)
