"""Split mode tensor: which part of each matrix, cache and state each GPU has. Pure.

Every GPU has a slice of every matrix that the engine cuts, whole heads of its keys and values, and all of the rest. The
rules are those of llama_meta_device_get_split_state in llama.cpp's src/llama-model.cpp; where it has rules for one
architecture alone that are not followed here (DeepSeek V4) nothing is cut, which is an upper bound.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2, prod
from typing import TYPE_CHECKING

from llmkube.gguf.plan.attention import TURNED
from llmkube.gguf.plan.cache import F32, Kept, kept_of, ubatch
from llmkube.gguf.plan.layers import WITHOUT_OUTPUT, Layer, layers, recurrent, sliding, trunk
from llmkube.gguf.plan.options import QUANTIZED, SliceError
from llmkube.gguf.plan.placement import HOST
from llmkube.gguf.plan.slicing import WHOLE, Segment, Slicing, cut, recurring, segments

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.options import EngineOptions
    from llmkube.gguf.plan.placement import Placement

_REFUSED = """
bailingmoe3 bitnet deepseek2 deepseek32 dots3note falcon-h1 gemma3n glm-dsa glm5-next granitehybrid grok hy_v4 jamba
kimi-k3 kimi-linear mamba mamba2 minicpm3 minimax-01 minimax-m2 minimax-m3 mistral4 mpt nemotron_h nemotron_h_moe
olmo2 olmoe plamo2 qwen3tts t5
"""
WITHOUT_TENSOR = frozenset(_REFUSED.split())
"""What the engine refuses to split so (llm_arch_supports_sm_tensor in src/llama-arch.cpp, asked of build b11669)."""
ABORTED = frozenset({"rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})
"""Where it aborts instead, seen with RWKV 7: it asks how the matrix `ssm_out` is cut, which these do not have."""


def check(facts: ModelFacts, options: EngineOptions) -> None:
    """SliceError where the engine does not split a model so, or aborts when it tries."""
    if reason := unsliceable(facts.architecture):
        raise SliceError(f"split_mode: {reason}")
    sliced = _slicings(facts, options)
    if not options.kv_offload and any(of.recurs for of in sliced):
        raise SliceError("kv_offload: expected true for recurrent layers with split mode tensor; keep it on")
    if options.cache_type_k in QUANTIZED and any(map(_turns_one_head, sliced)):
        expected = "expected f16, bf16 or f32 for one head of keys with split mode tensor"
        raise SliceError(f"cache_type_k: {expected}, found {options.cache_type_k}; take f16, or split mode layer")
    if not (_sharers_agree(facts, sliced) and all(map(_values_agree, sliced))):
        found = ":".join(f"{share:g}" for share in _shares(options))
        expected = "expected shares that leave heads which belong together on one GPU with split mode tensor"
        raise SliceError(f"tensor_split: {expected}, found {found}; take equal ones, other GPUs, or split mode layer")


def unsliceable(architecture: str) -> str:
    """Why the engine does not split an architecture so; empty where it does."""
    if architecture not in WITHOUT_TENSOR | ABORTED:
        return ""
    return f"expected layer or none for the architecture {architecture}, which llama.cpp cannot slice, found tensor"


def _turns_one_head(of: Slicing) -> bool:
    """Whether a layer's one head of keys is rotated before it is quantised, which the engine cannot cut."""
    return of.heads_kv == 1 and not of.recurs and of.lengths[0] % TURNED == 0


def _sharers_agree(facts: ModelFacts, sliced: Sequence[Slicing]) -> bool:
    """Whether layers that use an earlier one's cache are cut as that is: the GPUs take turns at the larger slices."""
    kept = layers(facts)
    attending = [of for of in sliced if of.shared_by and not of.recurs and of.block.has("attn_q")]
    for slides in (True, False):
        mine = [of for of in attending if of.slides == slides]
        owners = [of for of in mine if kept[of.index].caches]
        if owners and any(of.heads_cut() != owners[-1].heads_cut() for of in mine if not kept[of.index].caches):
            return False
    return True


def _values_agree(of: Slicing) -> bool:
    """Whether a recurrence's values are cut where the keys are that they belong to."""
    own, parts = of.facts.recurrence, recurring(of, "ssm_conv1d", ()) if of.recurs else ()
    if not parts:
        return True
    keys = of.cut([replace(parts[0], times=1)])
    return of.cut(parts[1:]) == tuple(own.time_step_rank // own.group_count * count for count in keys)


def weights(facts: ModelFacts, options: EngineOptions, places: Placement) -> tuple[int, ...]:
    """Bytes of the weights on each GPU."""
    found = [0] * options.gpus
    known: dict[Hashable, tuple[int, tuple[int, ...]]] = {}
    for of in _slicings(facts, options):
        if places.layers[of.index] != HOST:
            if of.kind not in known:
                known[of.kind] = _block(of)
            whole, parts = known[of.kind]
            found = [size + part + of.block.size - whole for size, part in zip(found, parts, strict=True)]
    if places.output == HOST:
        return tuple(found)
    end = facts.weights
    rest = end.outputs - end.head + (end.tied if facts.architecture not in WITHOUT_OUTPUT else 0)
    return tuple(size + head + rest for size, head in zip(found, _heads(facts, options), strict=True))


def _heads(facts: ModelFacts, options: EngineOptions) -> tuple[int, ...]:
    """Bytes of the output matrix on each GPU: rows of the vocabulary."""
    rows, whole = facts.vocabulary_size, facts.weights.head
    if not rows or facts.architecture in WHOLE:
        return (whole,) * options.gpus
    turn = (facts.block_count or 0) % options.gpus
    return tuple(whole * count // rows for count in cut(Segment(rows, 1), _shares(options), turn))


def caches(facts: ModelFacts, options: EngineOptions) -> tuple[tuple[Kept, ...], ...]:
    """What each GPU keeps of each layer that is on GPUs."""
    whole = layers(facts)
    known: dict[Hashable, tuple[Layer, ...]] = {}
    sliced = []
    for of in _slicings(facts, options):
        key = (of.kind, whole[of.index])
        if key not in known:
            known[key] = _cached(of, whole[of.index])
        sliced.append(known[key])
    beyond = ((Layer(),) * options.gpus,) * (len(whole) - len(sliced))
    return tuple(kept_of(mine, facts, options) for mine in zip(*sliced, *beyond, strict=True))


def sums(facts: ModelFacts, options: EngineOptions, places: Placement) -> int:
    """Bytes beside the graph on each GPU, where it adds up what the others have of a product: a room for each step.

    The largest product is that of all experts that a token uses, but in the last layer, where few tokens are left
    (src/ggml-backend-meta.cpp of ggml).
    """
    blocks = zip(facts.weights.blocks[: trunk(facts)], places.layers, strict=False)
    mine = [block for block, place in blocks if place != HOST]
    if not mine:
        return 0
    used = max(facts.experts_used or 1, 1) if any(block.has("ffn_down_exps") for block in mine[:-1]) else 1
    return ceil(log2(options.gpus)) * F32 * (facts.embedding_length or 0) * used * ubatch(facts, options)


def _slicings(facts: ModelFacts, options: EngineOptions) -> list[Slicing]:
    """Slices that rounding makes larger go to another GPU in each layer; layers of another kind are counted apart."""
    slides, recurs, shares = sliding(facts), recurrent(facts), _shares(options)
    seen: dict[tuple[bool, bool], int] = {}
    found = []
    for index in range(min(trunk(facts), len(facts.weights.blocks))):
        kind = (slides[index], recurs[index])
        turn = seen.get(kind, 0) % options.gpus
        found.append(Slicing(facts, shares, index, turn, *kind))
        seen[kind] = seen.get(kind, 0) + 1
    return found


def _shares(options: EngineOptions) -> tuple[float, ...]:
    """As told, or even: the engine does not go by free memory here."""
    given = (*options.tensor_split, *(0.0,) * options.gpus)[: options.gpus]
    return given if any(given) else (1.0,) * options.gpus


def _block(of: Slicing) -> tuple[int, tuple[int, ...]]:
    """Bytes of all tensors of a layer that are cut, and of the slices on each GPU."""
    found, whole = [0] * len(of.shares), 0
    for name, shape in of.block.shapes.items():
        packing = of.block.packing.get(name)
        parts = segments(of, name, shape) if packing and shape else ()
        total = sum(part.count * part.times for part in parts)
        if not packing or not total or total not in shape:
            continue
        size = prod(shape) // packing[0] * packing[1]
        whole += size
        found = [mine + size * part // total for mine, part in zip(found, of.cut(parts), strict=True)]
    return whole, tuple(found)


def _cached(of: Slicing, whole: Layer) -> tuple[Layer, ...]:
    """Of what a layer keeps, what each GPU has."""
    count = len(of.shares)
    if of.is_whole:
        return (whole,) * count
    keys = of.queries // of.shared_by if of.shared_by and of.lengths[0] else 1
    key, value = (of.cut([Segment(one, keys)]) for one in (whole.key, whole.value))
    state = _states(of, whole.state)
    return tuple(replace(whole, key=key[place], value=value[place], state=state[place]) for place in range(count))


def _states(of: Slicing, whole: int) -> tuple[int, ...]:
    own, length = of.facts.recurrence, of.facts.recurrence.state_size
    convolved = recurring(of, "ssm_conv1d", ())
    if not whole or not convolved:
        return (whole,) * len(of.shares)
    back = max(own.conv_kernel - 1, 0)
    recurred = recurring(of, "ssm_out", ())
    parts = zip(of.cut(convolved), of.cut(recurred), strict=True)
    return tuple(back * conv + length * inner for conv, inner in parts)
