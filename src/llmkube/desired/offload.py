"""Layers on GPUs: what was planned against what the engine did.

    observed_offload(plan: Plan | None, observed: int | None, previous: Offload | None) -> Offload | None
    offload_trouble(offload: Offload | None) -> Trouble | None

A service that silently runs on the CPU answers, some ten times slower: it is Available, and Degraded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api.inference_status import Offload
from llmkube.desired.pod_trouble import Trouble

if TYPE_CHECKING:
    from llmkube.api.inference_status import Plan

_STEP = (
    "look at `kubectl logs POD | grep load_tensors`, and see that spec.image has a backend for the GPU, that "
    "the node's driver fits it, and that spec.runtimeClassName is the GPU's where the cluster has one"
)


def observed_offload(plan: Plan | None, observed: int | None, previous: Offload | None) -> Offload | None:
    """Return both numbers. What was observed stays until something else is: a log is read once, and may be gone."""
    if plan is None:
        return None
    known = previous.observed if previous and previous.planned == plan.gpu_layers else None
    return Offload(planned=plan.gpu_layers, observed=known if observed is None else observed)


def offload_trouble(offload: Offload | None) -> Trouble | None:
    """Return what is missing; nothing where it is not known."""
    if offload is None or offload.observed is None or offload.observed >= offload.planned:
        return None
    found = f"{offload.planned} layers were to be on GPUs, and the engine has put {offload.observed} there"
    if offload.observed == 0:
        return Trouble("SilentCPU", f"{found}: it runs on the CPU; {_STEP}")
    return Trouble("OffloadMissing", f"{found}; {_STEP}")
