"""What the API server made of an apply where that is not what was asked for.

A webhook or a policy of the cluster writes another image, a server without a feature drops its field. Asking again at
each reconcile would write for ever and change nothing. So the answer stands for what was asked, until that is another,
somebody changes the object, or an hour is over: the policy may be gone by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from llmkube.kube.applied import content, hash_of, was_applied, without_type
from llmkube.kube.diff import covers, difference
from llmkube.kube.kinds import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.kube.client import Manifest
    from llmkube.kube.kinds import Key
    from llmkube.kube.objects import Object

log = structlog.get_logger(__name__)

LASTS = 3600.0
"""Seconds after which it is asked for again."""
TOLD = (
    "the API server keeps a field otherwise than it was applied: a webhook or a policy changes it, or this server "
    "does not know it; taken as it is, and asked for again when an hour is over"
)


class Answer(NamedTuple):
    """What came of the manifest with this hash, for that very object, and until when it counts (a monotonic time)."""

    uid: str
    asked: str
    content: Manifest
    until: float


class Admissions:
    """The answers that say something else than what was asked for, by owner, resource and name."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._answers: dict[Key, dict[tuple[str, str], Answer]] = {}

    def stands(self, owner: Key, resource: str, wanted: Manifest, live: Object) -> bool:
        """Whether an object is still as the API server would have it when this was asked for last."""
        answer = self._answers.get(owner, {}).get((resource, live.metadata.name))
        if answer is None or answer.until <= self._monotonic():
            return False
        if (answer.uid, answer.asked) != (live.metadata.uid, hash_of(wanted)):
            return False
        return was_applied(wanted, live) and covers(content(live), answer.content)

    def note(self, owner: Key, resource: str, wanted: Manifest, written: Object) -> None:
        """Keep an answer that says something else; tell of it when it is news."""
        answers = self._answers.pop(owner, {})
        place = (resource, written.metadata.name)
        before = answers.pop(place, None)
        there, asked = content(written), without_type(wanted)
        if field := difference(there, asked):
            until = self._monotonic() + LASTS
            answer = Answer(written.metadata.uid, hash_of(wanted), of_what_was_asked(there, asked), until)
            answers[place] = answer
            if before is None or before.asked != answer.asked:
                log.warning(TOLD, resource=resource, object=str(key_of(written)), field=field)
        if answers:
            self._answers[owner] = answers

    def forget(self, owner: Key) -> None:
        """The owner is gone."""
        self._answers.pop(owner, None)


def of_what_was_asked(answer: Any, asked: Any) -> Any:
    """Return what an answer says of the fields that were asked for; lists as a whole."""
    if not (isinstance(answer, dict) and isinstance(asked, dict)):
        return answer
    return {name: of_what_was_asked(answer[name], asked[name]) for name in asked if name in answer}
