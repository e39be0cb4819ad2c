"""What a quantisation makes of a model: the type that llama-quantize gives each tensor, without an importance matrix.

Follows llama.cpp's src/llama-quant.cpp (its tensor types by name, layer and file type). Pure; nothing is quantised
here. What people publish may differ: an importance matrix or types of their own choice move some tensors.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmkube.gguf.tables import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from llmkube.gguf.reader import Header, TensorInfo

Rule = dict[str, "Callable[[_Place], str | None]"]
DEFAULTS: Mapping[str, str] = {
    "F32": "F32",
    "BF16": "BF16",
    "F16": "F16",
    "Q8_0": "Q8_0",
    "Q6_K": "Q6_K",
    "Q5_K_M": "Q5_K",
    "Q5_K_S": "Q5_K",
    "Q5_1": "Q5_1",
    "Q5_0": "Q5_0",
    "Q4_K_M": "Q4_K",
    "Q4_K_S": "Q4_K",
    "Q4_1": "Q4_1",
    "Q4_0": "Q4_0",
    "IQ4_NL": "IQ4_NL",
    "IQ4_XS": "IQ4_XS",
    "Q3_K_L": "Q3_K",
    "Q3_K_M": "Q3_K",
    "Q3_K_S": "Q3_K",
    "Q2_K": "Q2_K",
    "MXFP4_MOE": "MXFP4",
}
"""Every file type that is known here, the most bits first, and the type of most of its tensors."""
_PLAIN = frozenset({"F32", "BF16", "F16"})
_NARROW: Mapping[str, str] = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""What takes the place of a type whose blocks are longer than the tensor's rows."""
_KEPT = ("_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d", "shortconv.conv.weight", "position_embd", "token_types")
_BLOCK = re.compile(r"blk\.(\d+)\.")
_EIGHT_EXPERTS = 8
_LARGE_LLAMA = 80


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor stands: `number` of `count` tensors of its kind; `gqa` query heads share a key head."""

    number: int
    count: int
    gqa: int

    @property
    def is_favoured(self) -> bool:
        """The first and the last eighth, and a third of the rest: llama-quant.cpp's use_more_bits."""
        eighth = self.count // 8
        return self.number < eighth or self.number >= 7 * self.count // 8 or (self.number - eighth) % 3 == 2

    @property
    def is_early(self) -> bool:
        return self.number < self.count // 8


_VALUES: Rule = {
    "Q2_K": lambda at: "Q4_K" if at.gqa >= 4 else "Q3_K",
    "Q3_K_M": lambda at: "Q5_K" if at.number < 2 else "Q4_K",
    "Q3_K_L": lambda _: "Q5_K",
    "IQ4_NL": lambda at: "Q5_K" if at.gqa >= 4 else None,
    "IQ4_XS": lambda at: "Q5_K" if at.gqa >= 4 else None,
    "Q4_K_S": lambda at: "Q5_K" if at.number < 4 else None,
    "Q4_K_M": lambda at: "Q6_K" if at.is_favoured else None,
    "Q5_K_M": lambda at: "Q6_K" if at.is_favoured else None,
}
_DOWN: Rule = {
    "Q2_K": lambda _: "Q3_K",
    "Q3_K_M": lambda at: "Q5_K" if at.number < at.count // 16 else "Q4_K",
    "Q3_K_L": lambda _: "Q5_K",
    "IQ4_NL": lambda at: "Q5_K" if at.is_early else None,
    "IQ4_XS": lambda at: "Q5_K" if at.is_early else None,
    "Q4_K_S": lambda at: "Q5_K" if at.is_early else None,
    "Q4_K_M": lambda at: "Q6_K" if at.is_favoured else None,
    "Q5_K_M": lambda at: "Q6_K" if at.is_favoured else None,
}
_ATTENTION_OUTPUT: Mapping[str, str] = {"Q2_K": "Q3_K", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K"}
_ATTENTION_OUTPUT_OF_EIGHT = frozenset({"Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ4_NL", "IQ4_XS"})


def requantized(header: Header, file_type: str) -> Header:
    """The header of the same model in a file type of DEFAULTS; ValueError for any other. Offsets stay as they were."""
    if file_type not in DEFAULTS:
        raise ValueError(f"quantization {file_type!r}: expected one of {', '.join(DEFAULTS)}")
    model = _Model.of(header)
    counts: dict[str, int] = {}
    tensors = tuple(_as(one, _type(one, file_type, model, counts)) for one in header.tensors)
    numbers = {name: number for number, name in tables().file_types.items()}
    metadata = {**header.metadata, "general.file_type": numbers.get(file_type, 0)}
    return replace(header, metadata=metadata, tensors=tensors, tensor_bytes=sum(one.size for one in tensors))


@dataclass(frozen=True, slots=True)
class _Model:
    layers: int
    values: int
    gqa: int
    experts: int
    is_large: bool
    is_tied: bool

    @classmethod
    def of(cls, header: Header) -> _Model:
        architecture = str(header.metadata.get("general.architecture", ""))
        layers, heads, heads_kv, experts = (
            max(_numbers(header.metadata.get(f"{architecture}.{key}")), default=0)
            for key in ("block_count", "attention.head_count", "attention.head_count_kv", "expert_count")
        )
        names = [one.name for one in header.tensors]
        return cls(
            layers=layers,
            values=sum(_is_value(name) for name in names),
            gqa=heads // (heads_kv or heads or 1),
            experts=experts,
            is_large=layers == _LARGE_LLAMA and architecture in {"llama", "qwen2"},
            is_tied="output.weight" not in names,
        )


def _numbers(value: object) -> Iterator[int]:
    yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int))


def _is_value(name: str) -> bool:
    return any(part in name for part in ("attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight"))


def _type(tensor: TensorInfo, file_type: str, model: _Model, counts: dict[str, int]) -> str:
    """The type of one tensor. `counts` is how many of its kind came before."""
    name = tensor.name
    if len(tensor.shape) < 2 or not name.endswith("weight") or any(part in name for part in _KEPT):
        return tensor.type
    default = DEFAULTS[file_type]
    if default in _PLAIN:
        return default
    if name == "output.weight" or (name == "token_embd.weight" and model.is_tied):
        return _output(tensor, default)
    if file_type == "MXFP4_MOE":
        return "MXFP4" if len(tensor.shape) > 2 else "Q8_0"
    return _fitting(tensor, _mixed(name, file_type, model, counts) or default)


def _output(tensor: TensorInfo, default: str) -> str:
    if default in {"MXFP4", "Q8_0"} or tensor.shape[0] % _block(default):
        return _fitting(tensor, "Q8_0")
    return _fitting(tensor, "Q6_K")


def _mixed(name: str, file_type: str, model: _Model, counts: dict[str, int]) -> str | None:
    """The type that a mixture gives a tensor which matters more than others; None for the default."""
    if _is_value(name):
        number = counts["value"] = counts.get("value", -1) + 1
        return _value(_Place(number, model.values, model.gqa), file_type, model)
    if "ffn_down" in name:
        found = _BLOCK.match(name)
        return _ruled(_DOWN, file_type, _Place(int(found[1]) if found else 0, model.layers, model.gqa))
    if model.experts == _EIGHT_EXPERTS and "attn_k.weight" in name:
        return "Q8_0"
    if "attn_output.weight" in name:
        if model.experts == _EIGHT_EXPERTS:
            return "Q5_K" if file_type in _ATTENTION_OUTPUT_OF_EIGHT else None
        return _ATTENTION_OUTPUT.get(file_type)
    return None


def _value(place: _Place, file_type: str, model: _Model) -> str | None:
    if model.experts == _EIGHT_EXPERTS:
        return "Q8_0"
    found = _ruled(_VALUES, file_type, place)
    is_small = (found or DEFAULTS[file_type]) in {"Q3_K", "Q4_K"}
    return "Q5_K" if model.is_large and is_small else found


def _ruled(rule: Rule, file_type: str, place: _Place) -> str | None:
    return rule[file_type](place) if file_type in rule else None


def _fitting(tensor: TensorInfo, wanted: str) -> str:
    """The type, or what stands in for it where the tensor's rows are no whole blocks."""
    if tensor.shape[0] % _block(wanted) == 0:
        return wanted
    narrow = _NARROW.get(wanted, "IQ4_NL" if wanted.startswith("IQ") else "F16")
    return narrow if tensor.shape[0] % _block(narrow) == 0 else "F16"


def _as(tensor: TensorInfo, kind: str) -> TensorInfo:
    block, size = _sizes()[kind]
    return replace(tensor, type=kind, size=tensor.elements // block * size)


def _block(kind: str) -> int:
    return _sizes()[kind][0]


@functools.cache
def _sizes() -> Mapping[str, tuple[int, int]]:
    return {name: (block, size) for name, block, size in tables().layouts.values()}
