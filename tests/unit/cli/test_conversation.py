"""A conversation keeps its history, whatever becomes of an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from llmkube.cli.conversation import Conversation, Settings
from llmkube.cli.errors import CommandError
from llmkube.kube.errors import ApiError


class Engine:
    """Answers with the events it was given, and keeps what it was asked."""

    def __init__(self, *events: str) -> None:
        self.events = events
        self.asked: list[dict[str, Any]] = []

    @asynccontextmanager
    async def stream(self, path: str, *, body: bytes, **_: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        import json

        self.asked.append(json.loads(body))

        async def lines(events: Iterable[str]) -> AsyncIterator[bytes]:
            for event in events:
                yield event.encode()

        yield lines(self.events)


def talking(engine: Engine, settings: Settings | None = None) -> Conversation:
    connection: Any = SimpleNamespace(client=SimpleNamespace(transport=engine))
    return Conversation(connection, "smollm2", "/path", settings or Settings())


def piece(text: str) -> str:
    return f'data: {{"choices":[{{"delta":{{"content":"{text}"}}}}]}}'


async def test_a_second_question_carries_the_first_and_its_answer() -> None:
    engine = Engine(piece("Hello"), piece("!"), "data: [DONE]")
    conversation = talking(engine, Settings(system="Be brief.", max_tokens=5))
    assert [each.text async for each in conversation.say("Hi")] == ["Hello", "!"]
    assert [each.text async for each in conversation.say("More")] == ["Hello", "!"]
    assert engine.asked[1]["max_tokens"] == 5
    assert [each["content"] for each in engine.asked[1]["messages"]] == ["Be brief.", "Hi", "Hello!", "More"]


async def test_what_was_forgotten_is_not_sent_again_but_the_system_prompt_is() -> None:
    engine = Engine(piece("Hello"))
    conversation = talking(engine, Settings(system="Be brief."))
    _ = [each async for each in conversation.say("Hi")]
    conversation.forget()
    assert conversation.messages == [{"role": "system", "content": "Be brief."}]


async def test_a_question_without_an_answer_leaves_no_trace() -> None:
    conversation = talking(Engine('data: {"error":{"message":"context is full"}}'))
    with pytest.raises(CommandError, match="context is full"):
        _ = [each async for each in conversation.say("Hi")]
    assert conversation.messages == []


@pytest.mark.parametrize("line", ["data: {not json", 'data: {"choices": %s' % ("[" * 9999)], ids=["no JSON", "no end"])
async def test_what_was_answered_before_it_broke_off_is_remembered(line: str) -> None:
    conversation = talking(Engine(piece("Once upon"), line))
    with pytest.raises(CommandError, match="expected an event"):
        _ = [each async for each in conversation.say("Tell")]
    assert conversation.messages[-1] == {"role": "assistant", "content": "Once upon"}


async def test_thinking_is_marked_and_not_part_of_the_history() -> None:
    conversation = talking(Engine('data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}', piece("Yes")))
    pieces = [each async for each in conversation.say("Is it?")]
    assert [(each.text, each.thinking) for each in pieces] == [("hm", True), ("Yes", False)]
    assert conversation.messages[-1]["content"] == "Yes"


async def test_comments_and_events_without_choices_say_nothing() -> None:
    conversation = talking(Engine(": keep-alive", "", 'data: {"choices":[],"timings":{"predicted_n":8}}', piece("a")))
    assert len([each async for each in conversation.say("Hi")]) == 1
    assert conversation.speed.startswith("8 tokens")


async def test_a_request_that_is_refused_names_the_service() -> None:
    class Refusing(Engine):
        @asynccontextmanager
        async def stream(self, path: str, **_: Any) -> AsyncIterator[AsyncIterator[bytes]]:
            raise ApiError(503, "ServiceUnavailable", "no endpoints available")
            yield

    with pytest.raises(CommandError, match="smollm2: the request was refused: no endpoints available"):
        _ = [each async for each in talking(Refusing()).say("Hi")]
