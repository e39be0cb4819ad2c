"""Objects in SQLite: every write is one transaction with one new resourceVersion, and what changed is kept for watches.

Reads come from memory, which holds what is committed and nothing else. WAL with synchronous=NORMAL: kill -9 loses
no committed write. It knows nothing of Kubernetes but the key of an object and its resourceVersion.
"""

from __future__ import annotations

import bisect
import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmkube.local.objects import Key, Object, key_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HISTORY = 5000
SLACK = 1000
SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, data TEXT NOT NULL,
  PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
  revision INTEGER PRIMARY KEY, type TEXT NOT NULL, resource TEXT NOT NULL, data TEXT NOT NULL, old TEXT);
CREATE TABLE IF NOT EXISTS counter (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 1);
"""

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True)
class WatchEvent:
    """One committed change. For DELETED, `object` is the last state, with the resourceVersion of the deletion."""

    type: ChangeType
    resource: str
    object: Object
    old: Object | None
    revision: int


class Storage:
    def __init__(self, database: Path) -> None:
        database.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(database, isolation_level=None)
        database.chmod(0o600)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(SCHEMA)
        self._objects: defaultdict[str, dict[Key, Object]] = defaultdict(dict)
        self._history: list[WatchEvent] = []
        self._load()

    def _load(self) -> None:
        self.revision: int = self._connection.execute("SELECT revision FROM counter").fetchone()[0]
        for resource, data in self._connection.execute("SELECT resource, data FROM objects"):
            obj = json.loads(data)
            self._objects[resource][key_of(obj)] = obj
        rows = self._connection.execute("SELECT revision, type, resource, data, old FROM history ORDER BY revision")
        for revision, change, resource, data, old in rows:
            before = json.loads(old) if old else None
            self._history.append(WatchEvent(change, resource, json.loads(data), before, revision))

    def close(self) -> None:
        self._connection.close()

    def get(self, resource: str, key: Key) -> Object | None:
        return self._objects[resource].get(key)

    def all(self, resource: str) -> dict[Key, Object]:
        return self._objects[resource]

    def reshape(self, resource: str, change: Callable[[Object], Object]) -> None:
        """Shows every object of a resource otherwise than it was written; that is no change that is told."""
        self._objects[resource] = {key: change(obj) for key, obj in self._objects[resource].items()}

    def write(self, change: ChangeType, resource: str, obj: Object) -> WatchEvent:
        """Commits one change under the next revision; returns it with the revision in the object."""
        revision = self.revision + 1
        key = key_of(obj)
        old = self._objects[resource].get(key)
        stored = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}
        event = WatchEvent(change, resource, stored, old, revision)
        self._commit(event, key)
        self.revision = revision
        if change == "DELETED":
            self._objects[resource].pop(key, None)
        else:
            self._objects[resource][key] = stored
        self._remember(event)
        return event

    def _commit(self, event: WatchEvent, key: Key) -> None:
        data = json.dumps(event.object, separators=(",", ":"))
        old = json.dumps(event.old, separators=(",", ":")) if event.old is not None else None
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            if event.type == "DELETED":
                execute("DELETE FROM objects WHERE resource=? AND namespace=? AND name=?", (event.resource, *key))
            else:
                execute("REPLACE INTO objects VALUES (?, ?, ?, ?)", (event.resource, *key, data))
            execute(
                "INSERT INTO history VALUES (?, ?, ?, ?, ?)", (event.revision, event.type, event.resource, data, old)
            )
            execute("UPDATE counter SET revision=?", (event.revision,))
            execute("COMMIT")
        except sqlite3.Error:
            execute("ROLLBACK")
            raise

    def _remember(self, event: WatchEvent) -> None:
        self._history.append(event)
        if len(self._history) > HISTORY + SLACK:
            del self._history[: len(self._history) - HISTORY]
            self._connection.execute("DELETE FROM history WHERE revision < ?", (self._history[0].revision,))

    @property
    def oldest(self) -> int:
        """The revision before the oldest change that is remembered: a watch may resume from here on."""
        return self._history[0].revision - 1 if self._history else self.revision

    def since(self, revision: int) -> list[WatchEvent]:
        return self._history[bisect.bisect_right(self._history, revision, key=lambda event: event.revision) :]
