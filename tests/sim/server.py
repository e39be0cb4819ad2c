"""The model API server: requests in, bytes out, watches as streams of lines. Right, quick, and never lost: faults are
the network's (network.py)."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from tests.sim.state import KINDS, Event, State, refused

from llmkube.kube.kinds import Key
from llmkube.kube.transport import APPLY_PATCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.sim.ownership import Manifest

BOOKMARK_PERIOD = 60.0
INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


class Target(NamedTuple):
    """What a path names."""

    resource: str
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


def target_of(path: str) -> Target:
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    resource, name, subresource = (*parts, "", "")[:3]
    return Target(resource, namespace, name, subresource)


class Server:
    """`state` is the truth. `watch_lists` says whether a watch may begin with the initial events (KEP-3157)."""

    def __init__(self, *, watch_lists: bool = True) -> None:
        self.state = State()
        self.watch_lists = watch_lists
        self.page_limit = 500
        self._pages: dict[str, list[Manifest]] = {}
        self._tokens = itertools.count()

    def answer(self, method: str, path: str, params: Mapping[str, str], body: bytes | None, content_type: str) -> bytes:
        """Do one request; raise ApiError."""
        target = target_of(path)
        sent = msgspec.json.decode(body) if body else {}
        found = self._do(method, target, params, sent, content_type)
        return found if isinstance(found, bytes) else msgspec.json.encode(found)

    def _do(self, method: str, at: Target, params: Mapping[str, str], sent: Manifest, content_type: str) -> Any:
        match method:
            case "GET" if at.subresource == "log":
                self.state.get(at.resource, at.key)
                return b""
            case "GET" if at.name:
                return self.state.get(at.resource, at.key)
            case "GET":
                return self._list(at, params)
            case "POST":
                return self.state.create(at.resource, _complete(at.resource, sent))
            case "PUT":
                return self.state.replace(at.resource, sent)
            case "PATCH" if content_type == APPLY_PATCH:
                return self.state.apply(at.resource, sent, params["fieldManager"], at.subresource)
            case "PATCH":
                return self.state.patch(at.resource, at.key, sent, at.subresource)
            case "DELETE":
                uid = sent.get("preconditions", {}).get("uid")
                return self.state.delete(at.resource, at.key, uid)
        raise AssertionError(method)

    def _list(self, at: Target, params: Mapping[str, str]) -> Manifest:
        token = params.get("continue")
        if token and token not in self._pages:
            raise refused(410, "Expired", "the provided continue parameter is too old")
        items = self._pages.pop(token) if token else self._matching(at, params)
        limit = min(int(params.get("limit", "1000000")), self.page_limit) if "limit" in params else len(items)
        page, rest = items[:limit], items[limit:]
        metadata = {"resourceVersion": str(self.state.version)}
        if rest:
            metadata["continue"] = f"{at.resource}-{next(self._tokens)}"  # one list's alone, however alike another is
            self._pages[metadata["continue"]] = rest
        return {"metadata": metadata, "items": page}

    def expire_pages(self) -> None:
        """Continue tokens are for five minutes; these were."""
        self._pages.clear()

    def select(self, resource: str, selector: str, namespace: str = "") -> list[Manifest]:
        """What a list with a label selector holds."""
        return [each for each in self.state.items(resource, namespace) if matches(each, selector)]

    def _matching(self, at: Target, params: Mapping[str, str]) -> list[Manifest]:
        return self.select(at.resource, params.get("labelSelector", ""), at.namespace)

    async def watch(self, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Lines, as long as the client wants them; raise ApiError before the first."""
        at, selector = target_of(path), params.get("labelSelector", "")
        seen = int(params.get("resourceVersion") or 0)
        if params.get("sendInitialEvents"):
            if not self.watch_lists:
                raise refused(422, "Invalid", "sendInitialEvents is forbidden")
            seen = self.state.version
            for each in reversed(self._matching(at, params)):  # in no order of versions
                yield line("ADDED", at.resource, each)
            yield bookmark(at.resource, seen, INITIAL_EVENTS_END)
        expired = seen < self.state.compacted  # from then on only what this resource itself lost is lost
        history = self.state.histories[at.resource]
        ends = asyncio.get_running_loop().time() + float(params["timeoutSeconds"])
        while asyncio.get_running_loop().time() < ends:
            if expired or seen < history.forgotten:
                gone = {"code": 410, "reason": "Expired", "message": "too old"}
                yield msgspec.json.encode({"type": "ERROR", "object": gone})
                return
            changed = history.changed
            for each in history.after(seen):
                if (told := _told(each, at, selector)) is not None:
                    yield told
                seen = each.version
            if changed is history.changed and await _silent(changed):
                seen = self.state.version
                yield bookmark(at.resource, seen, {})


def matches(obj: Manifest, selector: str) -> bool:
    """Equalities only: the operator asks for nothing else."""
    labels = obj["metadata"].get("labels", {})
    return all(
        labels.get(name) == value for name, _, value in (each.partition("=") for each in selector.split(",") if each)
    )


def line(kind: str, resource: str, obj: Manifest) -> bytes:
    return msgspec.json.encode({"type": kind, "object": _complete(resource, obj)})


def bookmark(resource: str, version: int, annotations: Mapping[str, str]) -> bytes:
    return line("BOOKMARK", resource, {"metadata": {"resourceVersion": str(version), "annotations": dict(annotations)}})


def _complete(resource: str, obj: Manifest) -> Manifest:
    kind = KINDS[resource]
    return {"apiVersion": kind.api_version, "kind": kind.kind, **obj}


def _told(event: Event, at: Target, selector: str) -> bytes | None:
    """What a watcher of this collection hears of an event: an object that leaves the selector is deleted to it."""
    obj = event.after or event.before
    assert obj is not None
    if at.namespace not in ("", obj["metadata"].get("namespace", "")):
        return None
    was = event.before is not None and matches(event.before, selector)
    is_now = event.after is not None and matches(event.after, selector)
    if not was and not is_now:
        return None
    kind = ("MODIFIED" if was else "ADDED") if is_now else "DELETED"
    return line(kind, at.resource, obj)


async def _silent(changed: asyncio.Event) -> bool:
    """Whether nothing changed for as long as a bookmark takes to come."""
    try:
        async with asyncio.timeout(BOOKMARK_PERIOD):
            await changed.wait()
    except TimeoutError:
        return not changed.is_set()  # it may have come at the very moment
    return False
