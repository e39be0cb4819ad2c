"""A kind of layer, and what one device has of the graph. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmkube.gguf.plan.attention import Heads
    from llmkube.gguf.plan.batch import Asked
    from llmkube.gguf.plan.layers import Layer
    from llmkube.gguf.weights import Block

# A network that works on what its layer's attention answers scales that before or after.
QUERIES = ("attn_q", "attn_qkv", "attn_q_a")
NETWORKS = ("ffn_up", "ffn_gate_inp", "ffn_up_exps")
AFTER_NORMS = ("ffn_norm", "post_attention_norm", "attn_output_norm")


@dataclass(frozen=True, slots=True)
class Kind:
    """What decides how much memory a layer works in."""

    block: Block
    layer: Layer
    heads: Heads

    @property
    def recurs_only(self) -> bool:
        return bool(self.layer.state) and not self.layer.caches

    @property
    def shares(self) -> bool:
        """Whether it uses an earlier layer's cache, if there is one."""
        return self.attends and not self.layer.caches

    @property
    def feeds(self) -> bool:
        return any(self.block.has(name) for name in NETWORKS)

    @property
    def is_side_by_side(self) -> bool:
        """Whether its attention and its network work on the same state."""
        return self.feeds and self.attends and not any(self.block.has(name) for name in AFTER_NORMS)

    @property
    def sums_last(self) -> bool:
        """Whether it ends with a sum, and not with a norm's weights."""
        return self.feeds and not (self.stacks or self.is_side_by_side or self.block.has("layer_output_norm"))

    @property
    def stacks(self) -> bool:
        return self.block.has("altup_router")

    @property
    def attends(self) -> bool:
        return not self.recurs_only and any(self.block.has(name) for name in QUERIES)


@dataclass(frozen=True, slots=True)
class Part:
    """What one device has of the graph: its layers, and what it does before and after them.

    `reads`: it looks up the tokens' rows. `mixes`: it has the first layer. `cuts`: it has the last one. `ends`: it has
    the output. `asked` is what its layers ask for, on the host what those of all devices do. `copies`: of everything
    that comes from another device, so that several batches can be under way. `strays`: bytes that come besides,
    or of which a part is worked out here. `layers`: how many there are, of all kinds. `adds_up`: the host's last
    layer, when its last sum is left to this device. `is_normed`: what comes is already scaled to one length.
    """

    kinds: tuple[Kind, ...]
    reads: bool
    mixes: bool
    cuts: bool
    ends: bool
    asked: Asked
    copies: int
    strays: tuple[int, ...] = ()
    layers: int = 0
    adds_up: Block | None = None
    is_normed: bool = False
