"""The report of `llmkube status`: from what was found to the text, and to the one step to take next. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.cli import pods
from llmkube.cli.output import age, aligned, printable, size
from llmkube.cli.view import said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmkube.cli.view import View

Manifest = dict[str, Any]
MOST_EVENTS = 10


@dataclass(frozen=True)
class Found:
    """All that is known of one object."""

    view: View
    manifest: Manifest
    model: View | None = None
    pods: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()
    log: Sequence[str] = ()
    log_of: str = ""


def report(found: Found) -> str:
    """Return the whole report."""
    sections = (
        _section("", [[f"{key}:", value] for key, value in _summary(found)]),
        _section("Conditions", _conditions(found.manifest)),
        _section("Pods", _pods(found.pods)),
        _lines("", [line for pod in found.pods for line in pods.complaints(pod)]),
        _section("Events", _events(found.events)),
        _lines(f"Last lines of {found.log_of}", found.log),
        _lines("", [f"Next: {next_step(found)}"]),
    )
    return "\n".join(section for section in sections if section)


def next_step(found: Found) -> str:
    """Return the one thing to do now."""
    view, name = found.view, found.view.name
    if not view.phase:
        return "no operator has reported on it: look at `kubectl -n llmkube-system get pods`, or run `llmkube local up`"
    if view.kind == "Model":
        return _next_for_model(view)
    if view.phase == "WaitingForModel":
        return _next_without_model(found)
    if view.phase == "WaitingForGPU":
        return "no node has the GPUs it asks for: look at Events above, add a node, or lower spec.resources.gpu"
    if any(pods.restarts(pod) for pod in found.pods) and view.state != "ready":
        return f"its engine was restarted: `llmkube logs {name} --previous` says why"
    if view.state == "failed":
        return "correct what the condition says and apply the document again"
    return _next_when_well(found)


def _next_when_well(found: Found) -> str:
    view, name = found.view, found.view.name
    if view.phase == "Ready":
        return f"nothing; talk to it with `llmkube chat {name}`"
    if view.phase == "Stopped":
        return f"start it with `llmkube scale {name} --replicas 1`"
    return f"wait, with `llmkube wait {name}`"


def _next_for_model(view: View) -> str:
    if view.state == "failed":
        return f"correct what it says and apply the document again; `llmkube logs model/{view.name}` has details"
    if view.state == "ready":
        return f"nothing; serve it with an InferenceService whose modelRef is {view.name}"
    return f"wait, with `llmkube wait model/{view.name}`"


def _next_without_model(found: Found) -> str:
    reference = found.view.spec.model_ref
    if found.model is None:
        return f"there is no Model {reference!r} in this namespace: apply one, or correct spec.modelRef"
    if found.model.state == "failed":
        return f"its Model failed: `llmkube status model/{reference}` says why"
    return f"wait for its Model, with `llmkube wait {found.view.name}`"


def _summary(found: Found) -> Iterator[tuple[str, str]]:
    view, metadata = found.view, found.manifest["metadata"]
    yield "Name", f"{view.reference} in namespace {view.namespace}"
    yield "Status", said(view)
    if view.kind == "InferenceService":
        yield "Model", view.spec.model_ref + (f" ({said(found.model)})" if found.model else " (not there)")
        yield "Replicas", f"{view.status.ready_replicas} ready of {view.status.desired_replicas}"
        yield "Endpoint", printable(view.status.endpoint)
        if view.status.external_endpoint:
            yield "Outside", printable(view.status.external_endpoint)
        yield from _plan((found.manifest.get("status") or {}).get("plan") or {})
    else:
        yield "Source", printable(view.spec.source)
        status = found.manifest.get("status") or {}
        yield from _facts(status.get("gguf") or {})
        yield from _bytes(status)
    yield "Age", age(metadata.get("creationTimestamp"))


def _plan(plan: Manifest) -> Iterator[tuple[str, str]]:
    if not plan:
        return
    layers = f"{plan.get('gpuLayers')} of {plan.get('totalLayers')} layers on GPUs"
    why = printable(plan.get("message")) if plan.get("message") else layers
    yield "Plan", f"context of {plan.get('contextSize')} tokens; {why}"


def _facts(gguf: Manifest) -> Iterator[tuple[str, str]]:
    told = [gguf.get(key) for key in ("name", "architecture", "quantization", "license")]
    if any(told):
        yield "GGUF", ", ".join(printable(each) for each in told if each)


def _bytes(status: Manifest) -> Iterator[tuple[str, str]]:
    """What a Model needs in memory, its projector, and what is kept of before."""
    if memory := status.get("memory"):
        parts = [
            f"{size(memory.get('weights') or 0)} of weights",
            f"{size(memory.get('kvCachePerToken') or 0)} a token",
        ]
        yield "Memory", ", ".join([*parts, f"{size(memory.get('computeEstimate') or 0)} to compute"])
    if projector := status.get("mmproj"):
        is_verified = "verified" if projector.get("path") else "not verified yet"
        yield "Projector", f"{printable(projector.get('source'))} ({is_verified})"
    for each in status.get("retained") or ():
        digest, claim = printable(each.get("sha256"))[:12], printable(each.get("claim"))
        yield "Before", f"{digest}, {size(each.get('sizeBytes') or 0)} in claim {claim}, kept until no pod uses it"


def _conditions(manifest: Manifest) -> list[list[str]]:
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    rows = [
        [
            each.get("type"),
            each.get("status"),
            each.get("reason"),
            age(each.get("lastTransitionTime")),
            each.get("message"),
        ]
        for each in conditions
    ]
    return _table(["TYPE", "STATUS", "REASON", "AGE", "MESSAGE"], rows)


def _pods(found: Sequence[Manifest]) -> list[list[str]]:
    rows = [
        [
            pod["metadata"]["name"],
            pods.in_words(pod),
            pods.restarts(pod),
            (pod.get("spec") or {}).get("nodeName"),
            age(pod["metadata"].get("creationTimestamp")),
        ]
        for pod in found
    ]
    return _table(["NAME", "STATUS", "RESTARTS", "NODE", "AGE"], rows)


def event_time(event: Manifest) -> str:
    """Return when an event happened last, whichever of its fields says so."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("deprecatedLastTimestamp"), event.get("eventTime"))
    return str(next((each for each in times if each), event["metadata"].get("creationTimestamp")))


def _events(events: Sequence[Manifest]) -> list[list[str]]:
    newest = sorted(events, key=event_time)[-MOST_EVENTS:]
    rows = []
    for event in newest:
        regarding = event.get("regarding") or {}
        about = f"{str(regarding.get('kind', '')).lower()}/{regarding.get('name')}"
        rows.append([age(event_time(event)), event.get("type"), event.get("reason"), about, event.get("note")])
    return _table(["AGE", "TYPE", "REASON", "ABOUT", "NOTE"], rows)


def _table(titles: list[str], rows: Sequence[Sequence[object]]) -> list[list[str]]:
    return [titles, *([printable(cell) for cell in row] for row in rows)] if rows else []


def _section(title: str, rows: Sequence[Sequence[str]]) -> str:
    return _lines(title, aligned(rows).splitlines())


def _lines(title: str, lines: Sequence[str]) -> str:
    """Return lines below a title; nothing when there are none."""
    if not lines:
        return ""
    indented = "".join(f"{'  ' if title else ''}{printable(each)}\n" for each in lines)
    return f"{title}:\n{indented}" if title else indented
