"""What is asked again, when, and how many ask at once: in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import ClientTimeout
from tests.sim.loop import run

from llmkube.kube.config import ClusterConfig, Credentials, StaticToken
from llmkube.kube.errors import ApiError, KubeError, TransportError, of_status
from llmkube.kube.transport import IN_FLIGHT, Transport


class Scripted(Transport):
    """Its requests end as a test says, the last one for ever; `at` is when each was sent."""

    def __init__(self, *ends: Exception | bytes, takes: float = 0.0, credentials: Credentials | None = None) -> None:
        super().__init__(ClusterConfig("http://server", "default", credentials or StaticToken()))
        self.ends = list(ends)
        self.takes = takes
        self.at: list[float] = []
        self.busy = self.busiest = 0

    async def _send(self, asked: Any, headers: Mapping[str, str], *, timeout: float) -> bytes:
        self.at.append(asyncio.get_running_loop().time())
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        await asyncio.sleep(self.takes)
        self.busy -= 1
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end


def refusal(code: int, after: float | None) -> ApiError:
    error = of_status(code, "", "no")
    error.retry_after = after
    return error


def asked(transport: Transport, method: str = "GET") -> bytes | KubeError:
    """What becomes of a request."""

    async def main() -> bytes | KubeError:
        try:
            return await transport.request(method, "/a")
        except KubeError as error:
            return error

    answer: bytes | KubeError = run(main)
    return answer


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_a_busy_server_is_asked_again_when_it_says_and_no_sooner(code: int, method: str) -> None:
    transport = Scripted(refusal(code, 1.0), refusal(code, 9.0), b"{}")
    assert asked(transport, method) == b"{}"
    assert transport.at == pytest.approx([0, 1, 10])


@pytest.mark.parametrize(
    "error", [refusal(429, 10.5), refusal(503, None), refusal(500, 1.0), refusal(504, 1.0), refusal(409, 1.0)]
)
def test_what_waiting_a_moment_does_not_mend_is_the_callers_at_once(error: ApiError) -> None:
    transport = Scripted(error)
    assert asked(transport) is error
    assert transport.at == [0]


@pytest.mark.parametrize(("method", "times"), [("GET", 4), ("PATCH", 4), ("PUT", 4), ("DELETE", 4), ("POST", 1)])
def test_a_lost_connection_is_tried_again_unless_that_could_make_something_twice(method: str, times: int) -> None:
    transport = Scripted(TransportError("reset"))
    assert isinstance(asked(transport, method), TransportError)
    assert len(transport.at) == times
    assert transport.at[-1] < 1


def test_no_more_requests_than_allowed_are_under_way_at_once_and_who_waits_out_a_429_is_in_nobodys_way() -> None:
    transport = Scripted(*[refusal(429, 10.0)] * IN_FLIGHT, b"{}", takes=1.0)

    async def main() -> float:
        waiting = [asyncio.create_task(transport.request("GET", "/a")) for _ in range(IN_FLIGHT)]
        await asyncio.sleep(1.5)
        await asyncio.gather(*(transport.request("GET", "/a") for _ in range(2 * IN_FLIGHT)))
        done = asyncio.get_running_loop().time()
        await asyncio.gather(*waiting)
        return done

    assert run(main) == pytest.approx(3.5)
    assert transport.busiest == IN_FLIGHT


class Numbered:
    """Credentials that are new each time they were refused."""

    def __init__(self) -> None:
        self.refused: list[Mapping[str, str]] = []

    async def headers(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        self.refused += [] if refused is None else [refused]
        return {"Authorization": f"Bearer {len(self.refused)}"}


def test_what_was_refused_is_told_once_and_not_again_when_the_server_is_busy_afterwards() -> None:
    credentials = Numbered()
    transport = Scripted(refusal(401, None), refusal(503, 1.0), b"{}", credentials=credentials)
    assert asked(transport) == b"{}"
    assert credentials.refused[0] == {"Authorization": "Bearer 0"}
    assert all(each == credentials.refused[0] for each in credentials.refused)


def test_who_is_refused_with_new_credentials_too_is_not_known() -> None:
    credentials = Numbered()
    error = refusal(401, None)
    transport = Scripted(error, credentials=credentials)
    assert asked(transport) is error
    assert (len(transport.at), len(credentials.refused)) == (2, 1)


class Timed:
    """An HTTP session that notes how long a request may take."""

    timeout = ClientTimeout()

    def request(self, *_: Any, timeout: ClientTimeout, **__: Any) -> Any:
        self.timeout = timeout
        raise OSError("enough")


def test_a_write_ends_with_the_lease_and_not_at_the_next_whole_second() -> None:
    """aiohttp rounds up what is longer than five seconds."""
    transport = Transport(ClusterConfig("http://server", "default", StaticToken()))
    transport.fence = lambda: 7.25
    timed = Timed()
    transport._session = timed  # type: ignore[assignment]
    assert isinstance(asked(transport, "POST"), TransportError)
    assert timed.timeout.total == 7.25
    assert timed.timeout.ceil_threshold > 7.25
