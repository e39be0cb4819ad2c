"""The graph of one device's part of a model: from the tokens, or the state that another device hands over, to the
logits, or the state that it hands on. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.gguf.plan.attention import WITHOUT_POSITIONS, Attending, attend
from llmkube.gguf.plan.batch import I32, Batch, Given, given
from llmkube.gguf.plan.beside import Beside, narrow_rows
from llmkube.gguf.plan.cache import F32
from llmkube.gguf.plan.crossing import added_up
from llmkube.gguf.plan.feed import Feeding, feed
from llmkube.gguf.plan.layers import DRAFTS, state_parts, window
from llmkube.gguf.plan.recurrence import Recurring, recur
from llmkube.gguf.plan.stacked import STATES, correct, predicted, rest, stack, unstack

if TYPE_CHECKING:
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.graph import Graph, Value
    from llmkube.gguf.plan.part import Kind, Part

MEAN = 1


@dataclass(slots=True)
class Walk:
    graph: Graph
    facts: ModelFacts
    batch: Batch
    part: Part
    normed: Value | None = None

    @property
    def width(self) -> int:
        return self.facts.embedding_length or 0

    @property
    def _is_stacked(self) -> bool:
        return any(block.has("altup_router") for block in self.facts.weights.blocks)

    @property
    def _norms(self) -> frozenset[str]:
        """The norms before the first and after the last layer. LFM2's last one has the name of others' first one."""
        names = self.facts.weights.names & {"token_embd_norm.weight", "output_norm.weight"}
        return frozenset({"output_norm.weight"}) if self.facts.architecture.startswith("lfm2") else names

    def through(self) -> None:
        """Add all steps to the graph."""
        part = self.part
        if not (part.kinds or part.reads or part.ends):
            return
        added = self._added_up()
        self.normed = self._handed(self.batch.floats(self.width)) if part.is_normed else None
        asked = given(self.graph, self.batch, part.asked, part.copies)
        strayed = [self._handed(size) for size in part.strays]
        hidden = added or self._begun(asked)
        known = self._beside(hidden)
        stacked = any(kind.stacks for kind in part.kinds)
        if stacked:
            hidden = self._stack(hidden)
        for index, kind in enumerate(part.kinds):
            cut = part.cuts and index == len(part.kinds) - 1
            hidden = self._stacked(asked, kind, hidden, known) if stacked else self._layer(asked, kind, hidden, cut=cut)
            hidden = self._joined(asked, kind, hidden, known, cut=cut) if known and not stacked else hidden
        hidden = self._chosen(asked, unstack(self.graph, hidden)) if stacked and part.cuts else hidden
        masks = [mask for mask in (asked.mask, asked.mask_swa) if mask is not None and part.reads]
        self.graph.use(*strayed, *masks)
        if part.ends:
            self._ended(hidden)
        if part.ends and self._is_stacked and not part.reads:  # where the matrices are that make four states of one
            rows = self.batch.floats(narrow_rows(self.facts) * (self.facts.block_count or 0))
            self.graph.keep(self._handed(rows))
            self.graph.keep(self.graph.input(rows))

    def _added_up(self) -> Value | None:
        """The hidden state of the host's last layer, of its parts."""
        before, used = self.part.adds_up, self.facts.experts_used or 0
        return added_up(self.graph, self.batch, before, self.width, used) if before else None

    def _begun(self, asked: Given) -> Value:
        """Rows of the vocabulary by token. Embeddings from outside have room of their own, mixed ones for ever."""
        part, graph, size = self.part, self.graph, self.batch.floats(self.width)
        if not part.reads and not (part.mixes and not self._is_stacked):
            return self._handed(size if part.kinds else F32 * self.width * self.batch.outputs)
        tokens = self._handed(I32 * self.batch.tokens)
        mixed = self._handed(size)
        rows = [self._rows(size, source) for source in self._sources(tokens, asked)]
        if part.reads:
            graph.keep(self._handed(size))
        if not part.mixes and not self._is_stacked:
            for value in (mixed, *rows):
                graph.keep(value)
            return rows[0]
        graph.view(graph.make(size, mixed), rows[1])
        hidden = graph.update(rows[2], rows[0]) if len(rows) > 2 else rows[0]
        return self._normal(hidden) if "token_embd_norm.weight" in self._norms else hidden

    def _sources(self, tokens: Value, asked: Given) -> list[Value]:
        """By what rows are looked up: tokens, those of a batch that is mixed, and in some models positions."""
        placed = "position_embd.weight" in self.facts.weights.names
        return [tokens, tokens, *([asked.positions] if placed else [])]

    def _rows(self, size: int, source: Value) -> Value:
        return self.graph.make(size, source) if self.part.reads else self._handed(size)

    def _beside(self, hidden: Value) -> Beside | None:
        """What is known of a token for each layer: all of it where the first layer is, or the parts of those here."""
        part, graph = self.part, self.graph
        narrow, count = narrow_rows(self.facts), self.facts.block_count or 0
        if not narrow or not (part.kinds or part.reads):
            return None
        if not (part.mixes or part.reads):
            parts = self._handed(self.batch.floats(narrow * part.layers))
            return Beside(graph, parts, hidden, parts)
        size = self.batch.floats(narrow * count)
        rows = graph.make(size, self._handed(I32 * self.batch.tokens)) if part.reads else self._handed(size)
        if part.mixes:
            return Beside(graph, graph.make(size, graph.view(rows)), hidden)
        graph.keep(rows)
        return None

    def _stack(self, hidden: Value) -> Value:
        """Gemma 3n's four hidden states: made of one, or come from another device, turned and plain."""
        if self.part.reads and self.part.mixes:
            return stack(self.graph, hidden)
        whole = hidden.size * STATES
        self.graph.keep(self._handed(whole))
        return self._handed(whole)

    def _handed(self, size: int) -> Value:
        return self.graph.handed(size, self.part.copies)

    def _stacked(self, asked: Given, kind: Kind, hidden: Value, beside: Beside | None) -> Value:
        """A layer of Gemma 3n: one of its hidden states is worked on, and corrects a guess at all of them."""
        graph, size, floats = self.graph, self.batch.floats(self.width), self.batch.floats
        guessed = predicted(graph, hidden)
        active = graph.view(guessed)
        normal = graph.update(graph.make(size, active))
        mixed = graph.update(self._normal(self._made(attend(self._attending(asked, kind), normal))), active)
        laurel = self._made(graph.make(floats(kind.block.rows("laurel_l")), normal))
        hidden = graph.update(graph.update(mixed, graph.update(self._normal(laurel), normal)))
        fed = self._normal(self._made(self._thinned(kind, self._normal(hidden))))
        corrected = correct(graph, guessed, graph.update(fed, hidden))
        first = graph.make(size, graph.view(corrected))
        narrow = graph.update(graph.make(floats(kind.block.rows("inp_gate")), first))
        narrow = graph.update(narrow, beside.part()) if beside else narrow
        return rest(graph, corrected, self._normal(graph.make(size, narrow)))

    def _thinned(self, kind: Kind, normal: Value) -> Value:
        """A network whose gate keeps only what is far above its mean."""
        graph, inner = self.graph, self.batch.floats(kind.block.rows("ffn_up"))
        up, gate = graph.make(inner, normal), graph.make(inner, normal)
        graph.use(graph.update(graph.make(inner, gate)))
        return graph.update(up, graph.update(gate))

    def _joined(self, asked: Given, kind: Kind, hidden: Value, beside: Beside, *, cut: bool) -> Value:
        """What is known of a token for a layer, gated by the hidden state and added to it."""
        graph, narrow = self.graph, kind.block.rows("inp_gate")
        tokens = self.batch.outputs if cut else self.batch.tokens
        gate = graph.update(graph.make(F32 * narrow * tokens, hidden))
        part = beside.part()
        part = graph.make(F32 * narrow * tokens, part, asked.outputs) if cut else part
        return graph.update(hidden, self._normal(graph.make(F32 * self.width * tokens, graph.update(gate, part))))

    def _normal(self, value: Value) -> Value:
        """Scaled to one length. An RMS norm may overwrite what it scales, a layer norm never does.

        The first time it may be what another device has handed over, which waits for its weights only.
        """
        if self.normed:
            scaled, self.normed = self.graph.update(self.normed), None
            return scaled
        if self.facts.uses_layer_norm:
            return self.graph.update(self.graph.make(value.size, value))
        return self.graph.update(self.graph.update(value))

    def _layer(self, asked: Given, kind: Kind, hidden: Value, *, cut: bool) -> Value:
        """`cut`: after its attention only the tokens that get logits are looked at."""
        if not (kind.attends or kind.layer.state):
            fed = self.graph.update(feed(self._network(kind, cut=False), self._normal(hidden)), hidden)
            return self._chosen(asked, fed) if cut else fed
        if kind.is_side_by_side:
            return self._side_by_side(asked, kind, hidden, cut=cut)
        before = not kind.block.has("attn_output_norm")
        mixed = self._mixed(asked, kind, hidden, before=before)
        if cut:
            mixed, hidden = self._chosen(asked, mixed), self._chosen(asked, hidden)
        hidden = self.graph.update(mixed, hidden)
        if not kind.feeds:
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
        if kind.recurs_only:
            return recur(of, normal, self.width)
        weighed = attend(self._attending(asked, kind), normal)
        recurred = recur(of, self._normal(hidden), self.width)
        return self.graph.update(self._made(weighed), recurred)

    def _attending(self, asked: Given, kind: Kind) -> Attending:
        rotates = self.facts.architecture not in WITHOUT_POSITIONS
        keys_first = not self.batch.caches or window(self.facts) > 0
        of = (self.graph, self.batch, asked, kind.block, kind.heads)
        shares = self.batch.caches and not kind.layer.caches
        return Attending(*of, kind.layer.slides, rotates, keys_first, shares)

    def _network(self, kind: Kind, *, cut: bool) -> Feeding:
        tokens = self.batch.outputs if cut else self.batch.tokens
        used = self.facts.experts_used or 0
        return Feeding(self.graph, kind.block, tokens, self.width, self.facts.experts or 0, used)

    def _made(self, *sources: Value) -> Value:
        """A hidden state of all tokens."""
        return self.graph.make(self.batch.floats(self.width), *sources)

    def _chosen(self, asked: Given, value: Value) -> Value:
        return self.graph.make(F32 * self.width * self.batch.outputs, value, asked.outputs)

    def _ended(self, hidden: Value) -> None:
        """Logits, twice where a sampler keeps its own; or of a model that embeds one vector for each sequence."""
        hidden = self._normal(hidden) if "output_norm.weight" in self._norms else hidden
        if self.batch.embeds or not self.batch.caches:
            return self._pooled(hidden)
        logits = self.graph.make(F32 * (self.facts.vocabulary_size or 0) * self.batch.outputs, hidden)
        self.graph.keep(logits)
        if self.facts.architecture in DRAFTS:
            self.graph.keep(self.graph.make(logits.size, logits))
        return None

    def _pooled(self, hidden: Value) -> None:
        graph = self.graph
        if self.facts.pooling == MEAN:
            share = graph.input(F32 * self.batch.tokens * self.batch.sequences)
            graph.keep(graph.make(F32 * self.width * self.batch.sequences, graph.make(hidden.size, hidden), share))
        else:
            graph.keep(hidden)
