"""What the runs of the contenders come to, held against each other."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from statistics import mean, stdev
from typing import NamedTuple

from tests.bench.figures import Figure

BARE = "bare client"


class Run(NamedTuple):
    """Services in a second, and for each service: milliseconds of CPU of the contender, of the API server and of etcd,
    and the writes. That of etcd is of the time from the first object to the last, as the rate is."""

    rate: float
    cpu: float
    server_cpu: float
    etcd_cpu: float
    writes: float

    @property
    def pace(self) -> float:
        """Services in the time in which etcd uses a second of CPU: the rate, had every run found the same machine.

        etcd has the same work of whoever writes as much; how much CPU it needs for that tells how fast the machine was.
        """
        return self.rate * self.etcd_cpu


class Ratio(NamedTuple):
    """Of two means, and its standard error, 0 where one run says nothing of it."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"± {self.error:.3f}" if self.error else ""


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Of what was measured by turns, however often each."""
    value = mean(ours) / mean(theirs)
    return Ratio(value, value * math.hypot(*(relative_error(each) for each in (ours, theirs))))


def relative_error(values: Sequence[float]) -> float:
    """Of their mean."""
    return stdev(values) / math.sqrt(len(values)) / mean(values) if len(values) > 1 else 0.0


def compared(count: int, runs: dict[str, list[Run]], *, spent: int) -> list[Figure]:
    """LLMKube against everybody, and the bare client that is slower on purpose against the one that is not."""
    ours = runs.pop("llmkube")
    slower = next((runs.pop(name) for name in tuple(runs) if name.endswith("slower")), None)
    checks = checked(slower, runs, spent) if slower else []
    return [
        Figure(f"convergence of {count:,} InferenceServices", mean(run.rate for run in ours), "services/s"),
        Figure("  CPU for each", mean(run.cpu for run in ours), "ms"),
        Figure("  CPU of the API server for each", mean(run.server_cpu for run in ours), "ms"),
        Figure("  writes for each", max(run.writes for run in ours), "writes", "least", 3.0, at_least=False),
        *(each for name, theirs in runs.items() for each in against(name, ours, theirs)),
        *checks,
    ]


def against(name: str, ours: list[Run], theirs: list[Run]) -> list[Figure]:
    """The rate, as it was, and for the bare client the pace beside it, which tells smaller differences apart: both
    write as much and keep the machine as busy, which it needs."""
    is_bare = name.startswith(BARE)
    target = 0.9 if is_bare else 1.0
    rate = ratio([run.rate for run in ours], [run.rate for run in theirs])
    pace = ratio([run.pace for run in ours], [run.pace for run in theirs])
    cpu = ratio([run.cpu for run in ours], [run.cpu for run in theirs])
    their, writes = mean(run.rate for run in theirs), mean(run.writes for run in theirs)
    told = f"{rate}, of {their:.1f}/s, {writes:.1f} writes".removeprefix(", ")
    at_one_speed = [Figure("  rate at one speed of the machine", pace.value, str(pace), name, target)]
    return [
        Figure("  rate", rate.value, told, name, target),
        *(at_one_speed if is_bare else ()),
        Figure("  CPU", cpu.value, f"of {mean(run.cpu for run in theirs):.1f} ms", name),
    ]


def checked(slower: list[Run], runs: dict[str, list[Run]], spent: int) -> list[Figure]:
    """What the measure makes of a known slow-down, and what it is by arithmetic: all processors are busy."""
    name = next(each for each in reversed(runs) if each.startswith(BARE))
    found = ratio([run.pace for run in slower], [run.pace for run in runs[name]])
    known = 1 - spent / (os.cpu_count() or 1) * mean(run.rate for run in slower) / 1000
    told = f"{found}, known to be {known:.3f}".removeprefix(", ")
    return [Figure(f"  rate at one speed of a bare client that wastes {spent} ms", found.value, told, name)]
