"""Probes of the engine, and how long its start may take.

    probes(said: Probes | None, size_bytes: int) -> dict    the container's startupProbe, readinessProbe, livenessProbe
    secured(probes: dict) -> dict                           the same, of an engine that answers by HTTPS alone
    startup_seconds(said: Probes | None, size_bytes: int) -> int

All ask /health, which stays public with API keys: refused, then 503 while the model loads, then 200. They must never
kill an engine that works: it answers slowly while it reads a long prompt. An engine that they do kill is not waited for
as one that stops is: nobody gets an answer of it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.service import PORT_NAME

if TYPE_CHECKING:
    from llmkube.api.container import Probes, ProbeTiming

_BASE_SECONDS = 180  # the runtime of a GPU, the vocabulary, the warm-up
_BYTES_PER_SECOND = 20 * 10**6  # a slow network disk
_MOST_SECONDS = 6 * 60 * 60
_GRACE_SECONDS = 10  # of a pod that a probe kills, in place of the pod's own
_STARTUP_PERIOD = 1  # small models load in less: nobody should wait for a probe
_READINESS = {"periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3}
_LIVENESS = {"periodSeconds": 20, "timeoutSeconds": 15, "failureThreshold": 6}


def startup_seconds(said: Probes | None, size_bytes: int) -> int:
    """Return the seconds that a start may take: what was said, else by the bytes that are loaded."""
    probe = probes(said, size_bytes)["startupProbe"]
    return int(probe.get("initialDelaySeconds", 0) + probe["failureThreshold"] * probe["periodSeconds"])


def probes(said: Probes | None, size_bytes: int) -> dict[str, Any]:
    """Return the three probes of the container; each number that is said counts instead of the own."""
    startup, readiness, liveness = (said.startup, said.readiness, said.liveness) if said else (None, None, None)
    return {
        "startupProbe": _probe(startup, _startup(startup, size_bytes))
        | {"terminationGracePeriodSeconds": _GRACE_SECONDS},
        "readinessProbe": _probe(readiness, _READINESS),
        "livenessProbe": _probe(liveness, _LIVENESS) | {"terminationGracePeriodSeconds": _GRACE_SECONDS},
    }


def secured(probes: dict[str, Any]) -> dict[str, Any]:
    """Return the same probes by HTTPS, whose certificate a kubelet does not verify."""
    return {name: {**probe, "httpGet": {**probe["httpGet"], "scheme": "HTTPS"}} for name, probe in probes.items()}


def _startup(said: ProbeTiming | None, size_bytes: int) -> dict[str, int]:
    """As many looks as the time is long: another period leaves the time as it is."""
    period = (said and said.period_seconds) or _STARTUP_PERIOD
    seconds = min(_BASE_SECONDS + size_bytes // _BYTES_PER_SECOND, _MOST_SECONDS)
    return {"periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": -(-seconds // period)}


def _probe(said: ProbeTiming | None, own: dict[str, int]) -> dict[str, Any]:
    return {"httpGet": {"path": "/health", "port": PORT_NAME}} | own | (said.manifest() if said else {})
