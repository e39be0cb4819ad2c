"""Whether a model may be fetched and served, from what its header says: the verdict before the bytes.

    verdict(spec: ModelSpec, known: Known, *, architectures: Collection[str] = ()) -> Trouble | None
    remark(spec: ModelSpec, known: Known) -> Trouble | None         told, and stops nothing
    summary(known: Known) -> str                                    one line with the numbers

Pure. `architectures` are those that the administrator says the engine knows besides the build's own. Without facts
(only a pod can read the header) there is no verdict yet: it is given when the fetch has told them, before they serve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api import quantity
from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import ModelStatus
from llmkube.desired import architectures as build
from llmkube.desired.engine.plan import engine_plan
from llmkube.desired.engine.split import layer_split
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resources import asked_layers
from llmkube.desired.settings import ENGINE_BUILD
from llmkube.kube.objects import CustomResource
from llmkube.models.licence import is_allowed

if TYPE_CHECKING:
    from collections.abc import Collection

    from llmkube.api.model import ModelSpec
    from llmkube.desired.resolution import Known


def verdict(spec: ModelSpec, known: Known, *, architectures: Collection[str] = ()) -> Trouble | None:
    """Return why the model is refused."""
    if known.facts is None:
        return None
    return (
        _of_architecture(known.facts.architecture, architectures)
        or licence_trouble(spec, known)
        or _of_fit(spec, known)
    )


def projector_trouble(source: str, found: str | None) -> Trouble | None:
    """Return why a file of this architecture cannot be a projector; nothing is known of one without."""
    if found in {None, build.PROJECTOR}:
        return None
    expected = f"{source}: expected a multimodal projector (general.architecture {build.PROJECTOR})"
    return Trouble("NotAProjector", f"{expected}, found {found!r}; correct spec.mmprojSource, or remove it")


def remark(spec: ModelSpec, known: Known) -> Trouble | None:
    """Return how the header differs from what the spec expects of it."""
    found = known.facts.quantization if known.facts else None
    if not found or not spec.quantization or found.upper() == spec.quantization.upper():
        return None
    fix = "it is served all the same; correct spec.quantization or spec.source"
    return Trouble(
        "QuantizationDiffers", f"spec.quantization: expected {spec.quantization}, the file says {found}; {fix}"
    )


def licence_trouble(spec: ModelSpec, known: Known) -> Trouble | None:
    """Return why the licence policy refuses the model."""
    if spec.license is None:
        return None
    found = known.facts.license if known.facts else None
    if is_allowed(found, spec.license.allow):
        return None
    allowed = ", ".join(spec.license.allow)
    told = f"the file says {found!r}" if found else "none is stated that can be read before it is fetched"
    fix = "add it to spec.license.allow, correct it in a .license file beside the model, or choose another model"
    return Trouble("LicenseNotAllowed", f"spec.license.allow: expected a licence among {allowed}; {told}; {fix}")


def summary(known: Known) -> str:
    """Return what was found, for the condition Resolved."""
    facts, memory = known.facts, known.memory
    size = quantity.format_bytes(known.size_bytes) if known.size_bytes else "size unknown"
    told = [size, facts and facts.architecture, facts and facts.quantization]
    told += [f"licence {facts.license}" if facts and facts.license else None]
    if known.projector and known.projector.size_bytes:
        told += [f"projector of {quantity.format_bytes(known.projector.size_bytes)}"]
    if memory:
        told += [f"in memory {quantity.format_bytes(memory.weights)} of weights"]
        told += [f"{quantity.format_bytes(memory.kv_cache_per_token)} for each token of context"]
        told += [f"{quantity.format_bytes(memory.compute_estimate)} to compute"]
    return ", ".join(each for each in told if each)


def _of_architecture(found: str | None, more: Collection[str]) -> Trouble | None:
    if found == build.PROJECTOR:
        fix = "name the model in spec.source, and this one in spec.mmprojSource"
        return Trouble("NotAModel", f"spec.source: expected a model, found a multimodal projector ({found}); {fix}")
    if found is None or found in build.KNOWN or found in more:
        return None
    expected = f"an architecture that the engine's build {ENGINE_BUILD} knows"
    fix = "choose another model, or an engine that knows it (operator flags --image and --architecture)"
    return Trouble("ArchitectureUnknown", f"spec.source: expected {expected}, the file says {found!r}; {fix}")


def _of_fit(spec: ModelSpec, known: Known) -> Trouble | None:
    """Layers that are left to the plan always fit somewhere; those that the person gives must fit as they are.

    Planned as for a service that asks for nothing of its own.
    """
    if asked_layers(spec) is None and not layer_split(spec):
        return None
    status = ModelStatus(gguf=known.facts, memory=known.memory, mmproj=known.projector)
    found = engine_plan(InferenceServiceSpec(model_ref="any"), Inputs(Served(CustomResource(), spec, status)))
    if isinstance(found, Trouble):
        return Trouble(found.reason, found.message.removeprefix("Model "))
    return None
