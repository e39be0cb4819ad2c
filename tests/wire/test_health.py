"""What the health server answers, and what it does not depend on."""

from __future__ import annotations

import aiohttp
from tests.unit.runtime.test_manager import Bench


async def asked(bench: Bench, path: str) -> tuple[int, str]:
    while bench.manager.port is None:
        await bench.settle()
    where = f"http://127.0.0.1:{bench.manager.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(where) as response:
        return response.status, await response.text()


def listening() -> Bench:
    return Bench(health_host="127.0.0.1", health_port=0)


async def test_while_the_caches_are_not_synced_it_lives_and_is_not_ready_and_says_why() -> None:
    bench = listening()
    bench.informer.last_error = "models is forbidden"
    assert await asked(bench, "/livez") == (200, "[+]lease ok\n")
    assert await asked(bench, "/readyz") == (503, "[-]models not synced: models is forbidden\n")
    status, text = await asked(bench, "/metrics")
    assert (status, 'workqueue_depth{controller="model",name="model"} 0.0' in text) == (200, True)
    await bench.end()


async def test_a_standby_is_ready() -> None:
    bench = listening()
    bench.informer.synced.set()
    await bench.settle()
    assert await asked(bench, "/readyz") == (200, "[+]models ok\n")
    await bench.end()


async def test_an_api_server_that_is_away_ends_neither_life_nor_readiness() -> None:
    bench = listening()
    await bench.lead()
    bench.informer.last_error = "connection refused"
    for path in ("/livez", "/healthz", "/readyz"):
        assert (await asked(bench, path))[0] == 200
    await bench.end()


async def test_a_leader_whose_lease_is_out_of_date_does_not_live() -> None:
    bench = listening()
    bench.elector.trouble = "not renewed"
    await bench.lead()
    for path in ("/livez", "/healthz"):
        assert await asked(bench, path) == (503, "[-]lease not renewed\n")
    assert (await asked(bench, "/readyz"))[0] == 200
    await bench.end()
