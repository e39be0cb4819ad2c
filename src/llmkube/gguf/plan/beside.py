"""What Gemma 3n and 4 know of each token for each layer: rows of a vocabulary of their own (gemma3n.cpp, gemma4.cpp).

The rows are looked up at once, and joined with the first hidden state where the first layer asks for its part. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.graph import Graph, Value


@dataclass(slots=True)
class Beside:
    graph: Graph
    rows: Value
    hidden: Value
    all_layers: Value | None = None

    def part(self) -> Value:
        """One layer's part of it."""
        if self.all_layers is None:
            projected = self.graph.update(self.graph.make(self.rows.size, self.hidden))
            scaled = self.graph.update(self.graph.make(self.rows.size, self.graph.view(projected)))
            self.all_layers = self.graph.make(self.rows.size, self.graph.view(self.graph.update(scaled, self.rows)))
        return self.graph.view(self.all_layers)


def narrow_rows(facts: ModelFacts) -> int:
    """How many numbers are known of a token for one layer; 0 for other models."""
    return max((block.rows("inp_gate") for block in facts.weights.blocks), default=0)
