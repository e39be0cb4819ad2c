"""What the header of the bytes that were fetched says, for whoever started the fetch: licence, architecture, memory.

A source that only this process can read (a claim) has told nobody before; and what was said of any other before is
confirmed by the very bytes that will serve. What is no GGUF is refused here at the latest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

LONGEST, LONGEST_LAYOUT = 256, 2400
"""Characters of a text, and of the packed layout: all of it must fit a termination message of 4096."""


async def facts_of(source: str, place: Path, cache: Path) -> dict[str, Any]:
    """Return `gguf` and `memory` as a Model's status has them; SourceError when the bytes are no usable model."""
    from llmkube.desired.model_facts import known
    from llmkube.gguf.errors import GGUFError
    from llmkube.gguf.resolve import resolve
    from llmkube.models.credentials import Credentials
    from llmkube.models.errors import SourceError
    from llmkube.models.policy import SourcePolicy

    url = _url(place)
    try:
        found = known(await resolve(url, policy=SourcePolicy(roots=(cache,)), credentials=Credentials()))
    except GGUFError as error:
        raise SourceError(error.reason, error.message.replace(url, source), retryable=False) from None
    records = {"gguf": found.facts, "memory": found.memory}
    return {name: _short(record.manifest()) for name, record in records.items() if record}


def _url(place: Path) -> str:
    """A link keeps its name, which says the parts of a split model."""
    return f"file://{quote(str(place.absolute()))}"


def _short(record: dict[str, Any]) -> dict[str, Any]:
    """A layout cut short is none: it is left out whole."""
    if len(record.get("layout", "")) > LONGEST_LAYOUT:
        record = {name: value for name, value in record.items() if name != "layout"}
    return {name: _cut(name, value) for name, value in record.items()}


def _cut(name: str, value: Any) -> Any:
    return value[:LONGEST] if isinstance(value, str) and name != "layout" else value
