"""What keeps a pod from running or from getting ready: which container, what it waits for, and why.

Pure. The text must say the same as long as nothing happens: no counts and no times, or every restart of a pod would
rewrite a status.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmkube.desired.conditions import one_line, reason_of
from llmkube.desired.crash import crash
from llmkube.desired.fetch_result import LONGEST, Failure, last_words
from llmkube.desired.pod_part import CONTAINER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmkube.kube.objects import ContainerStateTerminated, ContainerStatus, Pod

STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
UNSCHEDULABLE = "Unschedulable"
CRASHED = "CrashLoopBackOff"
_LASTING_AFTER = 2  # restarts: what a first start meets may be gone at the next
_SYNONYMS = {"ImagePullBackOff": "ErrImagePull"}
_PULLED_BEFORE = re.compile(r'Back-off pulling image "[^"]{0,1024}": ErrImagePull: ')
"""What a kubelet puts before the error of the last pull while it waits for the next, and leaves out while it pulls."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reason for programs, and one line for people that names the pod; `lasting` when only a person can mend it."""

    reason: str
    message: str
    lasting: bool = False


def first_trouble(pods: Iterable[Pod]) -> Trouble | None:
    """Return what is wrong with the first pod that something is wrong with; pods that are going away do not count."""
    found = (trouble(each) for each in pods if each.metadata.deletion_timestamp is None)
    return next((each for each in found if each is not None), None)


def trouble(pod: Pod) -> Trouble | None:
    """Return what keeps a pod from running; None when it runs, is starting, or has done its work."""
    if pod.status.phase == "Failed" and pod.status.reason:
        return _of(pod, reason_of(pod.status.reason, otherwise="PodFailed"), pod.status.message)
    return next(_troubles(pod), None)


def is_running(pod: Pod) -> bool:
    """Whether a container of the pod's own runs."""
    return any(each.state.running is not None for each in pod.status.container_statuses)


def in_words(ended: ContainerStateTerminated) -> str:
    """Return how a container ended and its last words: `exit code 137 (OOMKilled)`."""
    words = last_words(ended.message)
    said = f"{words.reason}: {words.message}" if isinstance(words, Failure) else _last_line(ended.message)
    cause = f" ({ended.reason})" if ended.reason and ended.reason != "Error" else ""
    return one_line(f"exit code {ended.exit_code}{cause}" + (f": {said}" if said else ""))


def _troubles(pod: Pod) -> Iterator[Trouble]:
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            yield _of(pod, reason_of(condition.reason, otherwise=UNSCHEDULABLE), condition.message)
    for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        found = _of_container(pod, container)
        if found is not None:
            yield found


def _of_container(pod: Pod, container: ContainerStatus) -> Trouble | None:
    waiting, ended = container.state.waiting, container.state.terminated
    last = container.last_state.terminated
    if waiting and waiting.reason == CRASHED and last:
        return _crashed(pod, container, last, "it is restarted")
    if waiting and waiting.reason not in STARTING:
        reason = reason_of(_SYNONYMS.get(waiting.reason, waiting.reason), otherwise="Waiting")
        return _of(pod, reason, _of_pull(waiting.message) or reason, container)
    if ended and ended.exit_code != 0:
        return _crashed(pod, container, ended, "")
    if last and last.exit_code != 0 and not container.ready:
        return _crashed(pod, container, last, "it was restarted")
    return None


def _of_pull(message: str) -> str:
    before = _PULLED_BEFORE.match(message)
    return message[before.end() if before else 0 :]


def _crashed(pod: Pod, container: ContainerStatus, ended: ContainerStateTerminated, after: str) -> Trouble:
    """An engine's last lines are known for what they mean; of anything else the last one is told."""
    cause = crash(ended.exit_code, ended.reason, ended.message) if container.name == CONTAINER else None
    if cause is None:
        return _of(pod, CRASHED, "; ".join(filter(None, (in_words(ended), after))), container)
    told = _of(pod, cause.reason, f"exit code {ended.exit_code}: {cause.message}", container)
    return replace(told, lasting=cause.lasting and container.restart_count >= _LASTING_AFTER)


def _of(pod: Pod, reason: str, why: str, container: ContainerStatus | None = None) -> Trouble:
    where = f"Pod {pod.metadata.name}" + (f", container {container.name}" if container else "")
    return Trouble(reason, one_line(f"{where}: {why}" if why else f"{where}: {reason}"))


def _last_line(text: str) -> str:
    lines = text[-LONGEST:].strip().splitlines()
    return lines[-1] if lines else ""
