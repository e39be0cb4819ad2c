"""The TCP proxy of Services: `clusterIP:port`, and a node port on loopback, to a ready endpoint, round robin.

A port is open only while an endpoint is ready: otherwise a connection is refused by the kernel, as with kube-proxy.
Open connections live on when endpoints change. Bytes are moved, never looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
from typing import TYPE_CHECKING, NamedTuple

from llmkube.local.controllers.services import RESOURCE, SERVICE_LABEL, SLICES, tcp_ports
from llmkube.local.objects import Change, Key, Object, is_deleting, key_of, labels_of, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmkube.local.controllers.cluster import Cluster

NODE_ADDRESS = "127.0.0.1"
"""Where node ports are: this machine alone. What others may reach is not for a manifest to say."""
CHUNK = 64 * 1024
CONNECT_TIMEOUT = 5.0
PORT_RETRY = 5.0


class Endpoint(NamedTuple):
    address: str
    port: int


class Proxy:
    """One listener for each TCP port of each Service that has a cluster address and a ready endpoint."""

    name = "service-proxy"
    watched = (RESOURCE, SLICES)

    def __init__(self, cluster: Cluster, group: asyncio.TaskGroup) -> None:
        self._cluster = cluster
        self._group = group
        self._listeners: dict[Key, dict[Endpoint, Listener]] = {}

    def keys(self, change: Change) -> Iterable[Key]:
        if change.resource == RESOURCE:
            return [key_of(change.object)]
        service = labels_of(change.object).get(SERVICE_LABEL)
        return [Key(key_of(change.object).namespace, service)] if service else []

    async def reconcile(self, key: Key) -> float | None:
        service = self._cluster.get(RESOURCE, key)
        wanted = self._wanted(service, key)
        listeners = self._listeners.setdefault(key, {})
        for front in listeners.keys() - wanted.keys():
            listeners.pop(front).close()
        taken = [front for front, backends in wanted.items() if not await self._serve(service, front, backends)]
        if not listeners and not taken:
            del self._listeners[key]
        return PORT_RETRY if taken else None

    def close(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners.values():
                listener.close()

    def _wanted(self, service: Object | None, key: Key) -> dict[Endpoint, list[Endpoint]]:
        """Where to listen and what is behind it."""
        if service is None or is_deleting(service):
            return {}
        address = spec_of(service).get("clusterIP") or "None"
        if address == "None":
            return {}
        slices = self._cluster.registry.list(SLICES, key.namespace, label_selector=f"{SERVICE_LABEL}={key.name}")
        fronts = {
            front: ready(slices, port.get("name", ""))
            for port in tcp_ports(service)
            for front in (Endpoint(address, port["port"]), Endpoint(NODE_ADDRESS, port.get("nodePort") or 0))
            if front.port
        }
        return {front: backends for front, backends in fronts.items() if backends}

    async def _serve(self, service: Object | None, front: Endpoint, backends: list[Endpoint]) -> bool:
        """Whether the port is open, now that it was tried."""
        assert service is not None  # noqa: S101 - a Service that is gone wants no listener
        listeners = self._listeners[key_of(service)]
        if front in listeners:
            listeners[front].use(backends)
            return True
        listener = Listener(self._group, backends)
        try:
            await listener.open(front)
        except OSError as error:
            self._cluster.recorder.warning(service, "FailedToListen", explain(front, error))
            return False
        listeners[front] = listener
        return True


def ready(slices: Iterable[Object], port_name: str) -> list[Endpoint]:
    """The ready endpoints of a Service's port."""
    found = []
    for one in slices:
        numbers = [port["port"] for port in one.get("ports") or () if port.get("name", "") == port_name]
        for endpoint in one.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready"):
                found += [Endpoint(address, number) for address in endpoint["addresses"] for number in numbers]
    return sorted(found)


def explain(front: Endpoint, error: OSError) -> str:
    where = f"cannot listen on {front.address}:{front.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: another program has this port; end it or choose another port in the Service. Trying again"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{where}: ports below 1024 need privileges; choose a higher port in the Service"
    return f"{where}: {error.strerror or error}; trying again"


class Listener:
    """One open port and what is behind it."""

    def __init__(self, group: asyncio.TaskGroup, backends: list[Endpoint]) -> None:
        self._group = group
        self._server: asyncio.Server | None = None
        self._backends: Iterator[Endpoint] = itertools.cycle(backends)
        self._count = len(backends)
        self._using = backends

    async def open(self, front: Endpoint) -> None:
        """Raises OSError when the port cannot be had."""
        self._server = await asyncio.start_server(self._accept, front.address, front.port)

    def use(self, backends: list[Endpoint]) -> None:
        if backends != self._using:
            self._backends, self._count, self._using = itertools.cycle(backends), len(backends), backends

    def close(self) -> None:
        """Accepts nothing more; open connections live on."""
        if self._server is not None:
            self._server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._group.create_task(self._connection(reader, writer))

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            try:
                upstream = await self._connect()
                if upstream is None:
                    writer.transport.abort()
                    return
                try:
                    await _join((reader, writer), upstream)
                finally:
                    upstream[1].close()
            finally:
                writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The next endpoint that answers; each is tried once."""
        for _ in range(self._count):
            backend = next(self._backends)
            with contextlib.suppress(OSError):
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    return await asyncio.open_connection(backend.address, backend.port)
        return None


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(one: Stream, other: Stream) -> None:
    """Both directions until both have ended; each end is passed on by itself (half-close). An error ends both."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(one[0], other[1]))
            group.create_task(_pump(other[0], one[1]))
    except* OSError:
        for _, writer in (one, other):
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
