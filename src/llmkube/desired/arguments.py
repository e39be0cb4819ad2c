"""llama-server's arguments, for build b11669.

    arguments(isvc_name: str, spec: InferenceServiceSpec, model: ModelSpec, *, files: Files, context: int,
              threads: int) -> tuple[str, ...]
    effective_context(spec: InferenceServiceSpec, facts: GGUFFacts | None) -> Context(size: int, clamped: bool)
    refused_extra_args(spec: InferenceServiceSpec) -> tuple[str, ...]     lines for a condition, none when all is well

It must never put a secret into an argument, and never leave to the engine what it would take from the whole host:
the port, the threads and the memory of its prompt cache are always said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from llmkube.desired.resources import CACHE_RAM_MIB, gpus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import GGUFFacts, ModelSpec

PORT = 8080
DEFAULT_CONTEXT = 8192
_FIELDS: Mapping[str, str] = {
    "-c --ctx-size": "contextSize",
    "-np --parallel": "parallel",
    "-fa --flash-attn": "flashAttention",
    "-ctk --cache-type-k": "cacheTypeK",
    "-ctv --cache-type-v": "cacheTypeV",
    "-b --batch-size": "batchSize",
    "-ub --ubatch-size": "ubatchSize",
    "-t --threads": "threads",
    "--jinja --no-jinja": "jinja",
    "--embedding --embeddings --rerank --reranking": "mode",
    "--api-key --api-key-file": "auth",
    "-ngl --gpu-layers --n-gpu-layers": "hardware.gpu.layers of the Model",
    "-sm --split-mode": "hardware.gpu.sharding of the Model",
    "-mm --mmproj": "mmprojSource of the Model",
}
_OWN = (
    "-m --model -a --alias --host --port -cram --cache-ram --metrics --slots --no-slots --path --api-prefix "
    "--ssl-key-file --ssl-cert-file --slot-save-path --media-path --log-file --log-prompts-dir "
    "--tools --tools-runtime -ag --agent --mcp-servers-config --mcp-servers-json --ui-mcp-proxy --webui-mcp-proxy "
    "--models-dir --models-preset"
)
# What would have the engine fetch bytes that nobody verified, the presets (--gpt-oss-20b-default) among them.
_FETCHES = re.compile(
    r"-hf\w*|-mm?u|-dr|--hf-.*|--spec-draft-hf|--docker-repo|--.*-url|--(embd|fim|gpt-oss|vision)-.*-default"
)
_REASONS = {flag: f"use {field} instead" for flags, field in _FIELDS.items() for flag in flags.split()} | dict.fromkeys(
    _OWN.split(), "remove it"
)


class Context(NamedTuple):
    """Tokens of context over all slots, and whether that is less than was asked for."""

    size: int
    clamped: bool


def effective_context(spec: InferenceServiceSpec, facts: GGUFFacts | None) -> Context:
    """Return the context to run with. Each slot gets its share, and can use no more than the model was trained for."""
    slots = spec.parallel or 1
    wanted = spec.context_size or DEFAULT_CONTEXT * slots
    trained = (facts.context_length if facts else None) or 0
    size = min(wanted, trained * slots) if trained else wanted
    return Context(size, clamped=spec.context_size is not None and size < wanted)


class Files(NamedTuple):
    """Paths in the container: the model's first file, and its multimodal projector."""

    model: str
    mmproj: str | None = None


def arguments(
    isvc_name: str, spec: InferenceServiceSpec, model: ModelSpec, *, files: Files, context: int, threads: int
) -> tuple[str, ...]:
    """Return the arguments of llama-server for verified files; what other parts of the pod need comes with them."""
    return (
        *("--model", files.model, "--alias", isvc_name),
        *(("--mmproj", files.mmproj) if files.mmproj else ()),
        *("--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104 - a pod's address is all its own
        *("--ctx-size", str(context), "--parallel", str(spec.parallel or 1)),
        *("--threads", str(threads), "--cache-ram", str(CACHE_RAM_MIB if spec.mode == "chat" else 0)),
        *_gpu(spec, model),
        *_options(spec),
    )


def refused_extra_args(spec: InferenceServiceSpec) -> tuple[str, ...]:
    """Return a line for each extra argument that the operator sets itself, or that would bypass verification."""
    found = ((word, _refusal(word)) for word in spec.extra_args)
    return tuple(f"spec.extraArgs: {_flag(word)} cannot be given: {reason}" for word, reason in found if reason)


def _gpu(spec: InferenceServiceSpec, model: ModelSpec) -> Iterator[str]:
    """`auto` is as many layers as fit the memory that the engine finds free."""
    hardware = model.hardware
    count = gpus(spec, model)
    is_own_gpu = hardware.accelerator == "metal" and not (hardware.gpu and hardware.gpu.enabled is False)
    layers = hardware.gpu.layers if hardware.gpu else None
    offload = "auto" if layers in {None, -1} else str(layers)
    yield from ("--n-gpu-layers", offload if count or is_own_gpu else "0")
    if count > 1:
        yield from ("--split-mode", "layer")


def _options(spec: InferenceServiceSpec) -> Iterator[str]:
    yield from ("--flash-attn", spec.flash_attention)
    values = {
        "--cache-type-k": spec.cache_type_k,
        "--cache-type-v": spec.cache_type_v,
        "--batch-size": spec.batch_size,
        "--ubatch-size": spec.ubatch_size,
    }
    for flag, value in values.items():
        if value is not None:
            yield from (flag, str(value))
    yield from ("--metrics", "--slots", "--jinja" if spec.jinja else "--no-jinja")
    yield from {"chat": (), "embedding": ("--embeddings",), "rerank": ("--reranking",)}[spec.mode]


def _flag(word: str) -> str:
    """The flag without its value; llama-server reads --a_b as --a-b."""
    name = word.partition("=")[0]
    return name.replace("_", "-") if name.startswith("--") else name


def _refusal(word: str) -> str:
    flag = _flag(word)
    if _FETCHES.fullmatch(flag):
        return "it fetches bytes that nobody verifies; make a Model of them"
    return _REASONS.get(flag, "")
