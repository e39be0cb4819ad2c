"""One conversation with a service through the API server's proxy: the messages so far, and the next answer as it comes.

Reaches every cluster that kubectl reaches, without a port-forward; prints nothing and never keeps a key.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import Struct

from llmkube.cli.errors import CommandError, MissingError
from llmkube.cli.output import printable
from llmkube.cli.pods import selector
from llmkube.cli.view import said, view_of
from llmkube.kube.errors import UNREADABLE, ApiError
from llmkube.kube.kinds import INFERENCE_SERVICE, SECRET, SERVICE, Key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llmkube.cli.connection import Connection

SILENCE = 300.0
API_KEY = "LLMKUBE_API_KEY"


class Settings(NamedTuple):
    """What the person wants of the answers; None leaves it to the engine."""

    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


class Piece(NamedTuple):
    """A part of an answer; thinking is what a reasoning model says before it."""

    text: str
    thinking: bool = False


class _Delta(Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(Struct, frozen=True):
    delta: _Delta = _Delta()


class _Timings(Struct, frozen=True):
    predicted_n: int = 0
    predicted_per_second: float = 0.0


class _Event(Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()
    timings: _Timings | None = None
    error: Any = None


@dataclass
class Conversation:
    """The messages with one service."""

    connection: Connection
    name: str
    path: str
    settings: Settings
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    messages: list[dict[str, str]] = field(default_factory=list)
    speed: str = ""

    def __post_init__(self) -> None:
        """Begin with the system prompt."""
        self.forget()

    def forget(self) -> None:
        """Begin again."""
        self.messages = [{"role": "system", "content": self.settings.system}] if self.settings.system else []

    async def say(self, text: str) -> AsyncIterator[Piece]:
        """Send a message; yield the answer as it comes. Also an answer that was broken off is remembered."""
        self.messages.append({"role": "user", "content": text})
        answer: list[str] = []
        try:
            async for piece in self._answer():
                if not piece.thinking:
                    answer.append(piece.text)
                yield piece
        finally:
            if answer:
                self.messages.append({"role": "assistant", "content": "".join(answer)})
            else:
                self.messages.pop()

    async def _answer(self) -> AsyncIterator[Piece]:
        streamed = self.connection.client.transport.stream(
            self.path,
            idle_timeout=SILENCE,
            method="POST",
            body=json.dumps(self._body()).encode(),
            headers={"Accept": "text/event-stream", **self.headers},
        )
        try:
            async with streamed as lines:
                async for line in lines:
                    for piece in self._pieces(line):
                        yield piece
        except ApiError as error:
            raise CommandError(f"{self.name}: the request was refused: {printable(error.message)}") from error

    def _body(self) -> dict[str, Any]:
        wishes = {"max_tokens": self.settings.max_tokens, "temperature": self.settings.temperature}
        chosen = {name: value for name, value in wishes.items() if value is not None}
        return {"model": self.name, "stream": True, "messages": self.messages, **chosen}

    def _pieces(self, line: bytes) -> list[Piece]:
        event = _event(line, self.name)
        if event is None:
            return []
        if event.timings is not None:
            self.speed = f"{event.timings.predicted_n} tokens, {event.timings.predicted_per_second:.1f} tokens/s"
        deltas = [choice.delta for choice in event.choices]
        thoughts = [Piece(each.reasoning_content, thinking=True) for each in deltas if each.reasoning_content]
        return thoughts + [Piece(each.content) for each in deltas if each.content]


def _event(line: bytes, name: str) -> _Event | None:
    """Return what one line of server-sent events says; None for comments, blank lines and the end."""
    kind, _, data = line.partition(b":")
    data = data.strip()
    if kind not in {b"data", b"error"} or not data or data == b"[DONE]":
        return None
    try:
        event = msgspec.json.decode(data, type=_Event)
    except UNREADABLE as error:
        raise CommandError(f"{name}: expected an event of a chat completion, found {data[:80]!r}: {error}") from error
    if kind == b"error" or event.error is not None:
        told = (
            event.error.get("message", event.error) if isinstance(event.error, dict) else data.decode(errors="replace")
        )
        raise CommandError(f"{name}: the engine stopped the answer: {printable(told)}")
    return event


async def begin(connection: Connection, name: str, settings: Settings) -> Conversation:
    """Return a conversation with a service that is ready; raise CommandError with the reason why it is not."""
    live = await connection.client.get(INFERENCE_SERVICE, Key(connection.namespace, name))
    spec = msgspec.json.decode(live.spec, type=dict[str, Any])
    if spec.get("mode", "chat") != "chat":
        raise CommandError(f"inferenceservice/{name} serves {spec['mode']}s, not chat; send requests to its endpoint")
    view = view_of(live, kind=INFERENCE_SERVICE.kind)
    if not view.status.ready_replicas:
        raise CommandError(
            f"inferenceservice/{name} is not ready: {said(view)}; wait for it with `llmkube wait {name}`"
        )
    service = await _service(connection, name)
    path = f"{SERVICE.path(connection.namespace)}/{service}/proxy/v1/chat/completions"
    return Conversation(connection, name, path, settings, await _api_key(connection, spec))


async def _service(connection: Connection, name: str) -> str:
    """Return the Service of an InferenceService as a proxy's path names it: [https:]NAME:PORT."""
    labels = selector(INFERENCE_SERVICE.kind, name)
    found = await connection.client.list_raw(SERVICE, connection.namespace, label_selector=labels)
    if not found:
        raise MissingError(
            f"inferenceservice/{name} has no Service with labels {labels}; look at `llmkube status {name}`"
        )
    port = found[0]["spec"]["ports"][0]
    scheme = "https:" if port.get("appProtocol") == "https" else ""
    return f"{scheme}{quote(found[0]['metadata']['name'])}:{int(port['port'])}"


async def _api_key(connection: Connection, spec: dict[str, Any]) -> dict[str, str]:
    """Return the header that the engine asks for; the API server keeps `Authorization` to itself."""
    reference = (spec.get("auth") or {}).get("secretRef")
    if not reference:
        return {}
    if given := os.environ.get(API_KEY):
        return {"X-Api-Key": given}
    import base64

    secret = await connection.client.get(SECRET, Key(connection.namespace, reference["name"]))
    text = base64.b64decode(secret.data.get(reference.get("key", "api-keys"), "")).decode(errors="replace")
    keys = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not keys:
        raise MissingError(f"secret/{reference['name']} has no API key to use; give one in ${API_KEY}")
    return {"X-Api-Key": keys[0]}
