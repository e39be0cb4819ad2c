"""The graph of one device's part of a model: from the tokens, or the state that another device hands over, to the
logits, or the state that it hands on. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.plan.attention import WITHOUT_POSITIONS, Attending, Heads, attend, rotation
from llmkube.gguf.plan.batch import I32, Batch, Given, given
from llmkube.gguf.plan.cache import F32
from llmkube.gguf.plan.feed import Feeding, feed
from llmkube.gguf.plan.layers import Layer, layers, state_parts, window
from llmkube.gguf.plan.recurrence import Recurring, recur

if TYPE_CHECKING:
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.graph import Graph, Value
    from llmkube.gguf.weights import Block

TIMES = 2
"""How often a kind of layer is walked through: what the one before it left behind is in the way of the second."""
# Logits of the chosen tokens are taken after the last layer, which works on all tokens.
CUT_LATE = frozenset({"qwen3next", "qwen35", "qwen35moe"})
MEAN = 1
# A network that works on what its layer's attention answers scales that before or after.
AFTER_NORMS = ("ffn_norm", "post_attention_norm", "attn_output_norm")


@dataclass(frozen=True, slots=True)
class Kind:
    """What decides how much memory a layer works in."""

    block: Block
    layer: Layer
    heads: Heads


@dataclass(frozen=True, slots=True)
class Part:
    """What one device has of the graph: `begins` with tokens, `ends` with logits."""

    kinds: tuple[Kind, ...]
    begins: bool
    ends: bool


@dataclass(slots=True)
class Walk:
    graph: Graph
    facts: ModelFacts
    batch: Batch
    part: Part

    @property
    def width(self) -> int:
        return self.facts.embedding_length or 0

    def through(self) -> None:
        """Add all steps to the graph."""
        kinds = self.part.kinds
        if not (kinds or self.part.begins or self.part.ends):
            return
        attending = [kind for kind in kinds if kind.heads.count and not _recurs_only(kind)]
        asked = given(
            self.graph,
            self.batch,
            full=any(not kind.layer.slides for kind in attending),
            sliding=any(kind.layer.slides for kind in attending),
            value_width=max((layer.value for layer in layers(self.facts)), default=0),
            rotations=max((self._rotations(kind) for kind in attending), default=0),
        )
        hidden = self._begun(asked)
        late = self.facts.architecture in CUT_LATE
        for index in range(len(kinds) * TIMES):
            cut = self.part.ends and not late and index == len(kinds) * TIMES - 1
            hidden = self._layer(asked, kinds[index // TIMES], hidden, cut=cut)
        if self.part.ends:
            self._ended(asked, hidden, late=late)

    def _rotations(self, kind: Kind) -> int:
        keys, values = rotation(kind.heads)
        latent = kind.block.has("attn_kv_a_mqa")
        return 0 if latent else keys * self.batch.turns_keys + values * self.batch.turns_values

    def _begun(self, asked: Given) -> Value:
        """Rows of the vocabulary by token. Embeddings from outside have room of their own, mixed ones for ever."""
        graph, size = self.graph, self.batch.floats(self.width)
        if not self.part.begins:
            return graph.input(size)
        tokens = graph.input(I32 * self.batch.tokens)
        graph.keep(graph.input(size))
        mixed, hidden = graph.input(size), graph.make(size, tokens)
        rows = graph.make(size, tokens)
        graph.view(graph.make(size, mixed), rows)
        if "position_embd.weight" in self.facts.weights.names:
            hidden = graph.update(graph.make(size, asked.positions), hidden)
        return self._normal(hidden) if "token_embd_norm.bias" in self.facts.weights.names else hidden

    def _normal(self, value: Value) -> Value:
        """Scaled to one length. An RMS norm may overwrite what it scales, a layer norm never does."""
        if self.facts.uses_layer_norm:
            return self.graph.update(self.graph.make(value.size, value))
        return self.graph.update(self.graph.update(value))

    def _layer(self, asked: Given, kind: Kind, hidden: Value, *, cut: bool) -> Value:
        """`cut`: after its attention only the tokens that get logits are looked at."""
        if not any(kind.block.has(name) for name in AFTER_NORMS) and _feeds(kind.block):
            return self._side_by_side(asked, kind, hidden, cut=cut)
        before = not kind.block.has("attn_output_norm")
        mixed = self._mixed(asked, kind, hidden, before=before)
        if cut:
            mixed, hidden = self._chosen(asked, mixed), self._chosen(asked, hidden)
        hidden = self.graph.update(mixed, hidden)
        if not _feeds(kind.block):
            return hidden
        network = self._network(kind, cut=cut)
        if before:
            return self.graph.update(feed(network, self._normal(hidden)), hidden)
        hidden = self._normal(hidden)
        return self._normal(self.graph.update(feed(network, hidden), hidden))

    def _side_by_side(self, asked: Given, kind: Kind, hidden: Value, *, cut: bool) -> Value:
        """A layer whose attention and network both work on what comes in; the engine projects the attention last."""
        normal = self._normal(hidden)
        weighed = attend(self._attending(asked, kind), normal)
        if cut:
            mixed = self._chosen(asked, self._made(weighed))
            hidden, normal = self._chosen(asked, hidden), self._chosen(asked, normal)
            return self.graph.update(self.graph.update(feed(self._network(kind, cut=True), normal), hidden), mixed)
        fed = self.graph.update(feed(self._network(kind, cut=False), normal), hidden)
        return self.graph.update(fed, self._made(weighed))

    def _mixed(self, asked: Given, kind: Kind, hidden: Value, *, before: bool) -> Value:
        """What a layer's attention, its recurrence, or both of them, answer; each scales what comes in for itself."""
        normal = self._normal(hidden) if before else hidden
        if not kind.layer.state:
            return self._made(attend(self._attending(asked, kind), normal))
        of = Recurring(self.graph, self.batch, kind.block, self.facts.recurrence, state_parts(self.facts))
        if _recurs_only(kind):
            return recur(of, normal, self.width)
        weighed = attend(self._attending(asked, kind), normal)
        recurred = recur(of, self._normal(hidden), self.width)
        return self.graph.update(self._made(weighed), recurred)

    def _attending(self, asked: Given, kind: Kind) -> Attending:
        rotates = self.facts.architecture not in WITHOUT_POSITIONS
        keys_first = not self.batch.caches or window(self.facts) > 0
        of = (self.graph, self.batch, asked, kind.block, kind.heads)
        return Attending(*of, kind.layer.slides, rotates, keys_first)

    def _network(self, kind: Kind, *, cut: bool) -> Feeding:
        tokens = self.batch.outputs if cut else self.batch.tokens
        used = self.facts.experts_used or 0
        return Feeding(self.graph, kind.block, tokens, self.width, self.facts.experts or 0, used)

    def _made(self, *sources: Value) -> Value:
        """A hidden state of all tokens."""
        return self.graph.make(self.batch.floats(self.width), *sources)

    def _chosen(self, asked: Given, value: Value) -> Value:
        return self.graph.make(F32 * self.width * self.batch.outputs, value, asked.outputs)

    def _ended(self, asked: Given, hidden: Value, *, late: bool) -> None:
        """Logits, or of a model without them one vector for a sequence."""
        if not self.batch.caches:
            return self._pooled(hidden)
        hidden = self._normal(hidden)
        hidden = self._chosen(asked, hidden) if late else hidden
        self.graph.keep(self.graph.make(F32 * (self.facts.vocabulary_size or 0) * self.batch.outputs, hidden))
        return None

    def _pooled(self, hidden: Value) -> None:
        graph = self.graph
        if self.facts.pooling == MEAN:
            share = graph.input(F32 * self.batch.tokens * self.batch.sequences)
            graph.keep(graph.make(F32 * self.width * self.batch.sequences, graph.make(hidden.size, hidden), share))
        else:
            graph.keep(hidden)


def _feeds(block: Block) -> bool:
    return any(block.has(name) for name in ("ffn_up", "ffn_gate_inp", "ffn_up_exps"))


def _recurs_only(kind: Kind) -> bool:
    return bool(kind.layer.state) and not kind.layer.caches
