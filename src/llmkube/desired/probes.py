"""Probes of the engine, and how long its start may take.

    probes(size_bytes: int) -> dict          startupProbe, readinessProbe, livenessProbe of the container
    startup_seconds(size_bytes: int) -> int

All ask /health, which stays public with API keys: refused, then 503 while the model loads, then 200. They must never
kill an engine that works: it answers slowly while it reads a long prompt.
"""

from __future__ import annotations

from typing import Any

from llmkube.desired.service import PORT_NAME

_PERIOD = 5
_STARTUP_PERIOD = 1  # small models load in less: nobody should wait for a probe
_BASE_SECONDS = 180  # the runtime of a GPU, the vocabulary, the warm-up
_BYTES_PER_SECOND = 20 * 10**6  # a slow network disk
_MOST_SECONDS = 6 * 60 * 60


def startup_seconds(size_bytes: int) -> int:
    """Return the seconds that loading a model of that size may take."""
    return min(_BASE_SECONDS + size_bytes // _BYTES_PER_SECOND, _MOST_SECONDS)


def probes(size_bytes: int) -> dict[str, Any]:
    """Return the three probes of the container."""
    return {
        "startupProbe": _probe(period=_STARTUP_PERIOD, timeout=5, failures=startup_seconds(size_bytes)),
        "readinessProbe": _probe(period=_PERIOD, timeout=5, failures=3),
        "livenessProbe": _probe(period=20, timeout=15, failures=6),
    }


def _probe(*, period: int, timeout: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/health", "port": PORT_NAME},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }
