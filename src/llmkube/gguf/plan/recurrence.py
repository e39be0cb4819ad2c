"""The graph of one recurrent layer, step by step as the engine makes it (llama.cpp's src/models/mamba-base.cpp,
lfm2.cpp, delta-net-base.cpp). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.plan.cache import F32

if TYPE_CHECKING:
    from llmkube.gguf.facts import Recurrence
    from llmkube.gguf.plan.batch import Batch
    from llmkube.gguf.plan.graph import Graph, Value
    from llmkube.gguf.weights import Block


@dataclass(frozen=True, slots=True)
class Recurring:
    """A recurrent layer in a batch. `state`: values that a sequence keeps of its convolution, and of its recurrence."""

    graph: Graph
    batch: Batch
    block: Block
    of: Recurrence
    state: tuple[int, int]

    def window(self, channels: int, kept: int) -> int:
        """Bytes of a convolution's input: each sequence's tokens, and what was kept of those before."""
        return F32 * channels * (kept * self.batch.sequences + self.batch.tokens)


def recur(at: Recurring, hidden: Value, width: int) -> Value:
    """From the normalised hidden state to what is added to it, `width` numbers for a token."""
    if at.block.has("shortconv.in_proj"):
        return _short(at, hidden, width)
    if at.block.has("ssm_x"):
        return _mamba(at, hidden, width)
    if at.block.has("ssm_ba") or at.block.has("ssm_alpha"):
        return _delta(at, hidden, width)
    return _mamba2(at, hidden, width)


def _gathered(at: Recurring, size: int, spared: int = 0) -> Value:
    """A copy of the states of all sequences, all but the first where that is used in its place."""
    copy = at.graph.make(F32 * size * (at.batch.sequences - spared))
    at.graph.use(at.graph.view(copy))
    return copy


def _convolved(at: Recurring, projected: Value, channels: int, states: Value) -> Value:
    graph = at.graph
    joined = graph.make(at.window(channels, max(at.of.conv_kernel - 1, 0)), graph.view(states), graph.view(projected))
    graph.use(graph.view(joined))
    return graph.make(at.batch.floats(channels), joined)


def _short(at: Recurring, hidden: Value, width: int) -> Value:
    graph, floats = at.graph, at.batch.floats
    states = _gathered(at, at.state[0])
    joined = graph.make(floats(3 * width), graph.view(hidden))
    product = graph.make(floats(width), graph.view(joined), graph.view(joined))
    chunk = graph.view(joined)
    window = graph.make(at.window(width, at.of.shortconv_cache - 1), graph.view(states), graph.view(product))
    graph.use(graph.view(window))
    return graph.view(graph.make(floats(width), graph.update(graph.make(floats(width), window), chunk)))


def _mamba(at: Recurring, hidden: Value, width: int) -> Value:
    graph, floats, inner = at.graph, at.batch.floats, at.of.inner_size
    states = _gathered(at, at.state[0])
    projected = graph.make(floats(2 * inner), graph.view(hidden))
    gate = graph.view(projected)
    active = graph.update(graph.update(_convolved(at, projected, inner, states)))
    small = graph.make(floats(at.of.time_step_rank + 2 * at.of.state_size), active)
    second, third = graph.view(small), graph.view(small)
    step = graph.make(floats(at.of.time_step_rank), graph.view(small))
    if at.block.has("ssm_b_norm"):
        second, third = (graph.update(graph.make(floats(at.of.state_size), one)) for one in (second, third))
    step = graph.update(graph.make(floats(inner), step))
    scanned = _scanned(at, graph.view(active), step, second, third)
    answer, opened = graph.view(scanned), graph.make(floats(inner), gate)
    answer = graph.update(graph.update(active), answer)
    return graph.view(graph.make(floats(width), graph.make(floats(inner), opened, answer)))


def _scanned(at: Recurring, *sources: Value) -> Value:
    """What the scan answers, with the states that it ends in behind it."""
    graph = at.graph
    scanned = graph.make(at.batch.floats(at.of.inner_size) + F32 * at.state[1] * at.batch.sequences, *sources)
    _gathered(at, at.state[1], spared=1)
    graph.use(graph.view(scanned))
    return scanned


def _mamba2(at: Recurring, hidden: Value, width: int) -> Value:
    graph, floats, inner, heads = at.graph, at.batch.floats, at.of.inner_size, at.of.time_step_rank
    channels = inner + 2 * at.of.group_count * at.of.state_size
    states = _gathered(at, at.state[0])
    projected = graph.make(floats(inner + channels + heads), hidden)
    gate, steps = graph.view(projected), graph.view(projected)
    active = graph.update(graph.update(_convolved(at, projected, channels, states)))
    first, second, third = graph.view(active), graph.view(active), graph.view(active)
    step = graph.update(graph.make(floats(heads), steps))
    scanned = _scanned(at, first, step, second, third)
    answer, opened = graph.view(scanned), graph.make(floats(inner), gate)
    answer = graph.update(graph.make(floats(inner), first), answer)
    mixed = graph.make(floats(inner), opened, answer)
    if at.block.has("ssm_norm"):
        mixed = graph.view(graph.update(graph.make(floats(inner), graph.view(mixed))))
    return graph.make(floats(width), mixed)


def _delta(at: Recurring, hidden: Value, width: int) -> Value:
    """A gated delta net: queries, keys and values of one convolution."""
    graph, floats, inner, heads = at.graph, at.batch.floats, at.of.inner_size, at.of.time_step_rank
    keys = at.of.group_count * at.of.state_size
    channels = inner + 2 * keys
    states = _gathered(at, at.state[0])
    mixed = graph.make(floats(channels), hidden)
    joined = graph.make(at.window(channels, max(at.of.conv_kernel - 1, 0)), graph.view(states), graph.view(mixed))
    graph.use(graph.view(joined))
    state = _gathered(at, at.state[1])
    active = graph.update(graph.make(floats(channels), joined))
    query, key = (_repeated(at, graph.make(floats(keys), graph.view(active)), keys) for _ in range(2))
    gates = graph.make(floats(2 * heads), hidden)
    decay = graph.update(graph.update(graph.make(floats(heads), graph.view(gates))))
    rate = graph.update(graph.make(floats(heads), graph.view(gates)))
    sources = (query, key, graph.view(active), graph.view(decay), graph.view(rate), graph.view(state))
    scanned = graph.make(floats(inner) + F32 * at.state[1] * at.batch.sequences, *sources)
    graph.use(graph.view(scanned))
    normal = graph.update(graph.make(floats(inner), graph.view(scanned)))
    opened = graph.make(floats(inner), graph.view(graph.make(floats(inner), hidden)))
    return graph.view(graph.make(floats(width), graph.view(graph.update(normal, opened))))


def _repeated(at: Recurring, value: Value, width: int) -> Value:
    """Heads of keys as many times as there are heads of values for each."""
    if at.of.inner_size <= width:
        return value
    return at.graph.view(at.graph.make(at.batch.floats(at.of.inner_size), at.graph.view(value)))
