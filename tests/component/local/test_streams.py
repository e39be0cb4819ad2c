"""What clients see while pods are replaced, taken away and deleted under them, and when an engine is killed.

hack/drain runs it with 500 streams: LLMKUBE_TEST_STREAMS says how many. What became of them is printed in one table.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import aiohttp
import pytest
from tests.component.local.local_mode import LocalMode, answer, model, service, until
from tests.component.local.rolling import DISTURBANCES, OPTIONS, REPLICAS, Rendered, Unhooked, names, until_gone
from tests.component.local.streams import CONCURRENCY, Load
from tests.component.local.test_crashes import engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.component.local.file_servers import ModelServer
    from tests.component.local.rolling import Rolled

STREAMS = int(os.environ.get("LLMKUBE_TEST_STREAMS", "60"))
pytestmark = [pytest.mark.engine, pytest.mark.timeout(240 + 10 * STREAMS)]
STORY = {"messages": [{"role": "user", "content": "Tell a story."}], "stream": True}


@pytest.fixture(scope="module")
def local(real_local: LocalMode) -> LocalMode:
    return real_local


@pytest.fixture(scope="module")
def rendered(local: LocalMode, models: ModelServer) -> Rendered:
    local.apply(
        model("streams", models.url("smollm2.gguf")), service("streams", "streams", replicas=REPLICAS, **OPTIONS)
    )
    local.until_ready("streams", replicas=REPLICAS)
    return Rendered(local, "streams")


@pytest.fixture
def whole(rendered: Rendered) -> Rendered:
    """With all of its pods, whatever the test before did."""
    rendered.scale(REPLICAS)
    rendered.until_ready(REPLICAS)
    until_gone(rendered)
    return rendered


@pytest.fixture
def unhooked(whole: Rendered) -> Iterator[Unhooked]:
    """The same pods without their hook."""
    made = Unhooked(whole.local, whole.name)
    made.make()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, Load]]:
    """What became of the requests of each load, told at the end beside each other."""
    loads: dict[str, Load] = {}
    yield loads
    print(f"\n{'':44}{'requests':>9}{'whole':>7}{'lost':>6}{'cut off':>9}{'retried':>9}")
    for name, load in loads.items():
        ended = load.ended
        print(f"{name:44}{load.total:9}{ended['whole']:7}{ended['lost']:6}{ended['truncated']:9}{load.retried:9}")


async def disturb(pods: Rolled, load: Load, *, every: int) -> list[int]:
    """Do to the pods what may be done to them, `every` so many answers; return how many requests ran each time."""
    running = asyncio.create_task(load.run())
    under_load = []
    for number, disturbance in enumerate(DISTURBANCES, start=1):
        while load.total < number * every:
            assert not running.done()
            await asyncio.sleep(0.05)
        under_load.append(load.in_flight)
        await asyncio.to_thread(disturbance, pods)
        if load.pooled:
            await asyncio.to_thread(until_gone, pods)
    load.stopping.set()
    await running
    return under_load


def told(load: Load, under_load: list[int]) -> str:
    ran = f"{load.total} requests: {dict(load.ended)}, {load.retried} retried; connections {dict(load.connections)}"
    return f"{ran}; in flight when disturbed: {under_load}; {load.errors[:5]}"


async def test_no_stream_is_lost_or_cut_off_by_a_roll_out_a_deleted_pod_and_a_scale_down(
    whole: Rendered, table: dict[str, Load]
) -> None:
    load = table["streams, pods as they are rendered"] = Load(whole.base, enough=STREAMS)
    under_load = await disturb(whole, load, every=STREAMS // 5)
    assert (load.ended["lost"], load.ended["truncated"]) == (0, 0), told(load, under_load)
    assert load.ended["whole"] == load.total >= STREAMS, told(load, under_load)
    assert min(under_load) > 0, told(load, under_load)
    until_gone(whole)


async def test_without_the_hook_the_same_load_loses_streams(unhooked: Unhooked, table: dict[str, Load]) -> None:
    """The control: what the test before finds is the hook's doing."""
    load = table["streams, the same pods without the hook"] = Load(unhooked.base, enough=STREAMS)
    under_load = await disturb(unhooked, load, every=STREAMS // 5)
    assert load.ended["lost"] + load.ended["truncated"] > 0, told(load, under_load)


async def test_no_request_over_kept_connections_is_lost_or_cut_off_and_every_pod_ends_before_its_grace_does(
    whole: Rendered, table: dict[str, Load]
) -> None:
    """Clients go on asking over the connections that they keep until each pod that was told to end has ended."""
    load = table["over kept connections, pods as rendered"] = Load(whole.base, tokens=2, pooled=True, enough=STREAMS)
    under_load = await disturb(whole, load, every=STREAMS // 5)
    assert (load.ended["lost"], load.ended["truncated"]) == (0, 0), told(load, under_load)
    assert load.ended["whole"] == load.total >= STREAMS, told(load, under_load)
    assert load.connections["reused"] > load.connections["new"], told(load, under_load)
    assert min(under_load) > 0, told(load, under_load)


async def read_lines(base: str, told: Callable[[bytes], None], *, tokens: int = 200) -> None:
    body = {**STORY, "max_tokens": tokens, "ignore_eos": True}
    async with aiohttp.ClientSession(base) as session, session.post("/v1/chat/completions", json=body) as response:
        async for line in response.content:
            told(line)


async def in_flight_when_all_end(pods: Rolled) -> list[bool]:
    """Tell every pod to end once all streams have begun; return which of them ended whole."""
    seen: list[list[bytes]] = [[] for _ in range(CONCURRENCY)]
    streams = [asyncio.create_task(read_lines(pods.base, each.append)) for each in seen]
    while not all(seen):
        assert not any(each.done() for each in streams)
        await asyncio.sleep(0.01)
    for name in names(pods):
        await asyncio.to_thread(pods.local.delete, "api/v1/namespaces/default/pods", name)
    await asyncio.gather(*streams, return_exceptions=True)
    return [any(b"[DONE]" in line for line in each) for each in seen]


async def test_streams_in_flight_when_their_pods_are_told_to_end_are_whole_and_without_the_hook_none_is(
    whole: Rendered, unhooked: Unhooked
) -> None:
    with_hook, without = await asyncio.gather(in_flight_when_all_end(whole), in_flight_when_all_end(unhooked))
    assert (with_hook, without) == ([True] * CONCURRENCY, [False] * CONCURRENCY)


async def test_an_engine_that_is_killed_in_the_middle_of_an_answer_is_an_error_to_its_client_and_comes_back(
    whole: Rendered,
) -> None:
    local = whole.local
    whole.scale(1)
    whole.until_ready(1)
    until_gone(whole)
    (engine,) = engines(local)
    seen: list[bytes] = []

    def kill(line: bytes) -> None:
        if not seen:
            os.kill(engine, signal.SIGKILL)
        seen.append(line)

    with pytest.raises(aiohttp.ClientError):
        await read_lines(whole.base, kill)
    assert seen
    assert not any(b"[DONE]" in line for line in seen)
    until(lambda: engines(local), lambda found: len(found) == 1 and found != [engine])
    assert until(lambda: answer(f"{whole.base}/v1"), bool)
