"""What fits: the largest context and the most layers on GPUs, for so many free bytes. Pure.

Both are found by bisection: more context and more layers on a device never take less of its memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmkube.gguf.plan.cache import PAD
from llmkube.gguf.plan.memory import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.buffers import MemoryPlan
    from llmkube.gguf.plan.options import EngineOptions


def fits(planned: MemoryPlan, free: Sequence[int], host_free: int) -> bool:
    """Whether every device has the bytes."""
    return planned.host.total <= host_free and all(
        device.total <= (free[index] if index < len(free) else 0) for index, device in enumerate(planned.devices)
    )


def largest_context(facts: ModelFacts, options: EngineOptions, free: Sequence[int], host_free: int) -> int | None:
    """Tokens, in steps that the engine takes: as trained at the most; None when not even the least fits."""
    step = PAD * (1 if options.kv_unified else options.parallel)
    most = max((facts.context_length or step) // step, 1)

    def does(count: int) -> bool:
        return fits(plan(facts, replace(options, context=count * step), free=free), free, host_free)

    found = _last(does, most)
    return found * step if found else None


def most_layers(facts: ModelFacts, options: EngineOptions, free: Sequence[int], host_free: int) -> int:
    """How many layers, the output layer as one, fit on the GPUs with the rest on the host; 0 when none does."""
    total = (facts.block_count or 0) + 1 if options.gpus else 0

    def does(count: int) -> bool:
        planned = plan(facts, replace(options, gpu_layers=count), free=free)
        return fits(replace(planned, host=type(planned.host)()), free, host_free)

    return _last(does, total)


def _last(does: Callable[[int], bool], most: int) -> int:
    """The largest number from 1 to `most` that does, of which all smaller ones do too; 0 when none does."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if does(middle):
            least = middle
        else:
            most = middle - 1
    return least
