"""What is decided of an InferenceService before anything is rendered: may it be, what it waits for, how it fits.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from llmkube.api import quantity
from llmkube.api.conditions import AVAILABLE
from llmkube.api.inference_status import Plan, PlanMemory
from llmkube.desired.conditions import one_line
from llmkube.desired.engine.beside import layout_of
from llmkube.desired.engine.build import Build
from llmkube.desired.engine.extra import refused_extra_args
from llmkube.desired.engine.modes import mode_remark, mode_trouble
from llmkube.desired.engine.plan import EnginePlan, engine_plan
from llmkube.desired.engine.split import row_trouble
from llmkube.desired.engine.told import told
from llmkube.desired.images import engine_image, image_trouble
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resources import gpu_trouble, gpus, needs
from llmkube.gguf.packed import unpacked
from llmkube.gguf.plan.layers import DRAFTS

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import ModelSpec, ModelStatus
    from llmkube.desired.inputs import Inputs, Served
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource, Object


SERVED = "spec.modelRef"


def model_trouble(
    name: str, model: CustomResource | None, status: ModelStatus, *, where: str = SERVED
) -> Trouble | None:
    """Return why the Model named at `where` cannot be used (any more, or yet); None when its verified bytes can be."""
    if model is None:
        fix = f"apply one, or correct {where}"
        return Trouble("ModelNotFound", f"{where}: expected a Model {name} in the namespace, found none; {fix}")
    who = f"Model {name}" if where == SERVED else f"{where}: Model {name}"
    if model.metadata.deletion_timestamp is not None:
        return Trouble("ModelDeleted", f"{who} is being deleted; apply it again, or name another one")
    current = (status.observed_generation or 0) >= model.metadata.generation
    if current and status.phase == "Ready" and status.sha256 and status.path:
        return None
    if current and status.phase == "Failed":
        said = next((each.message for each in status.conditions if each.type == AVAILABLE), "no condition says why")
        return Trouble("ModelFailed", one_line(f"{who} failed: {said}"))
    return Trouble("ModelNotReady", f"{who} is not ready yet: {status.phase if current else 'Pending'}")


def not_a_model(name: str, status: ModelStatus, *, where: str = SERVED) -> Trouble | None:
    """Return that the file of a Model is an adapter, or only drafts: the engine loads one beside a model only."""
    found = status.gguf
    if found and found.type == "adapter":
        fix = f"name it in spec.loraAdapters by its source, and a model in {where}"
        return Trouble("NotAModel", f"{where}: expected a model, found {name}, whose file is an adapter; {fix}")
    if found and found.architecture in DRAFTS and where == SERVED:
        fix = f"name it in spec.speculative.draftModelRef, and the model that it was made for in {where}"
        line = f"{where}: expected a model, found {name}, which only drafts for another ({found.architecture})"
        return Trouble("NotAModel", f"{line}; {fix}")
    return None


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


def refused(spec: InferenceServiceSpec) -> Trouble | None:
    """Return why the spec is not honoured, whatever its Model and its image are."""
    return _extra(spec, Build(None))


def decided(spec: InferenceServiceSpec, inputs: Inputs, settings: OperatorSettings) -> EnginePlan | Trouble:
    """Return how the engine is run, or why the spec is not honoured although it can be read."""
    model = inputs.served.spec
    image = engine_image(spec, model, settings)
    trouble = _extra(spec, image.build) or image_trouble(image, spec, model) or gpu_trouble(spec, model)
    trouble = trouble or row_trouble(model, gpus(spec, model), image.build)
    trouble = trouble or mode_trouble(spec, unpacked(layout_of(inputs.served.status)))
    return trouble or _tellable(spec, model, engine_plan(spec, inputs))


def _extra(spec: InferenceServiceSpec, build: Build) -> Trouble | None:
    lines = refused_extra_args(spec, build)
    return Trouble("ExtraArgsRefused", one_line("; ".join(lines))) if lines else None


def _tellable(spec: InferenceServiceSpec, model: ModelSpec, engine: EnginePlan | Trouble) -> EnginePlan | Trouble:
    """A stranger's header may come to numbers that no status can hold: said before anything is applied."""
    try:
        if not isinstance(engine, Trouble):
            published(spec, model, engine)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        found = f"{first['input']} for {'.'.join(map(str, first['loc']))}"
        said = f"expected what comes to a plan that a status can hold, found {found}; name another file in its source"
        return Trouble("LayoutUnusable", one_line(f"status.memory.layout of the Model: {said}"))
    return engine


def published(spec: InferenceServiceSpec, model: ModelSpec, engine: EnginePlan) -> Plan | None:
    """Return a plan that was `decided` as the status has it; None when the model's layers are not known."""
    if engine.total is None:
        return None
    host, found = needs(spec, model, engine).planned, engine.memory
    return Plan(
        context_size=engine.context.size,
        gpu_layers=_layers(engine, engine.total),
        total_layers=engine.total,
        memory=PlanMemory(gpu=tuple(each.total for each in found.devices), host=host) if found and host else None,
        tensor_split=tuple(float(share) for share in engine.tensor_split) or None,
        message=one_line(told(engine, host)),
    )


def remark(spec: InferenceServiceSpec, served: Served, engine: EnginePlan) -> Trouble | None:
    """Return what is done differently from what the person asked for, and why."""
    if unusual := mode_remark(spec, unpacked(layout_of(served.status))):
        return unusual
    if engine.context.clamped:
        asked = f"spec.contextSize: {spec.context_size} asked for, {engine.context.size} used"
        return Trouble("ContextClamped", f"{asked}: the model was trained for no more; lower spec.contextSize")
    found = needs(spec, served.spec, engine)
    if found.raised and found.planned and found.requested:
        asked = f"{quantity.format_bytes(found.requested)} asked for, {quantity.format_bytes(found.planned)} used"
        return Trouble("MemoryRaised", f"spec.resources.memory: {asked}: the model needs it; raise it")
    return None


def _layers(engine: EnginePlan, total: int) -> int:
    if not engine.gpus:
        return 0
    return total if engine.layers is None else min(engine.layers, total)
