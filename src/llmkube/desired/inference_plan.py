"""What is decided of an InferenceService before anything is rendered: may it be, what it waits for, how it fits.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api import quantity
from llmkube.api.conditions import AVAILABLE
from llmkube.api.inference_status import Plan, PlanMemory
from llmkube.desired.arguments import effective_context, refused_extra_args
from llmkube.desired.conditions import one_line
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resources import gpus, needs

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import ModelSpec, ModelStatus
    from llmkube.kube.objects import CustomResource, Object


def refused(spec: InferenceServiceSpec) -> Trouble | None:
    """Return why the spec is not honoured although it can be read."""
    lines = refused_extra_args(spec)
    return Trouble("ExtraArgsRefused", one_line("; ".join(lines))) if lines else None


def model_trouble(name: str, model: CustomResource | None, status: ModelStatus) -> Trouble | None:
    """Return why the Model cannot be served (any more, or yet); None when its verified bytes can be."""
    if model is None:
        fix = "apply one, or correct spec.modelRef"
        return Trouble("ModelNotFound", f"spec.modelRef: expected a Model {name} in the namespace, found none; {fix}")
    if model.metadata.deletion_timestamp is not None:
        return Trouble("ModelDeleted", f"Model {name} is being deleted; apply it again, or name another one")
    current = (status.observed_generation or 0) >= model.metadata.generation
    if current and status.phase == "Ready" and status.sha256 and status.path:
        return None
    if current and status.phase == "Failed":
        said = next((each.message for each in status.conditions if each.type == AVAILABLE), "no condition says why")
        return Trouble("ModelFailed", one_line(f"Model {name} failed: {said}"))
    return Trouble("ModelNotReady", f"Model {name} is not ready yet: {status.phase if current else 'Pending'}")


def is_lasting(trouble: Trouble | None) -> bool:
    """Whether waiting alone does not help."""
    return trouble is not None and trouble.reason != "ModelNotReady"


def taken(kind: str, live: Object | None, owner: CustomResource) -> Trouble | None:
    """Return that a name is somebody else's: what is not ours is never written to."""
    if live is None or any(
        each.controller and each.uid == owner.metadata.uid for each in live.metadata.owner_references
    ):
        return None
    fix = "delete it, or give the InferenceService another name"
    return Trouble("NameTaken", f"{kind} {live.metadata.name}: expected none or the InferenceService's own; {fix}")


def plan(spec: InferenceServiceSpec, model: ModelSpec, status: ModelStatus) -> Plan | None:
    """Return how the model is run; None when its header is not known."""
    if status.gguf is None or not status.gguf.block_count:
        return None
    context = effective_context(spec, status.gguf).size
    host = needs(spec, model, status.memory, context=context).planned
    layers = status.gguf.block_count + 1
    return Plan(
        context_size=context,
        gpu_layers=_layers(spec, model, layers),
        total_layers=layers,
        memory=PlanMemory(host=host) if host is not None else None,
    )


def remark(spec: InferenceServiceSpec, model: ModelSpec, status: ModelStatus) -> Trouble | None:
    """Return what is done differently from what the person asked for, and why."""
    context = effective_context(spec, status.gguf)
    if context.clamped:
        asked = f"spec.contextSize: {spec.context_size} asked for, {context.size} used"
        return Trouble("ContextClamped", f"{asked}: the model was trained for no more; lower spec.contextSize")
    found = needs(spec, model, status.memory, context=context.size)
    if found.raised and found.planned and found.requested:
        asked = f"{quantity.format_bytes(found.requested)} asked for, {quantity.format_bytes(found.planned)} used"
        return Trouble("MemoryRaised", f"spec.resources.memory: {asked}: the model needs it; raise it")
    return None


def _layers(spec: InferenceServiceSpec, model: ModelSpec, total: int) -> int:
    if not gpus(spec, model):
        return 0
    asked = model.hardware.gpu.layers if model.hardware.gpu else None
    return total if asked is None or asked < 0 else min(asked, total)
