"""What fits: the largest context and the most layers on GPUs, for so many free bytes. Pure.

The context is found by bisection: more of it never takes less memory. Layers are tried from the most on, because one
more of them can take less of a device: it moves others to the next, and only when all are there batches overlap.
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

RESERVE, RESERVE_PERCENT = 512 * 1024 * 1024, 1


def reserve_of(memory: int) -> int:
    """Bytes of a GPU of so much memory that are gone before the first tensor.

    The driver's own share of the memory that nvidia-smi prints (0.2 to 0.9 GB, by what PyTorch and llama.cpp find then)
    and the context of the runtime (107 MiB on an RTX 4060 Ti, 555 MiB on an RTX PRO 6000: llama.cpp's pull request
    23604). Both grow with the card: 512 MiB and 1 %.
    """
    return RESERVE + memory * RESERVE_PERCENT // 100


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
        return _do_fit(facts, replace(options, context=count * step), free, host_free)

    found = _last(does, most)
    return found * step if found else None


def most_layers(facts: ModelFacts, options: EngineOptions, free: Sequence[int], host_free: int) -> int:
    """How many layers, the output layer as one, fit on the GPUs with the rest on the host; 0 when none does."""
    total = (facts.block_count or 0) + 1 if options.gpus else 0
    within = sum(free)
    for count in range(total, 0, -1):
        if _least(facts, count) <= within and _do_fit(facts, replace(options, gpu_layers=count), free, host_free):
            return count
    return 0


def _least(facts: ModelFacts, count: int) -> int:
    """Bytes of the weights of so many last layers: what no option makes smaller."""
    blocks = facts.weights.blocks
    return sum(block.size for block in blocks[len(blocks) + 1 - count :])


def _do_fit(facts: ModelFacts, options: EngineOptions, free: Sequence[int], host_free: int) -> bool:
    return fits(plan(facts, options, free=free), free, host_free)


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
