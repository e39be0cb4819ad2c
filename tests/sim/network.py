"""What is between a process and the API server: latency, loss before and after the server acted, overload, partitions.

The client under test keeps its own retries: only the single request of kube/transport.py is replaced.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from tests.sim.loop import Process
from tests.sim.server import Server, target_of
from tests.sim.state import refused

from llmkube.kube.config import ClusterConfig, StaticToken
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

    flights: set[asyncio.Task[bytes]] = field(default_factory=set)

    def fly(self, request: Coroutine[Any, Any, bytes]) -> asyncio.Task[bytes]:
        """Let a request travel; it is nobody's process any more."""
        flight = asyncio.get_running_loop().create_task(request, context=Context())
        self.flights.add(flight)
        flight.add_done_callback(self._landed)
        return flight

    def _landed(self, flight: asyncio.Task[bytes]) -> None:
        self.flights.discard(flight)
        if not flight.cancelled():
            flight.exception()  # whoever sent it may be gone

    async def travel(self, process: Process) -> None:
        """What is sent while the line is cut is sent again, and arrives late."""
        await asyncio.sleep(self.latency())
        while process.name in self.cut:
            await asyncio.sleep(1)

    def deliver(self, process: Process, asked: Any) -> bytes | ApiError:
        """Have the server do it; what it answers may still be lost."""
        self.requests[asked.method] += 1
        version = self.server.state.version
        try:
            answer = self.server.answer(asked.method, asked.path, asked.params or {}, asked.body, asked.content_type)
        except ApiError as error:
            return error
        if asked.method in WRITES and target_of(asked.path).resource not in ("leases", "events"):
            changed = "" if self.server.state.version > version else " (nothing changed)"
            self.writes.append((process.name, asked.method, asked.path + changed))
        return answer

    def refuse(self) -> None:
        """Raise what an API server that is not well answers, now and then."""
        if self.happens(self.weather.overloaded):
            error = refused(429, "TooManyRequests", "the server is overloaded")
            error.retry_after = float(self.chance.choice((0, 1, 5)))
            raise error
        if self.happens(self.weather.broken):
            raise refused(self.chance.choice((500, 502, 504)), "InternalError", "etcdserver: leader changed")

    def happens(self, probability: float) -> bool:
        return probability > 0 and self.chance.random() < probability

    def latency(self) -> float:
        factor = 200 if self.happens(self.weather.slow) else 1
        return self.chance.uniform(0.1, 1.0) * self.weather.latency * factor


class SimulatedTransport(Transport):
    """One process's way to the server. `on_write` is called when a write leaves the process."""

    def __init__(self, network: Network, process: Process, on_write: Callable[[str, str], None]) -> None:
        super().__init__(ClusterConfig("http://sim", "llmkube-system", StaticToken()))
        self._network = network
        self._process = process
        self._on_write = on_write

    async def _send(self, asked: Any, headers: Mapping[str, str], *, timeout: float) -> bytes:
        """What has left is on its way, whatever becomes of who sent it; the dead send nothing."""
        if self._process.dead:
            raise TransportError("killed")
        if asked.method in WRITES:
            self._on_write(asked.method, asked.path)
        flight = self._network.fly(self._ask(asked, asyncio.get_running_loop().time() + timeout))
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(flight)
        except TimeoutError as error:
            raise TransportError("timed out") from error

    async def _ask(self, asked: Any, until: float) -> bytes:
        network = self._network
        await network.travel(self._process)
        if network.happens(network.weather.lost_request) or asyncio.get_running_loop().time() > until:
            raise TransportError("connection reset before the server read the request")
        network.refuse()
        answer = network.deliver(self._process, asked)
        await network.travel(self._process)
        if network.happens(network.weather.lost_answer):
            raise TransportError("connection reset before the answer came")
        if isinstance(answer, ApiError):
            raise answer
        return answer

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
                await self._network.travel(self._process)
        except TimeoutError as error:
            raise TransportError("could not connect") from error
        self._network.refuse()
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
                    await self._network.travel(self._process)
            except TimeoutError as error:
                raise TransportError("the stream fell silent") from error
            except StopAsyncIteration:
                return
            network = self._network
            if network.happens(network.weather.cut_stream):
                raise TransportError("connection reset while streaming")
            yield told[: len(told) // 2] if network.happens(network.weather.garbage) else told
