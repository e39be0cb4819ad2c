"""What several processes asked an API server to change, in an order that no delay can make look better than it was.

A write has its place where it *ended*, a write of the lease where it was *sent*: so one that is before another's
lease in the journal was over when the other had not even asked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass
class Write:
    """`status` 0: nobody waited for the answer. `holder`: whom a lease is said to be held by."""

    who: str
    method: str
    path: str
    holder: str = ""
    status: int = 0

    @property
    def is_lease(self) -> bool:
        return "/leases" in self.path

    @property
    def is_done(self) -> bool:
        return 200 <= self.status < 300


class Journal:
    def __init__(self) -> None:
        self.entries: list[Write] = []

    def sent(self, who: str, method: str, path: str, body: bytes) -> Write | None:
        """A request is about to reach the server; None when it changes nothing."""
        if method not in WRITES:
            return None
        one = Write(who, method, path)
        if one.is_lease:
            one.holder = json.loads(body)["spec"]["holderIdentity"]
            self.entries.append(one)
        return one

    def ended(self, write: Write, status: int) -> None:
        write.status = status
        if not write.is_lease:
            self.entries.append(write)

    def work_of(self, who: str) -> list[Write]:
        """What it wrote, apart from the lease."""
        return [each for each in self.entries if each.who == who and not each.is_lease]


def usurped(entries: list[Write]) -> list[Write]:
    """Writes of a process that had not got the lease, had given it up, or had lost it to another.

    Who made the lease that was not there may wait, so that its holder may not know yet that it was deleted: it has
    lost it to the other once that one works.
    """
    holder, maker, wrong = "", "", []
    for each in entries:
        if not each.is_lease:
            holder, maker = (maker, "") if each.who == maker else (holder, maker)
            wrong += [each] if each.who != holder else []
        elif each.is_done and each.method == "POST":
            maker = each.who
        elif each.is_done and each.who != maker:
            holder, maker = (each.who if each.holder else ""), ""
    return wrong
