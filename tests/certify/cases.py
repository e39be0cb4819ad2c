"""At which options each model is loaded: every option that decides about memory, alone and with others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from llmkube.gguf.facts import ModelFacts, facts
from llmkube.gguf.plan.layers import WITHOUT_CACHE, window
from llmkube.gguf.plan.options import EngineOptions
from llmkube.gguf.reader import read_file

UNEVEN = 3
"""Slots among which a batch is not shared out evenly: the engine aborts there when a model has no cache."""
ALONE = (
    EngineOptions(context=2048),
    EngineOptions(context=8192),
    EngineOptions(context=32_768),
    EngineOptions(context=8192, parallel=4),
    EngineOptions(context=8192, parallel=4, kv_unified=True),
    EngineOptions(context=8192, cache_type_k="q8_0", cache_type_v="q8_0"),
    EngineOptions(context=8192, flash_attention="off"),
    EngineOptions(context=8192, ubatch=128),
    EngineOptions(context=8192, swa_full=True),
)
TOGETHER = (
    EngineOptions(context=32_768, parallel=4, kv_unified=True, cache_type_k="q8_0", cache_type_v="q8_0", ubatch=128),
    EngineOptions(context=2048, parallel=4, flash_attention="off", ubatch=128),
    EngineOptions(context=9000, parallel=UNEVEN, ubatch=256),
)
DEVICES = 2
# The workers that stand for GPUs do not take products with matrices of the host; and "auto" turns flash attention off
# where a hybrid model is cut beside an attending layer.
ON_DEVICES = (
    EngineOptions(context=8192, gpus=DEVICES, op_offload=False, flash_attention="on", tensor_split=(1.0, 1.0)),
    EngineOptions(
        context=8192, gpus=DEVICES, op_offload=False, flash_attention="on", tensor_split=(3.0, 1.0), parallel=4
    ),
    EngineOptions(
        context=8192, gpus=DEVICES, op_offload=False, flash_attention="on", tensor_split=(1.0, 1.0), gpu_layers=3
    ),
    EngineOptions(
        context=8192, gpus=DEVICES, op_offload=False, flash_attention="on", tensor_split=(1.0, 1.0), gpu_layers=0
    ),
)
SLICES = (
    EngineOptions(context=8192, gpus=DEVICES, op_offload=False, flash_attention="on", split_mode="tensor"),
    EngineOptions(
        context=8192,
        gpus=DEVICES,
        op_offload=False,
        flash_attention="on",
        split_mode="tensor",
        tensor_split=(3.0, 1.0),
        parallel=4,
    ),
)
MORE_SLICES = (
    EngineOptions(
        context=32_768,
        gpus=DEVICES,
        op_offload=False,
        flash_attention="on",
        split_mode="tensor",
        cache_type_k="q8_0",
        cache_type_v="q8_0",
        ubatch=128,
    ),
    EngineOptions(
        context=2048, gpus=DEVICES, op_offload=False, flash_attention="on", split_mode="tensor", gpu_layers=3
    ),
)
LARGE = (
    EngineOptions(context=32_768),
    EngineOptions(context=131_072, parallel=4, cache_type_k="q8_0", cache_type_v="q8_0"),
    EngineOptions(context=8192, flash_attention="off", ubatch=256),
)
# The trial has one hidden state more than the load where all layers are on several devices: not tried.
LARGE_ON_DEVICES = (
    EngineOptions(context=32_768, gpus=DEVICES, op_offload=False, flash_attention="on", split_mode="none"),
    EngineOptions(
        context=32_768, gpus=DEVICES, op_offload=False, flash_attention="on", split_mode="none", gpu_layers=20
    ),
    EngineOptions(
        context=32_768, gpus=DEVICES, op_offload=False, flash_attention="on", tensor_split=(3.0, 1.0), gpu_layers=20
    ),
)
SHORT = (EngineOptions(context=8192), EngineOptions(context=2048, parallel=4, flash_attention="off", ubatch=128))


@dataclass(frozen=True)
class Case:
    """A model's file, what its header says, and the options that it is loaded with."""

    name: str
    path: Path
    facts: ModelFacts
    options: EngineOptions

    @property
    def told(self) -> str:
        """The options that are not the engine's defaults, as a person reads them."""
        of = self.options
        words = [f"ctx {of.context}"]
        words += [f"{of.parallel} slots{' unified' if of.kv_unified else ''}"] * (of.parallel > 1)
        words += [f"kv {of.cache_type_k}"] * (of.cache_type_k != "f16") + ["no flash"] * (of.flash_attention == "off")
        words += [f"ubatch {of.ubatch}"] * (of.ubatch != 512) + ["swa full"] * of.swa_full
        layers = "all" if of.gpu_layers < 0 else of.gpu_layers
        split = ":".join(f"{share:g}" for share in of.tensor_split)
        devices = {"layer": f"{of.gpus} devices {split}", "tensor": f"{of.gpus} devices sliced {split or 'evenly'}"}
        return ", ".join(words + [f"{devices.get(of.split_mode, '1 device')}, {layers} layers"] * (of.gpus > 0))


def cases(name: str, path: Path, options: tuple[EngineOptions, ...]) -> list[Case]:
    """One for each of the options that mean something for the model."""
    found = facts(read_file(path))
    embeds = found.pooling is not None
    means = [one for one in options if window(found) or not one.swa_full]
    if found.architecture in WITHOUT_CACHE:
        means = [one for one in means if one.parallel != UNEVEN]
    return [Case(name, path, found, replace(one, embeddings=embeds)) for one in means]
