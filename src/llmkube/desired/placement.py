"""Where pods of an InferenceService may run, in the pod's own fields.

    placement(isvc_name: str, spec: InferenceServiceSpec, model: ModelSpec, *, architecture: str | None) -> dict

What the person says is passed on as it is. It must never drop a toleration of theirs, nor add one for GPUs where none
are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.images import ARCH
from llmkube.desired.labels import selector
from llmkube.desired.resources import gpu_resource, gpus

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import ModelSpec

_PLACES = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")


def placement(
    isvc_name: str, spec: InferenceServiceSpec, model: ModelSpec, *, architecture: str | None = None
) -> dict[str, Any]:
    """Return the fields of the pod's spec that say where it may run; none where nothing is said.

    `architecture`: the only one that the image is for.
    """
    fields = {
        "nodeSelector": (spec.node_selector or {}) | ({ARCH: architecture} if architecture else {}),
        "tolerations": _tolerations(spec, model),
        "affinity": spec.affinity.manifest() if spec.affinity else None,
        "priorityClassName": spec.priority_class_name,
        "runtimeClassName": spec.runtime_class_name,
        "topologySpreadConstraints": _spread(isvc_name, spec),
    }
    return {field: value for field, value in fields.items() if value}


def _tolerations(spec: InferenceServiceSpec, model: ModelSpec) -> list[dict[str, Any]]:
    """GPU nodes are commonly tainted with the name of their resource."""
    said = [toleration.manifest() for toleration in spec.tolerations or ()]
    own = {"key": gpu_resource(model), "operator": "Exists", "effect": "NoSchedule"}
    return said if own in said or not gpus(spec, model) else [*said, own]


def _spread(isvc_name: str, spec: InferenceServiceSpec) -> list[dict[str, Any]]:
    """A constraint that does not say which pods count means this service's; pods spread where nothing is said.

    For one replica too: another one by scaling must be no other template, which would replace the pod that serves.
    """
    own = {"labelSelector": {"matchLabels": selector(isvc_name, "inference")}}
    if spec.topology_spread_constraints is None:
        return [own | {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway"} for key in _PLACES]
    return [own | constraint.manifest() for constraint in spec.topology_spread_constraints]
