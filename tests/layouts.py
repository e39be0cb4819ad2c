"""Models that are all layers of one kind, by their numbers: what a memory plan needs, without a file."""

from __future__ import annotations

from llmkube.api.inference import InferenceServiceSpec
from llmkube.desired.engine.plan import EnginePlan, engine_plan
from llmkube.desired.inputs import Inputs
from llmkube.gguf.facts import Attention, ModelFacts, Recurrence
from llmkube.gguf.packed import packed
from llmkube.gguf.reader import TensorInfo
from llmkube.gguf.weights import weights

F16 = 2


def llama(
    *,
    layers: int = 30,
    width: int = 1024,
    heads: int = 16,
    vocabulary: int = 32000,
    context: int = 4096,
    head: bool = False,
    **more: object,
) -> ModelFacts:
    """A llama with F16 weights: its layers have 12 * width^2 values each, and as many keys as values.

    `head`: the one that makes a reranker of it.
    """
    names = {"attn_q": width, "attn_k": width, "attn_v": width, "attn_output": width}
    names |= {"ffn_gate": 8 * width // 3, "ffn_up": 8 * width // 3, "ffn_down": 8 * width // 3}
    tensors = [
        TensorInfo(f"blk.{layer}.{name}.weight", (width, rows), "F16", 0, F16 * width * rows)
        for layer in range(layers)
        for name, rows in names.items()
    ]
    ends = ("token_embd.weight", "output.weight")
    tensors += [TensorInfo(name, (width, vocabulary), "F16", 0, F16 * width * vocabulary) for name in ends]
    tensors += [TensorInfo("cls.output.weight", (width, 1), "F16", 0, F16 * width)] if head else []
    fields = {
        "architecture": "llama",
        "name": "a llama",
        "parameters": sum(each.elements for each in tensors),
        "quantization": "F16",
        "context_length": context,
        "block_count": layers,
        "embedding_length": width,
        "embedding_length_out": None,
        "feed_forward_lengths": (8 * width // 3,),
        "expert_feed_forward_length": None,
        "vocabulary_size": vocabulary,
        "experts": None,
        "experts_used": None,
        "nextn_layers": 0,
        "pooling": None,
        "uses_layer_norm": False,
        "license": None,
        "chat_template": False,
        "split_count": None,
        "attention": Attention((heads,) * layers, (heads,) * layers),
        "recurrence": Recurrence(),
        "weights": weights(tensors, layers),
    }
    return ModelFacts(**(fields | more))  # type: ignore[arg-type]


def layout(facts: ModelFacts) -> str:
    """As a Model's status has it."""
    text = packed(facts)
    assert text is not None
    return text


def planned(spec: InferenceServiceSpec, inputs: Inputs) -> EnginePlan:
    """The plan of a service that can be run."""
    found = engine_plan(spec, inputs)
    assert isinstance(found, EnginePlan), found
    return found
