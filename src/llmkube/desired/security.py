"""Pod Security "restricted", for every pod that the operator makes.

    pod_security() -> dict[str, Any]          securityContext of a pod
    container_security() -> dict[str, Any]    securityContext of a container
    user_namespace(settings) -> dict[str, Any]    field of a pod's spec

It must never be weakened for one pod: a namespace that enforces "restricted" would refuse it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmkube.desired.settings import OperatorSettings

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


def user_namespace(settings: OperatorSettings) -> dict[str, Any]:
    """Return hostUsers (KEP-127) where it was asked for: not every runtime and file system can."""
    return {"hostUsers": False} if settings.user_namespaces else {}
