"""What a person is told of a Model or an InferenceService while it gets ready: pure functions of what was last seen.

Reads status, never judges a spec; asks nothing of the cluster and prints nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from llmkube.cli.output import duration, printable, size
from llmkube.kube.errors import UNREADABLE

if TYPE_CHECKING:
    from llmkube.kube.objects import CustomResource

State = Literal["waiting", "ready", "failed"]
_TROUBLE = {"Degraded": "True"}
_HELD_UP = {"Pending", "WaitingForGPU", "Failed"}
_EXPLAINING = ("Resolved", "Cached", "ModelReady", "Scheduled", "Available", "Progressing")
_WORDS = {
    "": "waiting for the operator",
    "WaitingForModel": "waiting for the model",
    "WaitingForGPU": "waiting for a GPU",
    "Creating": "scheduling",
    "Progressing": "loading the model",
}


class Condition(Struct, frozen=True, rename="camel"):
    """A condition, as far as it is told."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


class Progress(Struct, frozen=True, rename="camel"):
    """How far a download is."""

    bytes: int = 0
    percent: int = 0
    bytes_per_second: int = 0


class Status(Struct, frozen=True, rename="camel"):
    """What both kinds report."""

    phase: str = ""
    observed_generation: int = 0
    size_bytes: int = 0
    progress: Progress | None = None
    conditions: tuple[Condition, ...] = ()
    ready_replicas: int = 0
    desired_replicas: int = 0
    endpoint: str = ""
    external_endpoint: str = ""


class Spec(Struct, frozen=True, rename="camel"):
    """The fields of either spec that are told, or that lead to another object."""

    source: str = ""
    model_ref: str = ""


class View(Struct, frozen=True):
    """One object as it was last seen."""

    kind: str
    namespace: str
    name: str
    generation: int = 0
    spec: Spec = Spec()
    status: Status = Status()
    deleted: bool = False

    @property
    def reference(self) -> str:
        """`model/smollm2`."""
        return f"{self.kind.lower()}/{self.name}"

    @property
    def phase(self) -> str:
        """The phase, or nothing while the status is about an older generation of the object."""
        return self.status.phase if self.status.observed_generation >= max(1, self.generation) else ""

    @property
    def state(self) -> State:
        """Whether there is anything left to wait for."""
        if self.phase == "Failed" or self.deleted:
            return "failed"
        return "ready" if self.phase in {"Ready", "Stopped"} else "waiting"

    @property
    def trouble(self) -> str:
        """The message of the condition that says what is wrong, or what is waited for."""
        if not self.phase:
            return ""
        degraded = [each for each in self.status.conditions if _TROUBLE.get(each.type) == each.status]
        if self.state != "ready" and (degraded or self.phase in _HELD_UP):
            found = degraded or [each for each in self._explaining() if each.status == "False"]
            return printable(found[0].message) if found and found[0].message else ""
        return ""

    @property
    def last_condition(self) -> str:
        """The condition that best says why it is not ready, for the line of a time-out."""
        explaining = [each for each in self._explaining() if each.status != "True" and each.message]
        if not explaining:
            return "no operator has reported on it; is the operator running?" if not self.phase else self.phase
        return printable(f"{explaining[0].type} is {explaining[0].status}: {explaining[0].message}")

    def _explaining(self) -> list[Condition]:
        """The conditions in the order in which one holds up the next."""
        by_type = {each.type: each for each in self.status.conditions}
        return [by_type[name] for name in _EXPLAINING if name in by_type]


def view_of(obj: CustomResource, *, kind: str, deleted: bool = False) -> View:
    """Return what is told of an object; a status or spec that is not as expected tells nothing.

    Items of a list do not say their kind: the one who listed them does.
    """
    return View(
        kind=kind,
        namespace=obj.metadata.namespace,
        name=obj.metadata.name,
        generation=obj.metadata.generation,
        spec=_decoded(obj.spec, Spec),
        status=_decoded(obj.status, Status),
        deleted=deleted,
    )


def _decoded(raw: msgspec.Raw, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE:
        return kind()


def said(view: View) -> str:
    """Return the words for where an object is."""
    if view.deleted:
        return "deleted while it was waited for"
    if view.phase == "Failed":
        return f"failed: {view.trouble or 'no condition says why'}"
    words = {"Ready": _ready, "Resolving": _resolving, "Downloading": _downloading}.get(view.phase, _plain)(view)
    return f"{words}: {view.trouble}" if view.trouble else words


def changed(old: View | None, new: View) -> bool:
    """Whether a log of one line per phase gets a new line."""
    if old is None:
        return True
    return (old.phase, old.deleted, old.trouble) != (new.phase, new.deleted, new.trouble)


def _plain(view: View) -> str:
    return _WORDS.get(view.phase, view.phase.lower())


def _resolving(view: View) -> str:
    return f"resolving {printable(view.spec.source)}"


def _ready(view: View) -> str:
    if view.kind == "Model":
        return f"ready, {size(view.status.size_bytes)} verified" if view.status.size_bytes else "ready"
    return f"ready at {printable(view.status.endpoint)}" if view.status.endpoint else "ready"


def _downloading(view: View) -> str:
    """Say how far the download is, how fast, and how long it still takes."""
    progress, total = view.status.progress, view.status.size_bytes
    if progress is None or not progress.bytes:
        return f"downloading {size(total)}" if total else "downloading"
    parts = [f"downloading {size(progress.bytes)}" + (f" of {size(total)}" if total else f" ({progress.percent}%)")]
    if progress.bytes_per_second:
        parts.append(f"{size(progress.bytes_per_second)}/s")
        if total > progress.bytes:
            parts.append(f"{duration((total - progress.bytes) / progress.bytes_per_second)} left")
    return ", ".join(parts)
