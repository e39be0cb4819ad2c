"""The PodDisruptionBudget of an InferenceService: a drain of nodes takes its pods one after the other.

    disruption_budget(isvc: CustomResource, scale: Scale) -> dict | None

It must never bar the drain of a node: a service of one pod has none, and pods that do not answer anyway may go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.labels import selector, service_metadata
from llmkube.desired.naming import child_name

if TYPE_CHECKING:
    from llmkube.desired.replicas import Scale
    from llmkube.kube.objects import CustomResource


def disruption_budget(isvc: CustomResource, scale: Scale) -> dict[str, Any] | None:
    """Return the budget of several pods.

    Where an autoscaler says how many there are it stays: with one pod it allows that one to go, too.
    """
    if scale.replicas < 2 and not scale.is_handed_over:
        return None
    name = isvc.metadata.name
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": service_metadata(isvc, name=child_name(name)),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(name, "inference")},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
