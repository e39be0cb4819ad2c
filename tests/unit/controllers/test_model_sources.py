"""What is known of a source: remembered from the status, asked again now and then, and never worse than what serves."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import pytest
from tests.unit.controllers.conftest import HeldClock

from llmkube.api.conditions import Condition
from llmkube.api.model import GGUFFacts, ModelSpec, ModelStatus
from llmkube.controllers.model_sources import ModelSources
from llmkube.desired.model_status import Sight
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known, Resolution, Unresolved
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.kinds import Key
from llmkube.kube.objects import CustomResource, ObjectMeta

TINY = Key("team", "tiny")
SOURCE = "https://h/tiny.gguf"
LLAMA = GGUFFacts(architecture="llama", license="mit")
KNOWN = Known(1000, etag="e1", facts=LLAMA)
CHANGED = Known(2000, etag="e2", facts=LLAMA)


class Resolver:
    """Answers what a test says; `asked` is what it was asked, and how often that is to be repeated."""

    def __init__(self, answer: Resolution | None = None) -> None:
        self.answer = answer
        self.asked: list[tuple[Hashable, float | None]] = []
        self.forgotten = 0

    def request(self, _key: Key, state: Hashable, _job: Any, *, every: float | None = None) -> None:
        self.asked.append((state, every))

    def result(self, _key: Key, state: Hashable) -> Resolution | None:
        return self.answer if self.asked and self.asked[-1][0] == state else None

    def forget(self, _key: Key) -> None:
        self.forgotten += 1


class Source:
    async def read(self, *_: object) -> Known:
        raise AssertionError("it is asked in the background")


def told(generation: int = 1) -> ModelStatus:
    """The status of a Model whose source was resolved."""
    resolved = Condition(
        type="Resolved",
        status="True",
        reason="Resolved",
        message="",
        observed_generation=generation,
        last_transition_time=HeldClock().now(),
    )
    return ModelStatus(source=SOURCE, size_bytes=1000, etag="e1", gguf=LLAMA, conditions=(resolved,))


def look(resolver: Resolver, previous: ModelStatus, generation: int = 1, **spec: Any) -> Sight:
    model = CustomResource(metadata=ObjectMeta(name="tiny", namespace="team", uid="u", generation=generation))
    acted: Any = resolver
    source: Any = Source()
    given = ModelSpec.model_validate({"source": SOURCE, **spec})
    return ModelSources(acted, source, OperatorSettings(refresh_seconds=60)).look(TINY, model, given, previous)


def test_a_source_that_nothing_is_known_of_is_asked_once_for_each_generation() -> None:
    resolver = Resolver(KNOWN)
    assert look(resolver, ModelStatus()).resolution == KNOWN
    look(resolver, ModelStatus(), generation=2)
    assert resolver.asked == [(("u", 1), None), (("u", 2), None)]


@pytest.mark.parametrize("spec", [{}, {"quantization": "Q4_1"}, {"sha256": "ab" * 32}, {"cache": {"mode": "Shared"}}])
def test_what_is_known_of_a_source_is_asked_by_nobody_again(spec: dict[str, Any]) -> None:
    resolver = Resolver()
    assert look(resolver, told(), generation=9, **spec).resolution == KNOWN
    assert (resolver.asked, resolver.forgotten) == ([], 1)


def test_with_refresh_it_is_asked_now_and_then_and_stands_until_there_is_an_answer() -> None:
    resolver = Resolver()
    assert look(resolver, told(), refresh="OnChange").resolution == KNOWN
    ((state, every),) = resolver.asked
    look(resolver, told(), generation=2, refresh="OnChange", quantization="Q4_1")
    assert (every, resolver.asked[-1]) == (60, (state, every))


def test_another_answer_takes_the_place_of_what_was_known() -> None:
    seen = look(Resolver(CHANGED), told(), refresh="OnChange")
    assert (seen.resolution, seen.remark) == (CHANGED, None)


BAD: list[Callable[[], Resolution]] = [
    lambda: Unresolved(Trouble("ServerError", "HTTP 503"), permanent=False),
    lambda: Unresolved(Trouble("Truncated", "half of it"), permanent=True),
    lambda: Known(5, etag="e3", facts=LLAMA.model_copy(update={"license": "proprietary"})),
    lambda: Known(5, etag="e3", facts=LLAMA.model_copy(update={"architecture": "hal9000"})),
]


@pytest.mark.parametrize("answer", BAD, ids=["away", "broken", "another licence", "another architecture"])
def test_an_answer_that_could_not_serve_is_told_and_what_was_verified_stays(answer: Callable[[], Resolution]) -> None:
    seen = look(Resolver(answer()), told(), refresh="OnChange", license={"allow": ["mit"]})
    assert (seen.resolution, seen.verdict) == (KNOWN, None)
    assert seen.remark is not None
    assert seen.remark.reason == "RefreshFailed"
    assert seen.remark.message.startswith("spec.refresh: ")
    assert seen.remark.message.endswith("what was verified before stays")
