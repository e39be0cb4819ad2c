"""How many layers each GPU gets: evenly, or so that all have room where the output layer makes the last too full. Pure.

even(facts: ModelFacts, options: EngineOptions) -> tuple[int, ...]        as the engine does with equal GPUs
balanced(facts: ModelFacts, options: EngineOptions, free: tuple[int, ...]) -> tuple[int, ...] | None
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmkube.gguf.plan.fit import fits
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.placement import place

if TYPE_CHECKING:
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.options import EngineOptions

UNBOUNDED = 2**62
MOST_MOVES = 32


def even(facts: ModelFacts, options: EngineOptions) -> tuple[int, ...]:
    """Return the layers of each GPU, or equal parts of each matrix; none where there is nothing to share out."""
    if options.gpus < 2 or options.split_mode == "none" or not options.gpu_layers:
        return ()
    if options.split_mode != "layer":
        return (1,) * options.gpus
    places = place(options, facts.block_count or 0)
    where = (*places.layers, places.output)
    return tuple(where.count(index) for index in range(options.gpus))


def balanced(facts: ModelFacts, options: EngineOptions, free: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return layers of each GPU with which all of them fit: one by one moved from the fullest GPU to the emptiest.

    None where that leads nowhere; splits of matrices are even already.
    """
    shares, seen = even(facts, options), set[tuple[int, ...]]()
    while shares and shares not in seen and len(seen) <= MOST_MOVES:
        seen.add(shares)
        planned = plan(facts, replace(options, tensor_split=tuple(map(float, shares))), free=free)
        if fits(planned, free, UNBOUNDED):
            return shares
        totals = [device.total for device in planned.devices]
        fullest, emptiest = totals.index(max(totals)), totals.index(min(totals))
        if options.split_mode != "layer" or not shares[fullest]:
            return None
        shares = tuple(count + (at == emptiest) - (at == fullest) for at, count in enumerate(shares))
    return None
