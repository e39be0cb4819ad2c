"""Pod Security "restricted", for every pod that the operator makes.

    pod_security() -> dict[str, Any]          securityContext of a pod
    container_security() -> dict[str, Any]    securityContext of a container

It must never be weakened for one pod: a namespace that enforces "restricted" would refuse it.
"""

from __future__ import annotations

from typing import Any

USER = 65532


def pod_security() -> dict[str, Any]:
    """Return a pod's securityContext: one user for the fetcher and the engine, who share a volume."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",  # a recursive chown of a full cache takes minutes
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Return a container's securityContext."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
