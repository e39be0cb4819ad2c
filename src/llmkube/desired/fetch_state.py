"""Where the fetch of a model is: from its Job, the Job's pods, and what the status said before.

Pure. A pod goes before its Job does, so what it said last is remembered in the condition Cached, whose message names
the Job; what cannot be known any more is Lost, and is fetched again: a fetch of what is there already ends at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from llmkube.api.conditions import CACHED, Condition
from llmkube.desired.conditions import LONGEST_MESSAGE, one_line
from llmkube.desired.fetch_job import CONTAINER, PROJECTOR_CONTAINER
from llmkube.desired.fetch_result import Done, Failure, Tick, last_words
from llmkube.desired.pod_trouble import Trouble, in_words, is_running, trouble

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.api.model import ModelStatus, Projector
    from llmkube.kube.objects import ContainerStateTerminated, Job, Pod

_ROOM = LONGEST_MESSAGE - 128


@dataclass(frozen=True, slots=True)
class Fetching:
    """Not over yet: nothing runs, or `running` has come as far as `tick`; `trouble` is what holds it up."""

    running: bool = False
    tick: Tick | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """It ended well, and nobody knows with what: to be done again."""


FetchState = Fetching | Done | Failure | Lost


def fetch_state(
    job: Job | None, pods: Iterable[Pod], *, job_name: str, tick: Tick | None, previous: ModelStatus
) -> FetchState:
    """Return where the fetch is; `pods` are those of this Job, `tick` the last progress of the newest of them."""
    if job is None:
        return remembered(previous, job_name) or Fetching()
    pod = max(pods, key=lambda each: (each.metadata.creation_timestamp or "", each.metadata.name), default=None)
    ended = _ended(pod) if pod else None
    words = _last_words(pod, ended) if pod and ended else None
    if isinstance(words, Done) and ended and ended.exit_code == 0:
        return words
    if pod is not None and ended is None:
        return _fetching(pod, words, tick)  # watched apart: the Job may be seen to end before its pod
    if _is(job, "Complete"):
        return remembered(previous, job_name) or Lost()
    if _is(job, "Failed"):
        return _failure(job, words, ended) or _remembered_failure(previous, job) or _unexplained(job)
    return _fetching(pod, words, tick)


def by_job(text: str, job_name: str) -> str:
    """Return the message of the condition Cached that `remembered` understands."""
    return f"{one_line(text)[:_ROOM]}{_mark(job_name)}"


def remembered(previous: ModelStatus, job_name: str) -> Done | None:
    """Return what this very Job is known to have brought into the cache."""
    cached = _cached(previous)
    known = cached is not None and cached.status == "True" and cached.message.endswith(_mark(job_name))
    if not known or previous.sha256 is None or previous.path is None:
        return None
    return Done(previous.sha256, previous.size_bytes or 0, previous.path, projector=_projector(previous.mmproj))


def _remembered_failure(previous: ModelStatus, job: Job) -> Failure | None:
    cached, mark = _cached(previous), _mark(job.metadata.name)
    if cached is None or cached.status != "False" or not cached.message.endswith(mark):
        return None
    return Failure(cached.reason, cached.message.removesuffix(mark))


def _failure(job: Job, words: Done | Failure | None, ended: ContainerStateTerminated | None) -> Failure | None:
    if isinstance(words, Failure):
        return words
    if ended is not None and ended.exit_code != 0:
        return Failure("FetchFailed", f"Job {job.metadata.name}: the fetch ended with {in_words(ended)}")
    return None


def _unexplained(job: Job) -> Failure:
    said = next((each for each in job.status.conditions if each.type == "Failed"), None)
    why = (said and (said.message or said.reason)) or "its pods are gone"
    return Failure("FetchFailed", f"Job {job.metadata.name} failed: {why}")


def _fetching(pod: Pod | None, words: Done | Failure | None, tick: Tick | None) -> Fetching:
    if pod is None:
        return Fetching()
    if isinstance(words, Failure):
        return Fetching(trouble=Trouble(words.reason, f"{words.message}; it is tried again"))
    running = is_running(pod)
    return Fetching(running, tick if running else None, trouble(pod))


def _ended(pod: Pod) -> ContainerStateTerminated | None:
    """How the model's fetch ended, or the projector's before it, which then was the last."""
    first = _projectors(pod)
    if first is not None and first.exit_code != 0:
        return first
    return next((each.state.terminated for each in pod.status.container_statuses if each.name == CONTAINER), None)


def _projectors(pod: Pod) -> ContainerStateTerminated | None:
    found = (each.state.terminated for each in pod.status.init_container_statuses if each.name == PROJECTOR_CONTAINER)
    return next(found, None)


def _last_words(pod: Pod, ended: ContainerStateTerminated) -> Done | Failure | None:
    """The model's last words with the projector's, where there is one; without those nothing is known."""
    words, first = last_words(ended.message), _projectors(pod)
    if not isinstance(words, Done) or first is None:
        return words
    projector = last_words(first.message)
    return msgspec.structs.replace(words, projector=projector) if isinstance(projector, Done) else None


def _projector(known: Projector | None) -> Done | None:
    if known is None or known.sha256 is None or known.path is None:
        return None
    return Done(known.sha256, known.size_bytes or 0, known.path)


def _is(job: Job, kind: str) -> bool:
    return any(each.type == kind and each.status == "True" for each in job.status.conditions)


def _cached(previous: ModelStatus) -> Condition | None:
    return next((each for each in previous.conditions if each.type == CACHED), None)


def _mark(job_name: str) -> str:
    return f" (Job {job_name})"
