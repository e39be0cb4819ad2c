"""What the operator tells about itself over HTTP: /healthz, /livez, /readyz, /metrics, /debug/queues,
/debug/stores.

livez asks whether this process should be restarted and readyz whether its caches hold the cluster; neither may depend
on the API server answering right now, or an outage there would restart every operator. No secret is ever shown here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from llmkube.runtime.metrics import Metrics

Handler = Callable[[web.Request], Awaitable[web.Response]]
Check = Callable[[], str]
"""Says what is wrong; an empty string when nothing is."""

SHUTDOWN_TIMEOUT = 2.0


class PortTakenError(Exception):
    """The health server cannot listen; the message is one line."""


def application(*, live: Mapping[str, Check], ready: Mapping[str, Check], metrics: Metrics) -> web.Application:
    """The routes."""
    app = web.Application()
    app.router.add_get("/healthz", _answer(live))
    app.router.add_get("/livez", _answer(live))
    app.router.add_get("/readyz", _answer(ready))
    app.router.add_get("/metrics", _expose(metrics))
    app.router.add_get("/debug/queues", _tell(metrics.queues.statistics))
    app.router.add_get("/debug/stores", _tell(metrics.stores.statistics))
    return app


@asynccontextmanager
async def serving(app: web.Application, *, host: str | None, port: int) -> AsyncIterator[int]:
    """Listens for the length of the block on `port` (0: a free one) of `host` (None: everywhere); yields the port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str | None, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        where = f"{host or 'every address'}, port {port}"
        raise PortTakenError(
            f"health server: cannot listen on {where}: {error.strerror or error}; choose another with --health-port, "
            "or turn it off with --health-port -1"
        ) from error


def _answer(checks: Mapping[str, Check]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        found = {name: check() for name, check in checks.items()}
        lines = [f"[{'-' if wrong else '+'}]{name} {wrong or 'ok'}\n" for name, wrong in found.items()]
        return web.Response(text="".join(lines) or "ok\n", status=503 if any(found.values()) else 200)

    return answer


def _expose(metrics: Metrics) -> Handler:
    async def expose(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(metrics.registry), headers={"Content-Type": content_type})

    return expose


def _tell(statistics: Callable[[], Mapping[str, Any]]) -> Handler:
    async def tell(_: web.Request) -> web.Response:
        return web.json_response({name: now._asdict() for name, now in statistics().items()})

    return tell
