"""llama.cpp's options that decide how much memory it takes, by the names of its flags; and what it refuses.

Sources: llama.cpp's common/arg.cpp, src/llama-context.cpp. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.gguf.facts import ModelFacts

# Bytes of one value: exact, so that a cache of any size is whole bytes.
CACHE_TYPES: Mapping[str, Fraction] = {
    "f32": Fraction(4),
    "f16": Fraction(2),
    "bf16": Fraction(2),
    "q8_0": Fraction(34, 32),
    "q5_1": Fraction(24, 32),
    "q5_0": Fraction(22, 32),
    "q4_1": Fraction(20, 32),
    "q4_0": Fraction(18, 32),
    "iq4_nl": Fraction(18, 32),
}
QUANTIZED = frozenset(CACHE_TYPES) - {"f32", "f16", "bf16"}
QUANTIZED_BLOCK = 32
FLASH_ATTENTION = ("auto", "on", "off")
SPLIT_MODES = ("layer", "row", "none", "tensor")
MOST_SEQUENCES = 256
MOST_DEVICES = 128
LARGEST = 2**31 - 1


class PlanError(ValueError):
    """Options that llama.cpp refuses, or facts that no plan can be made of. One line."""


class SliceError(PlanError):
    """What llama.cpp refuses in split mode tensor, or aborts at."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft model for speculative decoding: it is loaded beside the model, with options of its own."""

    facts: ModelFacts
    options: EngineOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """`context` None: as trained. `gpu_layers` -1: all, the output layer is one. `tensor_split` empty: by free memory.

    `projector_bytes` (--mmproj) and `lora_bytes` (--lora) are sizes of files, which the engine loads whole.
    """

    context: int | None = None
    parallel: int = 1
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    flash_attention: str = "auto"
    batch: int = 2048
    ubatch: int = 512
    kv_unified: bool = False
    swa_full: bool = False
    kv_offload: bool = True
    op_offload: bool = True
    embeddings: bool = False
    gpu_layers: int = -1
    gpus: int = 0
    split_mode: str = "layer"
    tensor_split: tuple[float, ...] = ()
    main_gpu: int = 0
    projector_bytes: int = 0
    lora_bytes: int = 0
    draft: Draft | None = None

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_cache(self)
        _check_devices(self)

    @property
    def slices(self) -> bool:
        """Whether several GPUs each have a part of every matrix, and work at the same time."""
        return self.split_mode == "tensor" and self.gpus > 1

    @property
    def uses_flash_attention(self) -> bool:
        """`auto` takes it wherever the device has it, which every device of a supported image does."""
        return self.flash_attention != "off"


def _check_numbers(options: EngineOptions) -> None:
    bounds = {
        "context": (options.context, 1, LARGEST),
        "parallel": (options.parallel, 1, MOST_SEQUENCES),
        "batch": (options.batch, 1, LARGEST),
        "ubatch": (options.ubatch, 1, LARGEST),
        "gpu_layers": (options.gpu_layers, -1, LARGEST),
        "gpus": (options.gpus, 0, MOST_DEVICES),
        "projector_bytes": (options.projector_bytes, 0, 2**62),
        "lora_bytes": (options.lora_bytes, 0, 2**62),
    }
    for name, (value, least, most) in bounds.items():
        if value is not None and not least <= value <= most:
            raise PlanError(f"{name}: expected a number from {least} to {most}, found {value}; correct it")


def _check_cache(options: EngineOptions) -> None:
    for name, found in (("cache_type_k", options.cache_type_k), ("cache_type_v", options.cache_type_v)):
        if found not in CACHE_TYPES:
            raise PlanError(f"{name}: expected one of {', '.join(CACHE_TYPES)}, found {found!r}; correct it")
    if options.flash_attention not in FLASH_ATTENTION:
        known = ", ".join(FLASH_ATTENTION)
        raise PlanError(f"flash_attention: expected one of {known}, found {options.flash_attention!r}; correct it")
    if options.cache_type_v in QUANTIZED and not options.uses_flash_attention:
        message = f"cache_type_v: expected f32, f16 or bf16 without flash attention, found {options.cache_type_v!r}"
        raise PlanError(f"{message}; turn flash attention on, or take f16")


def _check_devices(options: EngineOptions) -> None:
    if options.split_mode not in SPLIT_MODES:
        known = ", ".join(SPLIT_MODES)
        raise PlanError(f"split_mode: expected one of {known}, found {options.split_mode!r}; correct it")
    if options.slices and not options.uses_flash_attention:
        raise SliceError("flash_attention: expected auto or on with split mode tensor, found off; leave it on")
    if options.slices and options.lora_bytes:
        raise SliceError("lora_bytes: expected no adapters with split mode tensor, in which llama.cpp aborts with them")
    if options.gpus and not 0 <= options.main_gpu < options.gpus:
        message = f"main_gpu: expected a number from 0 to {options.gpus - 1}, found {options.main_gpu}"
        raise PlanError(f"{message}; there are {options.gpus} GPUs")
    shares = options.tensor_split
    if len(shares) > max(options.gpus, 1) or not all(0 <= share < float("inf") for share in shares):
        found = ",".join(f"{share:g}" for share in shares[:8])
        raise PlanError(f"tensor_split: expected at most one share for each of {options.gpus} GPUs, found {found}")
