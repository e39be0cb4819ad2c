"""Which device has which layer, by llama.cpp's own splits (load_tensors in src/llama-model.cpp). Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.gguf.plan.options import EngineOptions

HOST = -1


@dataclass(frozen=True, slots=True)
class Placement:
    """The number of a GPU, or HOST, for each layer; `output` for what comes after the last. `shares` add up to 1."""

    layers: tuple[int, ...]
    output: int
    shares: tuple[float, ...]
    gpu_layers: int


def place(options: EngineOptions, layers: int, free: Sequence[int] = ()) -> Placement:
    """Layers from the last to the first go to the GPUs; which GPU, the shares say, by default its `free` bytes."""
    total = layers + 1
    wanted = total if options.gpu_layers < 0 else min(options.gpu_layers, total)
    on_gpus = wanted if options.gpus else 0
    shares = _shares(options, free)
    ends = list(accumulate(shares))[:-1]
    first = total - on_gpus
    places = [HOST if index < first else bisect_right(ends, (index - first) / on_gpus) for index in range(total)]
    return Placement(tuple(places[:-1]), places[-1], shares, on_gpus)


def _shares(options: EngineOptions, free: Sequence[int]) -> tuple[float, ...]:
    """Parts of 1, one for each GPU."""
    count = options.gpus
    if options.split_mode == "none":
        return tuple(float(index == options.main_gpu) for index in range(count))
    given = (*options.tensor_split, *(0.0,) * count)[:count]
    weights = given if any(given) else tuple(float(one) for one in free[:count])
    if len(weights) < count or not sum(weights):
        weights = (1.0,) * count
    return tuple(weight / sum(weights) for weight in weights)
