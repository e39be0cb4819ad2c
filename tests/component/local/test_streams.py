"""What clients see while pods are replaced, taken away and deleted under them, and when an engine is killed.

hack/drain runs it with 500 streams: LLMKUBE_TEST_STREAMS says how many.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import aiohttp
import pytest
from tests.component.local.local_mode import LocalMode, Object, answer, model, service, until
from tests.component.local.streams import Load
from tests.component.local.test_crashes import engines

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.component.local.local_mode import ModelServer

STREAMS = int(os.environ.get("LLMKUBE_TEST_STREAMS", "60"))
pytestmark = [pytest.mark.engine, pytest.mark.timeout(240 + 10 * STREAMS)]
OPTIONS = {"contextSize": 1024, "parallel": 4, "resources": {"cpu": "1"}}


@pytest.fixture(scope="module")
def local(real_local: LocalMode) -> LocalMode:
    return real_local


@pytest.fixture(scope="module")
def base(local: LocalMode, models: ModelServer) -> str:
    local.apply(model("streams", models.url("smollm2.gguf")), service("streams", "streams", replicas=2, **OPTIONS))
    endpoint: str = local.until_ready("streams", replicas=2)["status"]["endpoint"]
    return endpoint.partition("/v1")[0]


def names(local: LocalMode) -> set[str]:
    return {each["metadata"]["name"] for each in serving(local)}


def serving(local: LocalMode) -> list[Object]:
    return [each for each in local.pods("streams") if "deletionTimestamp" not in each["metadata"]]


def roll(local: LocalMode) -> None:
    before = names(local)
    local.apply(service("streams", "streams", replicas=2, env=[{"name": "ROLLED", "value": "1"}], **OPTIONS))
    until(lambda: names(local), lambda found: len(found) == 2 and not found & before, seconds=240)
    local.until_ready("streams", replicas=2)


def delete_one(local: LocalMode) -> None:
    gone = sorted(names(local))[0]
    local.delete("api/v1/namespaces/default/pods", gone)
    until(lambda: names(local), lambda found: len(found) == 2 and gone not in found, seconds=240)
    local.until_ready("streams", replicas=2)


def scale_down(local: LocalMode) -> None:
    local.llmkube("scale", "streams", "--replicas", "1")
    local.until_ready("streams", replicas=1)


async def test_no_stream_is_lost_or_cut_off_by_a_roll_out_a_deleted_pod_and_a_scale_down(
    local: LocalMode, base: str
) -> None:
    load = Load(base, enough=STREAMS)
    running = asyncio.create_task(load.run())
    under_load = []
    for number, disturb in enumerate((roll, delete_one, scale_down), start=1):
        while load.total < number * STREAMS // 5:
            assert not running.done()
            await asyncio.sleep(0.05)
        under_load.append(load.in_flight)
        await asyncio.to_thread(disturb, local)
    load.stopping.set()
    await running
    told = f"{load.total} streams: {dict(load.ended)}; in flight when disturbed: {under_load}; {load.errors[:5]}"
    print(told)
    assert (load.ended["lost"], load.ended["truncated"]) == (0, 0), told
    assert load.ended["whole"] == load.total >= STREAMS, told
    assert min(under_load) > 0, told
    until(lambda: local.pods("streams"), lambda found: len(found) == 1, seconds=330)


async def read_lines(base: str, told: Callable[[bytes], None]) -> None:
    body = {"messages": [{"role": "user", "content": "Tell a story."}], "stream": True, "max_tokens": 200}
    async with aiohttp.ClientSession(base) as session, session.post("/v1/chat/completions", json=body) as response:
        async for line in response.content:
            told(line)


async def test_an_engine_that_is_killed_in_the_middle_of_an_answer_is_an_error_to_its_client_and_comes_back(
    local: LocalMode, base: str
) -> None:
    local.until_ready("streams", replicas=1)
    (engine,) = engines(local)
    seen: list[bytes] = []

    def kill(line: bytes) -> None:
        if not seen:
            os.kill(engine, signal.SIGKILL)
        seen.append(line)

    with pytest.raises(aiohttp.ClientError):
        await read_lines(base, kill)
    assert seen
    assert not any(b"[DONE]" in line for line in seen)
    until(lambda: engines(local), lambda found: len(found) == 1 and found != [engine])
    local.until_ready("streams", replicas=1)
    assert answer(f"{base}/v1")
