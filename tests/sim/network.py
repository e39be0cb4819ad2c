"""What is between a process and the API server: latency, loss before and after the server acted, overload, partitions.

The client under test keeps its own retries: only the single request of kube/transport.py is replaced.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.sim.loop import Process
from tests.sim.server import Server, target_of
from tests.sim.state import refused

from llmkube.kube.errors import ApiError, TransportError
from llmkube.kube.transport import Transport

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass
class Weather:
    """How likely each fault is, for one request or one line of a stream; latencies in seconds."""

    latency: float = 0.02
    slow: float = 0.0
    lost_request: float = 0.0
    lost_answer: float = 0.0
    overloaded: float = 0.0
    broken: float = 0.0
    cut_stream: float = 0.0
    garbage: float = 0.0


CALM = Weather()


@dataclass
class Network:
    """Shared by all processes. `writes` are those that the server did, in order: who asked, what, and of what."""

    server: Server
    chance: random.Random
    weather: Weather = field(default_factory=Weather)
    cut: set[str] = field(default_factory=set)
    writes: list[tuple[str, str, str]] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)

    def happens(self, probability: float) -> bool:
        return probability > 0 and self.chance.random() < probability

    def latency(self) -> float:
        factor = 200 if self.happens(self.weather.slow) else 1
        return self.chance.uniform(0.1, 1.0) * self.weather.latency * factor


class SimulatedTransport(Transport):
    """One process's way to the server. `on_write` is called when a write leaves the process."""

    def __init__(self, network: Network, process: Process) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # the configuration is for real connections
        self._network = network
        self._process = process
        self.writing: list[Any] = []

    async def _once(self, asked: Any, *, refresh: bool) -> bytes:
        try:
            async with asyncio.timeout(asked.timeout), self._slots:
                return await self._ask(asked)
        except TimeoutError as error:
            raise TransportError("timed out") from error

    async def _ask(self, asked: Any) -> bytes:
        network = self._network
        self._left(asked)
        await self._travel()
        if network.happens(network.weather.lost_request):
            raise TransportError("connection reset before the server read the request")
        self._refuse()
        answer = self._do(asked)
        await self._travel()
        if network.happens(network.weather.lost_answer):
            raise TransportError("connection reset before the answer came")
        if isinstance(answer, ApiError):
            raise answer
        return answer

    def _left(self, asked: Any) -> None:
        if asked.method in WRITES:
            for watching in self.writing:
                watching(asked)

    def _do(self, asked: Any) -> bytes | ApiError:
        network = self._network
        network.requests[asked.method] += 1
        version = network.server.state.version
        try:
            answer = network.server.answer(asked.method, asked.path, asked.params or {}, asked.body, asked.content_type)
        except ApiError as error:
            return error
        if asked.method in WRITES and target_of(asked.path).resource != "leases":
            changed = "" if network.server.state.version > version else " (nothing changed)"
            network.writes.append((self._process.name, asked.method, asked.path + changed))
        return answer

    def _refuse(self) -> None:
        network = self._network
        if network.happens(network.weather.overloaded):
            error = refused(429, "TooManyRequests", "the server is overloaded")
            error.retry_after = float(network.chance.choice((0, 1, 5)))
            raise error
        if network.happens(network.weather.broken):
            raise refused(network.chance.choice((500, 502, 504)), "InternalError", "etcdserver: leader changed")

    async def _travel(self) -> None:
        """What is sent while the line is cut is sent again and arrives late, if the sender still waits for it then."""
        await asyncio.sleep(self._network.latency())
        while self._process.dead or self._process.name in self._network.cut:
            await asyncio.sleep(1)

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
        """Connecting has its time (10 s), and so has silence."""
        try:
            async with asyncio.timeout(10):
                await self._travel()
        except TimeoutError as error:
            raise TransportError("could not connect") from error
        self._refuse()
        self._network.requests["WATCH"] += 1
        source = self._network.server.watch(path, params or {})
        try:
            yield self._lines(source, idle_timeout)
        finally:
            await source.aclose()  # type: ignore[attr-defined]

    async def _lines(self, source: AsyncIterator[bytes], idle_timeout: float) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(idle_timeout):
                    told = await anext(source)
                    await self._travel()
            except TimeoutError as error:
                raise TransportError("the stream fell silent") from error
            except StopAsyncIteration:
                return
            network = self._network
            if network.happens(network.weather.cut_stream):
                raise TransportError("connection reset while streaming")
            yield told[: len(told) // 2] if network.happens(network.weather.garbage) else told
