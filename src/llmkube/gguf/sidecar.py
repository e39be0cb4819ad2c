"""The licence beside a model: `NAME.gguf.license`, one SPDX name, where the header says none or a wrong one.

It is asked for only when its answer counts: the header names no licence, or a policy refuses the one that it names.
An ordinary model costs no request for it. Whoever can write the model can write its sidecar; neither is a proof.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmkube.models.errors import SourceError
from llmkube.models.licence import LARGEST_SIDECAR, is_allowed, of_sidecar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llmkube.gguf.facts import ModelFacts
    from llmkube.models.source import Source

SUFFIX = ".license"


def beside(source: Source) -> Source:
    """The sidecar of a file, or of the first part of a split one."""
    name = f"{source.filename}{SUFFIX}"
    folder = source.path.rpartition("/")[0]
    path = f"{folder}/{name}" if "/" in source.path else name
    return replace(source, text=source.text.replace(source.filename, name), path=path, filename=name)


def counts(facts: ModelFacts, allowed: tuple[str, ...]) -> bool:
    """Whether a sidecar could change anything; `allowed` is the policy's list, empty without one."""
    return not facts.license or bool(allowed and not is_allowed(facts.license, allowed))


async def licensed(
    facts: ModelFacts,
    source: Source,
    allowed: tuple[str, ...],
    read: Callable[[Source, int], Awaitable[bytes | bytearray]],
) -> ModelFacts:
    """The facts with the sidecar's licence where there is one and it counts. `read`: so many first bytes of a source.

    SourceError when a policy waits for the answer and the source may give it later.
    """
    if not counts(facts, allowed) or not source.path:  # the only file of an artifact has nothing beside it
        return facts
    try:
        text = bytes(await read(beside(source), LARGEST_SIDECAR)).decode(errors="replace")
    except SourceError as error:
        if error.retryable and allowed:
            raise
        return facts
    found = of_sidecar(text)
    return replace(facts, license=found, license_link=beside(source).text) if found else facts
