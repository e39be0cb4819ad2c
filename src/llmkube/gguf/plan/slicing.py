"""How one layer's tensors are cut in split mode tensor: along which axis, and into multiples of what. Pure.

The rules are those of llama_meta_device_get_split_state in llama.cpp's src/llama-model.cpp. What is in none of them is
whole on every GPU: norms, routers, experts that all tokens use, convolutions of LFM2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import lcm
from typing import TYPE_CHECKING

from llmkube.gguf.plan.layers import head_lengths

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.weights import Block, Shape

WHOLE = frozenset({"deepseek4", "hrm_text"})
"""What is there whole on every GPU: by the engine's rule, or by ours, which knows no better."""
GATED = frozenset({"qwen3next", "qwen35", "qwen35moe", "qwen4exp"})
"""Attention whose queries have a gate of the same size beside them; and recurrence that is cut by heads."""
WIDE = 128
"""Values that a slice has a multiple of, so that products are fast."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`count` values of an axis, `times` one after another, each cut into multiples of `step`."""

    count: int
    step: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class Slicing:
    """One layer, as its tensors are cut. `turn`: how many GPUs further each slice goes than in the first layer."""

    facts: ModelFacts
    shares: tuple[float, ...]
    index: int
    turn: int
    slides: bool
    recurs: bool

    @property
    def block(self) -> Block:
        return self.facts.weights.blocks[self.index]

    @property
    def kind(self) -> Hashable:
        """What is the same of layers that are cut in the same way."""
        inner = _at(self.facts.feed_forward_lengths, self.index)
        of = (id(self.block.shapes), id(self.block.packing), self.heads, self.heads_kv, inner)
        return (*of, self.turn, self.slides, self.recurs)

    @property
    def heads(self) -> int:
        return _at(self.facts.attention.heads, self.index)

    @property
    def heads_kv(self) -> int:
        return _at(self.facts.attention.heads_kv, self.index)

    @property
    def shared_by(self) -> int:
        """Query heads for one head of keys."""
        return self.heads // self.heads_kv if self.heads_kv else 0

    @property
    def lengths(self) -> tuple[int, int]:
        """Values of one head: of a key, of a value."""
        return head_lengths(self.facts, slides=self.slides)

    @property
    def queries(self) -> int:
        """Values in the least slice of queries: all that share one head of keys, in whole blocks of the matrix."""
        return lcm(self.shared_by * self.lengths[0], self._unit_of_heads)

    @property
    def gated_queries(self) -> int:
        """With what opens them, if that is in the same matrix."""
        pair = 2 * self.shared_by * self.lengths[0]
        return lcm(pair, self._unit_of_heads) if self.facts.architecture in GATED else self.queries

    @property
    def _unit_of_heads(self) -> int:
        whole, unit = self.shared_by * self.lengths[0], self.unit("attn_output")
        while unit < WIDE and unit * len(self.shares) < whole:
            unit *= 2
        return unit

    @property
    def is_whole(self) -> bool:
        return self.facts.architecture in WHOLE

    def unit(self, *names: str) -> int:
        """Values in a block of the first of these matrices that the layer has."""
        return next((self.block.packing[f"{name}.weight"][0] for name in names if self._has(name)), 1)

    def _has(self, name: str) -> bool:
        return f"{name}.weight" in self.block.packing

    def heads_cut(self) -> tuple[int, ...]:
        """How many heads of keys each GPU has."""
        length = self.lengths[0] or 1
        keys = self.cut([Segment(self.heads_kv * length, self.queries // self.shared_by)])
        return tuple(count // length for count in keys)

    def cut(self, segments: Iterable[Segment]) -> tuple[int, ...]:
        """How many values each GPU has."""
        parts = [cut(segment, self.shares, self.turn) for segment in segments]
        return tuple(sum(one) for one in zip(*parts, strict=True)) if parts else (0,) * len(self.shares)


def cut(of: Segment, shares: Sequence[float], turn: int) -> tuple[int, ...]:
    """Of a segment, what each GPU has; rounded down, and the rest to the last, which is another in each layer."""
    count = len(shares)
    turned = list(accumulate(shares[(place + turn) % count] for place in range(count)))
    ends = [int(of.count * end / turned[-1]) for end in turned[:-1]]
    bounds = [0, *(end - end % max(of.step, 1) for end in ends), of.count]
    found = [0] * count
    for place in range(count):
        found[(place + turn) % count] = (bounds[place + 1] - bounds[place]) * of.times
    return tuple(found)


def segments(of: Slicing, name: str, shape: Shape) -> tuple[Segment, ...]:
    """How a tensor of a layer is cut, along the axis on which it has so many values; not at all without segments."""
    base, _, kind = name.rpartition(".")
    axis = shape[0] if kind == "bias" else shape[:2][-1]
    if of.is_whole:
        return ()
    if base.startswith("ffn_"):
        return _fed(of, base, kind, shape[0] if base.startswith("ffn_down") else axis)
    if of.recurs:
        return recurring(of, base or name, shape)
    return _attending(of, base, kind, shape, axis) if of.shared_by and of.lengths[0] else ()


def _fed(of: Slicing, base: str, kind: str, axis: int) -> tuple[Segment, ...]:
    """The network: inner values. What is added after it, and experts that all tokens use, are everywhere."""
    base = base.removesuffix("_exps")
    if base not in {"ffn_up", "ffn_gate", "ffn_gate_up", "ffn_down"} or (base, kind) == ("ffn_down", "bias"):
        return ()
    step = lcm(of.unit("ffn_down", "ffn_down_exps"), WIDE)
    inner = of.facts.feed_forward_lengths
    is_joined = base == "ffn_gate_up" or (base == "ffn_up" and axis == 2 * _at(inner, of.index))
    return (Segment(axis // 2, step, 2),) if is_joined else (Segment(axis, step),)


def _attending(of: Slicing, base: str, kind: str, shape: Shape, axis: int) -> tuple[Segment, ...]:
    """Attention: whole heads of keys, with the query heads that share them."""
    step, keys = of.queries, of.queries // of.shared_by
    match base:
        case "attn_q":
            return (Segment(axis, of.gated_queries),)
        case "attn_k" | "attn_v":
            return (Segment(axis, keys),)
        case "attn_qkv":
            both = of.heads_kv * of.lengths[1]
            return (Segment(axis - 2 * both, of.gated_queries), Segment(both, keys, 2))
        case "attn_output" if kind == "weight":
            return (Segment(shape[0], step),)
        case "attn_gate":
            return (Segment(axis, step // of.lengths[0] if axis == of.heads else step),)
        case "attn_q_norm" | "attn_k_norm" if len(shape) > 1 and shape[1] > 1:
            return (Segment(shape[1], 1),)
        case "attn_sinks":
            return (Segment(shape[0], step // of.lengths[0]),)
    return ()


def recurring(of: Slicing, name: str, shape: Shape) -> tuple[Segment, ...]:
    """Recurrence by heads of its state, in Qwen's models; other recurrent layers are everywhere."""
    own = of.facts.recurrence
    length = own.state_size
    if of.facts.architecture not in GATED or not (length and own.group_count):
        return ()
    step = lcm(lcm(of.unit("attn_output", "ssm_out"), WIDE), length)
    keys, times = length * own.group_count, max(own.time_step_rank // own.group_count, 1)
    values = keys * times
    match name:
        case "attn_qkv" | "ssm_conv1d":
            return (Segment(keys, step, 2), *_repeated(of, keys, values, step))
        case "attn_gate" | "ssm_out":
            return _repeated(of, keys, values, step)
        case "ssm_dt" | "ssm_a" | "ssm_alpha" | "ssm_beta":
            return _repeated(of, own.group_count, own.time_step_rank, step // length)
        case "ssm_ba":
            return (Segment(shape[:2][-1], 2 * (step // length)),)
    return ()


def _repeated(of: Slicing, keys: int, values: int, step: int) -> tuple[Segment, ...]:
    """Values of all heads: one after another in Qwen 3 Next, for each repetition of the keys in later models."""
    if of.facts.architecture == "qwen3next":
        return (Segment(values, step),)
    return (Segment(keys, step, values // keys),)


def _at(of: Sequence[int], index: int) -> int:
    return of[index] if index < len(of) else (of[-1] if len(of) == 1 else 0)
