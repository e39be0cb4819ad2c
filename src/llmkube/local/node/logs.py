"""Container logs for the API server: CRI log files to the bytes that `kubectl logs` prints, and following them.

Reading never blocks for long (files are read in bounded pieces) and never writes.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from llmkube.local.node import attempts
from llmkube.local.node.attempts import Attempt
from llmkube.local.node.machine import pod_directory
from llmkube.local.objects import Object, Registry, bad_request, container_of, status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

POLL = 0.15
PIECE = 256 * 1024
FALLBACK_LINES = 80
FALLBACK_BYTES = 2048


class Line(NamedTuple):
    """One CRI log line: time, whether it ends a line of output, text."""

    at: str
    whole: bool
    text: bytes

    def shown(self, *, timestamps: bool) -> bytes:
        prefix = f"{self.at} ".encode() if timestamps else b""
        return prefix + self.text + (b"\n" if self.whole else b"")


def parse(line: bytes) -> Line:
    at, _, rest = line.partition(b" ")
    _, _, rest = rest.partition(b" ")
    tag, _, text = rest.partition(b" ")
    return Line(at.decode("ascii", "replace"), tag == b"F", text)


def last_lines(log: Path) -> str:
    """The end of a log, for a termination message."""
    text = b"".join(line.shown(timestamps=False) for line in list(_lines(log))[-FALLBACK_LINES:])
    return text[-FALLBACK_BYTES:].decode("utf-8", "replace")


class LogReader:
    """Logs by pod and container. Raises the API's own errors before the first byte."""

    def __init__(self, registry: Registry, pods: Path) -> None:
        self._registry = registry
        self._pods = pods

    async def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        previous: bool = False,
        since_seconds: int | None = None,
        timestamps: bool = False,
    ) -> AsyncIterator[bytes]:
        """The bytes, to their end or (follow) until the container's run ends."""
        found = self._registry.get("pods", namespace, pod)
        attempt = self._attempt(found, container_of(found, container), previous=previous)
        since = (datetime.now(UTC) - timedelta(seconds=since_seconds)).isoformat() if since_seconds else ""
        return _stream(attempt, follow=follow and not previous, tail=tail, since=since[:19], timestamps=timestamps)

    def _attempt(self, pod: Object, container: str, *, previous: bool) -> Attempt:
        name = pod["metadata"]["name"]
        attempt = attempts.latest(pod_directory(self._pods, pod) / container)
        if previous:
            if attempt is None or attempt.number == 0:
                raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
            return Attempt(attempt.directory, attempt.number - 1)
        if attempt is None:
            reason = _waiting_reason(pod, container)
            raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')
        return attempt


def _waiting_reason(pod: Object, container: str) -> str:
    status = status_of(pod)
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    waiting = [one["state"].get("waiting") or {} for one in statuses if one["name"] == container]
    return str(waiting[0].get("reason", "ContainerCreating")) if waiting else "ContainerCreating"


async def _stream(
    attempt: Attempt, *, follow: bool, tail: int | None, since: str, timestamps: bool
) -> AsyncIterator[bytes]:
    files = [attempt.log.with_name(attempt.log.name + ".1"), attempt.log]
    follower = _Follower(attempt.log)
    lines = [line for path in files for line in (follower.read() if path == attempt.log else _lines(path))]
    chosen = [line for line in lines if line.at[:19] >= since]
    chosen = chosen[len(chosen) - min(tail, len(chosen)) :] if tail is not None else chosen
    for piece in _joined(chosen, timestamps=timestamps):
        yield piece
    while follow:
        alive = attempt.alive()  # asked before the read: what was written before the end is read
        for piece in _joined(follower.read(), timestamps=timestamps):
            yield piece
        if not alive:
            return
        await asyncio.sleep(POLL)


def _joined(lines: Iterable[Line], *, timestamps: bool) -> Iterator[bytes]:
    """Lines in pieces large enough to be cheap."""
    piece = bytearray()
    for line in lines:
        piece += line.shown(timestamps=timestamps)
        if len(piece) > PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _lines(path: Path) -> Iterator[Line]:
    try:
        with path.open("rb") as file:
            yield from (parse(line.rstrip(b"\n")) for line in file)
    except FileNotFoundError:
        return


class _Follower:
    """Reads what was appended since the last read, across a rotation. Only whole records are given."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._offset = 0

    def read(self) -> list[Line]:
        lines: list[Line] = []
        rotated = self._path.with_name(self._path.name + ".1")
        if self._inode and _inode(self._path) not in {0, self._inode}:
            if _inode(rotated) == self._inode:
                lines += self._rest(rotated)
            self._offset = 0
        self._inode = _inode(self._path) or self._inode
        return lines + self._rest(self._path)

    def _rest(self, path: Path) -> list[Line]:
        try:
            with path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [parse(line) for line in whole.splitlines()]


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
