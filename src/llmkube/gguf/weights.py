"""Where a model's bytes belong: the tensors of each layer, those read by rows before the first, those after the last.

The three classes are llama.cpp's own (src/llama-arch.cpp, LLM_TENSOR_LAYER_INPUT, _REPEATING, _OUTPUT). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence  # noqa: TC003 - packed.py reads annotations at run time
from dataclasses import dataclass
from functools import cache
from itertools import starmap
from typing import TYPE_CHECKING, TypeVar

from llmkube.gguf.tables import tables

if TYPE_CHECKING:
    from llmkube.gguf.reader import TensorInfo

Told = TypeVar("Told")
Shape = tuple[int, ...]
Packing = tuple[int, int]
"""Values, and bytes, of one block of a tensor's type: (1, 4) of F32, (256, 144) of Q4_K."""
EMBEDDING = "token_embd.weight"
OUTPUT = "output.weight"
# Looked up by row on the host, never multiplied: llama.cpp keeps them there however many layers a GPU has.
INPUTS = ("token_embd.", "position_embd.", "token_types.", "per_layer_token_embd.", "masked_embd_")
# Made with the number of the first layer, and so where that is.
FIRST = ("per_layer_model_proj.", "per_layer_proj_norm.", "token_embd_norm.")
_LAYER = re.compile(r"blk\.([0-9]{1,4})\.(.{1,64})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One layer: its bytes, those of its largest tensor, and the shapes by the name after `blk.N.`, innermost first.

    `packing`: by the same names.
    """

    size: int
    largest: int
    shapes: Mapping[str, Shape]
    packing: Mapping[str, Packing]

    def rows(self, name: str) -> int:
        """How many values a product with this matrix has for a token; 0 when the layer has no such matrix."""
        shape = self.shapes.get(f"{name}.weight", ())
        return shape[1] if len(shape) > 1 else 0

    def has(self, name: str) -> bool:
        """Falcon-H1 leaves the `.weight` out once."""
        return f"{name}.weight" in self.shapes or name in self.shapes


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes. `tied` is of `inputs`: what the output layer uses again when the model has no output matrix of its own.

    `head` is of `outputs`: the output matrix and what is added to it.
    """

    inputs: int
    outputs: int
    tied: int
    blocks: tuple[Block, ...]
    names: frozenset[str]
    head: int = 0

    @property
    def total(self) -> int:
        return self.inputs + self.outputs + sum(block.size for block in self.blocks)


def weights(tensors: Iterable[TensorInfo], layers: int) -> Weights:
    """Sort the tensors of a model of so many layers; a layer beyond them counts as output."""
    shapes: list[dict[str, Shape]] = [{} for _ in range(layers)]
    packing: list[dict[str, Packing]] = [{} for _ in range(layers)]
    sizes, largest = [0] * layers, [0] * layers
    inputs = outputs = tied = head = 0
    names = set()
    for tensor in tensors:
        found = _LAYER.fullmatch(tensor.name)
        if found and int(found[1]) < layers:
            index = int(found[1])
            sizes[index] += tensor.size
            largest[index] = max(largest[index], tensor.size)
            shapes[index][found[2]] = tensor.shape
            packing[index][found[2]] = _packing(tensor.type)
            continue
        names.add(tensor.name[:64])
        if tensor.name.startswith(FIRST) and layers:
            sizes[0] += tensor.size
        elif tensor.name.startswith(INPUTS):
            inputs += tensor.size
            tied += tensor.size if tensor.name == EMBEDDING else 0
        else:
            outputs += tensor.size
            head += tensor.size if tensor.name in {OUTPUT, "output.bias"} else 0
    blocks = tuple(starmap(Block, zip(sizes, largest, _shared(shapes), _shared(packing), strict=True)))
    return Weights(inputs, outputs, 0 if OUTPUT in names else tied, blocks, frozenset(names), head)


def _packing(kind: str) -> Packing:
    return _packings()[kind]


@cache
def _packings() -> dict[str, Packing]:
    return {name: (values, size) for name, values, size in tables().layouts.values()}


def _shared(of: Sequence[dict[str, Told]]) -> list[dict[str, Told]]:
    """Layers told of alike share one mapping: a model of 1024 layers takes the memory of its kinds of layers."""
    kinds: dict[tuple[tuple[str, Told], ...], dict[str, Told]] = {}
    return [kinds.setdefault(tuple(sorted(one.items())), one) for one in of]
