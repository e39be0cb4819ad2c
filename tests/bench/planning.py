"""How long a memory plan takes: the slowest of the certified models, and one of 80 layers on eight GPUs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from time import perf_counter

from tests.bench.figures import Figure
from tests.certify.architectures import all_models
from tests.certify.writing import facts_of

from llmkube.gguf.facts import ModelFacts
from llmkube.gguf.plan.fit import largest_context, most_layers
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions

LIMIT = 5.0
GPUS = 8
GIB = 1 << 30


def figures(rounds: int) -> list[Figure]:
    """Milliseconds, the median of so many rounds."""
    small = {model.name: facts_of(model) for model in all_models()}
    options = EngineOptions(context=8192, parallel=4, gpus=1)
    slowest, took = max(
        ((name, _took(facts, options, rounds)) for name, facts in small.items()), key=lambda pair: pair[1]
    )
    deep, many = _deep(small["qwen3moe"]), EngineOptions(context=8192, gpus=GPUS)
    free = (4 * GIB,) * GPUS
    search = _median(
        lambda: (largest_context(deep, many, free, GIB), most_layers(deep, many, free, GIB)), 1 + rounds // 10
    )
    return [
        Figure(f"a plan, {slowest}", took, "ms", f"slowest of {len(small)} models", LIMIT, at_least=False),
        Figure("a plan, 80 layers", _took(deep, many, rounds), "ms", f"on {GPUS} GPUs", LIMIT, at_least=False),
        Figure("context and layers that fit", search, "ms", f"80 layers on {GPUS} GPUs"),
    ]


def _deep(facts: ModelFacts) -> ModelFacts:
    """As many layers as the large models have, all of one kind."""
    layers = 80
    attention = replace(
        facts.attention, heads=facts.attention.heads[:1] * layers, heads_kv=facts.attention.heads_kv[:1] * layers
    )
    weights = replace(facts.weights, blocks=facts.weights.blocks[:1] * layers)
    return replace(facts, block_count=layers, attention=attention, weights=weights)


def _took(facts: ModelFacts, options: EngineOptions, rounds: int) -> float:
    return _median(lambda: plan(facts, options), rounds)


def _median(of: Callable[[], object], rounds: int) -> float:

    times = []
    for _ in range(rounds):
        began = perf_counter()
        of()
        times.append(1000 * (perf_counter() - began))
    return median(times)
