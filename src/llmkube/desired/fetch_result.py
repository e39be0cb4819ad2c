"""What `llmkube fetch` says about itself: its last words in the termination message, and its progress on stdout.

Pure. The bytes come from a pod that handled somebody's download: what does not fit the contract is None, no error.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from pydantic import BaseModel, ValidationError

from llmkube.api.model import GGUFFacts, ModelMemory
from llmkube.desired.conditions import one_line, reason_of
from llmkube.kube.errors import UNREADABLE

LONGEST = 4096
LARGEST = 2**63 - 1
R = TypeVar("R", bound=BaseModel)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"v1/models(/(?!\.)[^/\x00-\x1f\x7f]{1,255}){4}")


class Done(Struct, frozen=True, rename="camel", tag_field="event", tag="done"):
    """Verified and in the cache: `path` is relative to the cache's root, `bytes` the sum of all `files`.

    `gguf` and `memory` are what the header of these very bytes says, as the status has it. The `projector` is another
    fetch's, of the same pod. `damaged_bytes` were there, were not what their name said, and were fetched anew.
    """

    sha256: str
    bytes: int
    path: str
    etag: str | None = None
    files: int = 1
    gguf: dict[str, Any] | None = None
    memory: dict[str, Any] | None = None
    projector: Done | None = None
    damaged_bytes: int = 0

    @property
    def facts(self) -> GGUFFacts | None:
        """What the header says; None when it is not told as the API has it."""
        return _validated(GGUFFacts, self.gguf)

    @property
    def needs(self) -> ModelMemory | None:
        """What it needs in memory."""
        return _validated(ModelMemory, self.memory)


class Failure(Struct, frozen=True, tag_field="event", tag="error"):
    """Why there is nothing in the cache; `retryable` when the same request may succeed later."""

    reason: str
    message: str
    retryable: bool = False


class Tick(Struct, frozen=True, rename="camel", tag_field="event", tag="progress"):
    """How far a download is; a `total` of 0 is not known."""

    bytes: int = 0
    total: int | None = 0
    percent: float | None = 0
    bytes_per_second: float | None = 0


_EVENT = msgspec.json.Decoder(Done | Failure | Tick)


def last_words(message: str) -> Done | Failure | None:
    """Return what a fetch ended with; None when the message is not its own (it was killed, or cut off)."""
    match _decoded(message):
        case Done() as done if _SHA256.fullmatch(done.sha256) and _PATH.fullmatch(done.path) and _fits(done.bytes):
            return msgspec.structs.replace(done, projector=None)
        case Failure(reason, said, retryable):
            return Failure(reason_of(reason, otherwise="FetchFailed"), one_line(said), retryable)
    return None


def tick(line: str) -> Tick | None:
    """Return the progress that a line of the fetch's stdout tells, within bounds; None when it tells none."""
    event = _decoded(line)
    if not isinstance(event, Tick):
        return None
    total = _bounded(event.total)
    arrived = min(_bounded(event.bytes), total or LARGEST)
    percent = min(100, 100 * arrived // total) if total else min(100, _bounded(event.percent))
    return Tick(arrived, total, percent, _bounded(event.bytes_per_second))


def _decoded(text: str) -> Any:
    """The last line is what counts: a kubelet that falls back to logs gives all of them."""
    lines = text[-LONGEST:].strip().splitlines()
    try:
        return _EVENT.decode(lines[-1]) if lines else None
    except UNREADABLE:
        return None


def _validated(record: type[R], found: dict[str, Any] | None) -> R | None:
    try:
        return record.model_validate(found) if found else None
    except ValidationError:
        return None


def _fits(size: int) -> bool:
    return 0 <= size <= LARGEST


def _bounded(number: float | None) -> int:
    return int(min(max(number or 0, 0), LARGEST))
