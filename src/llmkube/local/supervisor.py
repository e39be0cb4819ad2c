"""Local mode's one process: API server, controllers and node together, for as long as it is wanted.

    SIGTERM            ends the control plane and leaves every pod running; the next start adopts them
    SIGINT, SIGUSR2    stops every pod gracefully first (Ctrl-C, `llmkube local down`)

kill -9 loses nothing: objects are in the database, processes in their pods' directories.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from llmkube.local.access import Access, listen, token
from llmkube.local.apiserver.kubeconfig import write_kubeconfig
from llmkube.local.apiserver.registry import Registry
from llmkube.local.apiserver.tls import certificates
from llmkube.local.controllers import run_controllers
from llmkube.local.node.node import Node
from llmkube.local.process import Process, only_one

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
    from typing import Any

    from llmkube.local.home import Home
    from llmkube.local.objects import Object

LEAVE = signal.SIGTERM
STOP_PODS = signal.SIGUSR2
MANAGER = "llmkube-local"
log = logging.getLogger(__name__)


class Ending:
    """How the supervisor was asked to end: with the pods, or without them. Leaving is quicker and wins."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.leaving = asyncio.Event()

    def stop_pods(self) -> None:
        self.asked.set()

    def leave(self) -> None:
        self.leaving.set()
        self.asked.set()

    @contextmanager
    def on_signals(self) -> Iterator[Ending]:
        """Listen to signals for the length of the block."""
        loop = asyncio.get_running_loop()
        handlers = {LEAVE: self.leave, signal.SIGINT: self.stop_pods, STOP_PODS: self.stop_pods}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield self
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)


async def run(
    home: Home,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    bootstrap: Callable[[], Iterable[Object]],
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Run until a signal. `port` None takes the one of the last time, else a free one.

    `bootstrap` makes the objects that must be there, once the kubeconfig is; `on_ready` gets the API server's URL.
    Raises AlreadyRunningError, PortTakenError or OSError when it cannot start.
    """
    home.make()
    with only_one(home.supervisor_lock), Ending().on_signals() as ending, told(home):
        registry = Registry(home.database)
        try:
            node = Node(registry, home.local)
            async with serving(registry, home, node, host=host, port=port) as url:
                ensure(registry, bootstrap())
                on_ready(url)
                await work(registry, home, node, ending)
        finally:
            registry.close()


@contextmanager
def told(home: Home) -> Iterator[None]:
    """Say in the pid file who runs, for the length of the block."""
    Process.current().write(home.supervisor_pid)
    try:
        yield
    finally:
        home.supervisor_pid.unlink(missing_ok=True)


@asynccontextmanager
async def serving(registry: Registry, home: Home, node: Node, *, host: str, port: int | None) -> AsyncIterator[str]:
    """Serve the API for the length of the block, with a kubeconfig that opens it; yields its URL."""
    trust = certificates(home.pki)
    access = Access(host, token(home.token), trust.context, node.log_reader)
    server = await listen(registry, access, remembered=home.port, asked=port)
    try:
        write_kubeconfig(home.kubeconfig, server=server.url, ca_pem=trust.ca_pem, token=access.token)
        log.info("API server listens on %s", server.url)
        yield server.url
    finally:
        await server.stop()


def ensure(registry: Registry, objects: Iterable[Object]) -> None:
    """Apply objects as one manager; those that are already so are not written."""
    for obj in objects:
        resource = registry.catalog.of_kind(obj["apiVersion"], obj["kind"])
        if resource is None:
            raise LookupError(f"{obj['kind']} {obj['metadata']['name']}: the API server has no {obj['apiVersion']}")
        meta = obj["metadata"]
        registry.patch(
            resource.name, meta.get("namespace"), meta["name"], obj, patch_type="apply", manager=MANAGER, force=True
        )


async def work(registry: Registry, home: Home, node: Node, ending: Ending) -> None:
    """Run controllers and node until the ending that was asked for has come about."""
    async with asyncio.TaskGroup() as group:
        jobs: list[Coroutine[Any, Any, None]] = [run_controllers(registry, volumes=home.volumes), node.run()]
        tasks = [group.create_task(job) for job in jobs]
        await ending.asked.wait()
        if not ending.leaving.is_set():
            log.info("stopping the pods; SIGTERM leaves them running")
            await stop_pods(node, ending)
        for task in tasks:
            task.cancel()
    log.info("stopped")


async def stop_pods(node: Node, ending: Ending) -> None:
    """Stop every pod gracefully, unless it is decided meanwhile to leave them."""
    async with asyncio.TaskGroup() as group:
        tasks = {group.create_task(node.stop_pods()), group.create_task(wait_for(ending.leaving))}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


async def wait_for(event: asyncio.Event) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await event.wait()
