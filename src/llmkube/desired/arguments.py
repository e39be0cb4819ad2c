"""llama-server's arguments, as the build of its image takes them.

    arguments(isvc_name: str, spec: InferenceServiceSpec, model: ModelSpec, engine: EnginePlan, *, files: Files,
              threads: int, build: Build) -> PodPart

It must never put a secret into an argument, and never leave to the engine what it would take from the whole host:
the port, the threads and the memory of its prompt cache are always said. What a build may not know as a flag comes as
the environment variable of the same meaning, which a build that does not know it passes over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmkube.desired.pod_part import PodPart
from llmkube.desired.resources import asked_layers, cache_ram

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import ModelSpec
    from llmkube.desired.engine.build import Build
    from llmkube.desired.engine.plan import EnginePlan

PORT = 8080
ALL_LAYERS = 999
"""More than any model has: all of them, to every build."""
_Option = tuple[str, ...]
_VARIABLES: Mapping[str, str] = {
    "--cache-ram": "LLAMA_ARG_CACHE_RAM",
    "--flash-attn": "LLAMA_ARG_FLASH_ATTN",
    "--no-jinja": "LLAMA_ARG_JINJA",
    "--reasoning-budget": "LLAMA_ARG_THINK_BUDGET",
}


class Files(NamedTuple):
    """Paths in the container: the model's first file, and its multimodal projector."""

    model: str
    mmproj: str | None = None


def arguments(
    isvc_name: str,
    spec: InferenceServiceSpec,
    model: ModelSpec,
    engine: EnginePlan,
    *,
    files: Files,
    threads: int,
    build: Build,
) -> PodPart:
    """Return the arguments of llama-server for verified files; what other parts of the pod need comes with them."""
    options = (
        *_identity(isvc_name, files),
        ("--ctx-size", str(engine.context.size)),
        ("--parallel", str(spec.parallel or 1)),
        ("--threads", str(threads)),
        ("--cache-ram", str(cache_ram(spec))),
        *_gpu(model, engine, build),
        *_options(spec, engine),
        *_mode(spec),
    )
    by_variable = _VARIABLES.keys() - build.flags
    flags = tuple(word for option in options if option[0] not in by_variable for word in option)
    return PodPart(args=flags, env=tuple(_variable(option) for option in options if option[0] in by_variable))


def _variable(option: _Option) -> dict[str, str]:
    """The one flag without a value switches off what its variable switches on."""
    return {"name": _VARIABLES[option[0]], "value": option[1] if len(option) > 1 else "0"}


def _identity(isvc_name: str, files: Files) -> Iterator[_Option]:
    yield ("--model", files.model)
    yield ("--alias", isvc_name)
    if files.mmproj:
        yield ("--mmproj", files.mmproj)
    yield ("--host", "0.0.0.0")  # noqa: S104 - a pod's address is all its own
    yield ("--port", str(PORT))


def _gpu(model: ModelSpec, engine: EnginePlan, build: Build) -> Iterator[_Option]:
    """Where the plan leaves it open, `auto` is as many layers as fit the memory that the engine finds free."""
    hardware = model.hardware
    is_own_gpu = hardware.accelerator == "metal" and not (hardware.gpu and hardware.gpu.enabled is False)
    layers = asked_layers(model) if is_own_gpu else engine.layers
    if not engine.gpus and not is_own_gpu:
        yield ("--n-gpu-layers", "0")
        return
    every = "auto" if build.number is not None else str(ALL_LAYERS)
    yield ("--n-gpu-layers", every if layers is None else str(layers))
    if engine.gpus < 2:
        return
    yield ("--split-mode", engine.split_mode)
    if engine.tensor_split:
        yield ("--tensor-split", ",".join(map(str, engine.tensor_split)))
    if engine.split_mode in {"none", "row"}:
        yield ("--main-gpu", "0")


def _options(spec: InferenceServiceSpec, engine: EnginePlan) -> Iterator[_Option]:
    if spec.flash_attention != "auto":
        yield ("--flash-attn", spec.flash_attention)
    values = {
        "--cache-type-k": spec.cache_type_k,
        "--cache-type-v": spec.cache_type_v,
        "--batch-size": engine.batches.batch,
        "--ubatch-size": engine.batches.ubatch,
    }
    for flag, value in values.items():
        if value is not None:
            yield (flag, str(value))


def _mode(spec: InferenceServiceSpec) -> Iterator[_Option]:
    yield ("--metrics",)
    yield ("--slots",)
    yield ("--jinja" if spec.jinja else "--no-jinja",)
    if spec.reasoning:
        yield ("--reasoning-format", spec.reasoning.format)
        if spec.reasoning.budget is not None:
            yield ("--reasoning-budget", str(spec.reasoning.budget))
    if spec.mode != "chat":
        yield ("--embeddings" if spec.mode == "embedding" else "--reranking",)
