"""Working memory: the peak of the computation graph on each device, and on the host. Pure.

A device's graph is walked through for each kind of layer that it has, not for each layer: those of one kind take the
same memory again and again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from llmkube.gguf.plan.attention import Heads, rotation
from llmkube.gguf.plan.batch import F16, Asked, Batch, batch
from llmkube.gguf.plan.graph import Graph, peak
from llmkube.gguf.plan.layers import WITHOUT_OUTPUT, head_lengths, layers, trunk
from llmkube.gguf.plan.part import Kind, Part
from llmkube.gguf.plan.placement import HOST
from llmkube.gguf.plan.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.cache import Kept
    from llmkube.gguf.plan.options import EngineOptions
    from llmkube.gguf.plan.placement import Placement
    from llmkube.gguf.weights import Block

TIMES = 2
"""How many layers of a kind are walked through: what the first left behind is in the way of the second."""
LAST = 2
MOST_KINDS = 8
STATES = 5
"""Hidden states and queries that are there beside a cache that was brought over."""
COPIES = 4
"""How many batches the engine has under way when all layers are on several GPUs (GGML_SCHED_MAX_COPIES)."""


@dataclass(slots=True)
class _Devices:
    """The parts of a model on its devices, each kind of part walked through once."""

    facts: ModelFacts
    batch: Batch
    places: Placement
    kinds: list[Kind]
    caches: Sequence[Kept]
    shared: list[tuple[int, list[int]]]
    copies: int
    done: dict[tuple[object, ...], int]

    def needed(self, device: int) -> int:
        """Bytes on one device."""
        part = self._part(device)
        key = _key(part)
        if key not in self.done:
            graph = Graph()
            Walk(graph, self.facts, self.batch, part).through()
            self.done[key] = peak(graph)
        return self.done[key]

    def _part(self, device: int) -> Part:
        """What the device has of the model, and what it takes from others."""
        layers = self.places.layers[: len(self.kinds)]
        mine = [kind for kind, place in zip(self.kinds, layers, strict=True) if place == device]
        reads = device == HOST
        ends = self.facts.architecture not in WITHOUT_OUTPUT or "output_norm.weight" in self.facts.weights.names
        output = self.places.output if ends else layers[-1]
        return Part(
            kinds=_walked(mine),
            reads=reads,
            mixes=layers[0] == device,
            cuts=layers[-1] == device,
            ends=output == device,
            asked=_asked(self.kinds if reads else mine, self.batch),
            copies=self.copies,
            strays=(*self._strays(device), *self._borrowed_caches(device)),
            layers=len(mine),
            adds_up=self._added_up(device),
            is_normed=self._is_normed(device),
        )

    def lent(self) -> int:
        """Bytes on the first GPU for the host's layers, which it works out for batches of prompts (op offload).

        Each matrix is brought there for its product, and the cache for its attention, if that is one operation. What
        is beside them was measured with Vulkan and not walked through: rather too much than too little.
        """
        places = self.places.layers[: len(self.kinds)]
        lent = [index for index, place in enumerate(places) if place == HOST]
        if not lent:
            return 0
        kinds, of = [self.kinds[index] for index in lent], replace(self.batch, flash=True)
        asked, graph, floats = _asked(kinds, of), Graph(), of.floats
        part = Part(_walked(kinds), reads=False, mixes=False, cuts=False, ends=False, asked=asked, copies=1)
        Walk(graph, self.facts, of, part).through()
        used, width = self.facts.experts_used or 0, self.facts.embedding_length or 0
        beside = max(k.block.largest + floats(2 * width + used * k.block.rows("ffn_up_exps")) for k in kinds)
        masks = F16 * of.tokens * (asked.full * of.full + asked.sliding * of.sliding)
        brought = max(self.caches[index].kv + self.caches[index].kv_swa for index in lent) * self.batch.flash
        return max(peak(graph) + beside, masks + brought + floats(STATES * width))

    def _added_up(self, device: int) -> Block | None:
        """The last layer of the host, when a GPU comes next that adds it up."""
        layers = self.places.layers[: len(self.kinds)]
        if device == HOST or HOST not in layers or device not in layers:
            return None
        index = layers.index(device)
        if layers[index - 1] != HOST or self.kinds[index].layer.state:
            return None
        return self.kinds[index - 1].block if self.kinds[index - 1].sums_last else None

    def _is_normed(self, device: int) -> bool:
        """Whether the GPU before also scales the hidden state for the first layer of this one.

        With all layers on GPUs the engine sees to it that it does not.
        """
        layers = self.places.layers[: len(self.kinds)]
        if self.places.gpu_layers > len(self.places.layers) or device not in layers[1:]:
            return False
        index = layers.index(device)
        first = self.kinds[index]
        return index > 0 and layers[index - 1] != HOST and first.block.has("attn_norm") and not first.layer.state

    def _strays(self, device: int) -> tuple[int, ...]:
        """Bytes of what crosses to the next device, and back, where a recurrent layer follows.

        The engine reads that layer's state before it has ended the one before, and what comes then without a matrix of
        its own is worked out on the device of the state: the copy of a gate, or the last sum after experts.
        """
        of, found = self.facts.recurrence, []
        for index, (before, after) in enumerate(pairwise(self.places.layers[: len(self.kinds)])):
            kind = self.kinds[index]
            if before == after or not self.kinds[index + 1].layer.state:
                continue
            if kind.recurs_only and kind.block.has("ssm_in"):
                found += [of.inner_size] * (before == device) + [kind.block.rows("ssm_in")] * (after == device)
            elif kind.block.has("ffn_gate_inp"):
                found += [self.facts.embedding_length or 0] * (after == device)
        return tuple(map(self.batch.floats, found))

    def _borrowed_caches(self, device: int) -> tuple[int, ...]:
        """Bytes of caches that layers here use and that are on another device: they are brought over whole."""
        layers, found = self.places.layers, []
        for owner, sharing in self.shared:
            if device != layers[owner] and any(layers[index] == device for index in sharing):
                found.append(self.caches[owner].kv + self.caches[owner].kv_swa)
        return tuple(found)


def compute(
    facts: ModelFacts, options: EngineOptions, places: Placement, caches: Sequence[Kept]
) -> tuple[tuple[int, ...], int]:
    """Bytes on each GPU, and on the host."""
    kinds, of = _kinds(facts), batch(facts, options)
    shared = _shared(kinds) if of.caches else []
    devices = _Devices(facts, of, places, kinds, caches, shared, COPIES if _is_pipelined(options, places) else 1, {})
    on_gpus = [devices.needed(device) for device in range(options.gpus)]
    if not (on_gpus and options.op_offload):
        return tuple(on_gpus), devices.needed(HOST)
    on_gpus[0] = max(on_gpus[0], devices.lent())
    return tuple(on_gpus), _left(devices)


def _is_pipelined(options: EngineOptions, places: Placement) -> bool:
    """Whether the engine works on several batches at once: only with all layers on more than one GPU."""
    whole = places.gpu_layers > len(places.layers)
    return options.gpus > 1 and whole and options.split_mode == "layer" and options.kv_offload


def _left(devices: _Devices) -> int:
    """Bytes on the host that lends its layers to a GPU. Recurrence stays, and attention of more than one operation."""
    if not devices.batch.flash or any(kind.layer.state for kind in devices.kinds):
        return devices.needed(HOST)
    away = replace(devices.places, layers=(0,) * len(devices.places.layers), output=0)
    return replace(devices, places=away, shared=[], done={}).needed(HOST)


def _kinds(facts: ModelFacts) -> list[Kind]:
    """One object for each kind of layer, by layer."""
    found: dict[tuple[object, ...], Kind] = {}
    attention = facts.attention
    answer = []
    kept = layers(facts)[: trunk(facts)]
    for index, (layer, block) in enumerate(zip(kept, facts.weights.blocks, strict=False)):
        count = attention.heads[index] if index < len(attention.heads) else 0
        count_kv = attention.heads_kv[index] if index < len(attention.heads_kv) else 0
        heads = Heads(count, count_kv, *head_lengths(facts, slides=layer.slides))
        answer.append(found.setdefault((id(block.shapes), layer, heads), Kind(block, layer, heads)))
    return answer


def _shared(kinds: Sequence[Kind]) -> list[tuple[int, list[int]]]:
    """Layers whose caches others use, and which: the last one of the full and of the sliding ones."""
    answer = []
    sharing = {id(kind): kind.shares for kind in {id(kind): kind for kind in kinds}.values()}
    for slides in (True, False) if any(sharing.values()) else ():
        alike = [(index, kind) for index, kind in enumerate(kinds) if kind.layer.slides == slides]
        owners = [index for index, kind in alike if kind.layer.caches]
        if owners:
            answer.append((owners[-1], [index for index, kind in alike if sharing[id(kind)]]))
    return answer


def _walked(kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    """The layers of a device that are walked through, in their order: some of each kind, and the last ones."""
    seen: dict[int, int] = {}
    answer = []
    for index, kind in enumerate(kinds):
        seen[id(kind)] = seen.get(id(kind), 0) + 1
        known = len(seen) <= MOST_KINDS
        if index >= len(kinds) - LAST or (known and seen[id(kind)] <= TIMES):
            answer.append(kind)
    return tuple(answer)


def _asked(kinds: Sequence[Kind], of: Batch) -> Asked:
    """What these layers ask for."""
    attending = [kind for kind in kinds if kind.attends]
    return Asked(
        full=any(not kind.layer.slides for kind in attending),
        sliding=any(kind.layer.slides for kind in attending),
        value_width=max((kind.layer.value for kind in kinds), default=0),
        rotations=max((_rotations(kind, of) for kind in attending), default=0),
    )


def _rotations(kind: Kind, of: Batch) -> int:
    keys, values = rotation(kind.heads)
    return 0 if kind.block.has("attn_kv_a_mqa") else keys * of.turns_keys + values * of.turns_values


def _key(part: Part) -> tuple[object, ...]:
    """By what the walks of two devices of one model differ."""
    ends = (part.reads, part.mixes, part.cuts, part.ends, part.is_normed)
    return (tuple(id(kind) for kind in part.kinds), *ends, part.strays, part.layers, id(part.adds_up))
