"""Events: the same again is counted, a flood is cut off, and nobody waits for them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from llmkube.api.fields import DNS_SUBDOMAIN
from llmkube.kube import events as module
from llmkube.kube.errors import AlreadyExists, NotFound, ServerError
from llmkube.kube.events import BURST, REFILL, EventRecorder
from llmkube.kube.objects import CustomResource, ObjectMeta


class Clock:
    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


class Server:
    """Keeps what is sent; raises what it is told to, once each."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.patched: list[dict[str, Any]] = []
        self.raises: list[Exception] = []

    async def create(self, _kind: object, manifest: dict[str, Any]) -> None:
        if self.raises:
            raise self.raises.pop(0)
        self.created.append(manifest)

    async def patch(self, _kind: object, _key: object, body: dict[str, Any], **_: object) -> None:
        if self.raises:
            raise self.raises.pop(0)
        self.patched.append(body)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def recorder(server: Server, clock: Clock) -> EventRecorder:
    return EventRecorder(server, controller="llmkube", instance="one", clock=clock)  # type: ignore[arg-type]


def tell(
    recorder: EventRecorder,
    note: str = "Services can serve it",
    uid: str = "u",
    reason: str = "Ready",
    name: str = "chat",
) -> None:
    model = CustomResource(metadata=ObjectMeta(name=name, namespace="team", uid=uid), kind="Model", api_version="g/v1")
    recorder.event(model, type="Normal", reason=reason, note=note, action="Fetch")


async def sent(recorder: EventRecorder) -> None:
    running = asyncio.create_task(recorder.run())
    for _ in range(2000):
        await asyncio.sleep(0)
    running.cancel()


async def test_an_event_says_of_what_it_is_who_tells_it_and_why(recorder: EventRecorder, server: Server) -> None:
    tell(recorder)
    await sent(recorder)
    (event,) = server.created
    assert (event["apiVersion"], event["reason"], event["type"], event["note"]) == (
        "events.k8s.io/v1",
        "Ready",
        "Normal",
        "Services can serve it",
    )
    assert event["regarding"] == {
        "apiVersion": "g/v1",
        "kind": "Model",
        "namespace": "team",
        "name": "chat",
        "uid": "u",
        "resourceVersion": "",
    }
    assert (event["reportingController"], event["reportingInstance"]) == ("llmkube", "one")


async def test_the_same_again_counts_up_and_anything_else_is_an_event_of_its_own(
    recorder: EventRecorder, server: Server
) -> None:
    for note in ("a", "a", "b", "a"):
        tell(recorder, note)
    await sent(recorder)
    assert [each["note"] for each in server.created] == ["a", "b"]
    assert [each["series"]["count"] for each in server.patched] == [2, 3]


async def test_after_a_burst_an_object_has_one_event_in_five_minutes_and_others_have_theirs(
    recorder: EventRecorder, server: Server, clock: Clock
) -> None:
    for number in range(BURST + 10):
        tell(recorder, reason=f"{number}")
    tell(recorder, "of another", uid="v")
    clock.seconds = REFILL
    tell(recorder, "later")
    tell(recorder, "too early")
    await sent(recorder)
    assert len(server.created) == BURST + 2
    assert recorder.dropped == 11


async def test_after_ten_that_differ_only_in_their_notes_the_rest_are_one_until_ten_minutes_are_quiet(
    recorder: EventRecorder, server: Server, clock: Clock
) -> None:
    for number in range(13):
        clock.seconds += 300
        tell(recorder, f"{number}")
    tell(recorder, "3")
    tell(recorder, "13", reason="Another")
    clock.seconds += 601
    tell(recorder, "14")
    await sent(recorder)
    own, combined = [f"{number}" for number in range(10)], "(combined from similar events): 10"
    assert [each["note"] for each in server.created] == [*own, combined, "13", "14"]
    assert [each["series"]["count"] for each in server.patched] == [2, 3, 2]


async def test_an_event_that_has_expired_is_told_anew(recorder: EventRecorder, server: Server) -> None:
    tell(recorder)
    await sent(recorder)
    server.raises = [NotFound(404, "NotFound", "gone")]
    tell(recorder)
    await sent(recorder)
    assert len(server.created) == 2


@pytest.mark.parametrize("error", [AlreadyExists(409, "AlreadyExists", "x"), ServerError(500, "InternalError", "x")])
async def test_what_is_refused_is_lost_and_the_next_one_is_sent(
    recorder: EventRecorder, server: Server, error: Exception
) -> None:
    server.raises = [error]
    tell(recorder, "a")
    tell(recorder, "b")
    await sent(recorder)
    assert [each["note"] for each in server.created] == ["b"]


def test_a_full_queue_drops_and_nobody_waits(recorder: EventRecorder) -> None:
    for number in range(module.QUEUE + 5):
        tell(recorder, "x", uid=f"{number}")
    assert recorder.dropped == 5


def test_what_is_remembered_of_objects_has_a_bound(recorder: EventRecorder) -> None:
    for number in range(module.REMEMBERED + 100):
        tell(recorder, uid=f"{number}")
    assert len(recorder._budgets) == len(recorder._counts) == len(recorder._similar) == module.REMEMBERED


@pytest.mark.parametrize(
    ("note", "told"),
    [
        ("x" * 5000, "x" * 1024),
        ("ä" * 512, "ä" * 512),
        ("xä" * 512, "xä" * 341 + "x"),
        ("模" * 342, "模" * 341),
        ("\U0001f600" * 300, "\U0001f600" * 256),
        ("\ud800", "?"),
    ],
)
async def test_a_note_has_the_bytes_that_the_api_allows_and_whole_characters(
    recorder: EventRecorder, server: Server, note: str, told: str
) -> None:
    tell(recorder, note)
    await sent(recorder)
    assert server.created[0]["note"] == told


async def test_what_is_combined_has_the_bytes_that_the_api_allows_too(recorder: EventRecorder, server: Server) -> None:
    for number in range(module.SIMILAR + 1):
        tell(recorder, f"{number}" + "模" * 1000)
    await sent(recorder)
    combined = server.created[-1]["note"]
    assert combined.startswith("(combined from similar events): 10模")
    assert 1021 < len(combined.encode()) <= 1024


@pytest.mark.parametrize("name", ["a" * 199 + "-" + "b" * 20, "a" * 198 + ".-" + "b" * 20, "a" * 253, "chat.v2"])
async def test_an_event_of_an_object_with_a_long_name_has_a_name_that_the_api_allows(
    recorder: EventRecorder, server: Server, name: str
) -> None:
    tell(recorder, name=name)
    await sent(recorder)
    told = server.created[0]["metadata"]["name"]
    assert re.fullmatch(DNS_SUBDOMAIN, told)
    assert len(told) <= 253
    assert name.startswith(told.rpartition(".")[0])
