"""Speculative decoding: a small Model drafts tokens that the large one checks.

    draft_part(spec: InferenceServiceSpec, inputs: Inputs, build: Build) -> PodPart
    draft_trouble(served: Served, draft: Served) -> Trouble | None

A draft with another vocabulary is refused here: the engine says so in its log and then serves without any draft, which
nobody would notice. So is one that was made for another model, of which the engine dies. Without `--spec-type` it loads
the draft and does not use it (measured on b11669); builds that had no such flag used it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.arguments import ALL_LAYERS
from llmkube.desired.engine.beside import layout_of
from llmkube.desired.model_volume import model_file
from llmkube.desired.pod_part import PodPart
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resources import gpus
from llmkube.gguf.facts import MOST_LAYERS
from llmkube.gguf.packed import unpacked
from llmkube.gguf.plan.layers import DRAFTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import GGUFFacts
    from llmkube.desired.engine.build import Build
    from llmkube.desired.inputs import Inputs, Served

_VARIABLES: Mapping[str, str] = {
    "--spec-type": "LLAMA_ARG_SPEC_TYPE",
    "--spec-draft-n-max": "LLAMA_ARG_SPEC_DRAFT_N_MAX",
    "--spec-draft-n-min": "LLAMA_ARG_SPEC_DRAFT_N_MIN",
}
"""For an image of unknown build: one that does not know them passes them over."""
WHERE = "spec.speculative.draftModelRef"
MOST_DIFFERENCE = 128
"""Tokens that one vocabulary may have more than the other (SPEC_VOCAB_MAX_SIZE_DIFFERENCE)."""


def draft_part(spec: InferenceServiceSpec, inputs: Inputs, build: Build) -> PodPart:
    """Return what the engine is told of its draft; nothing where there is none.

    The numbers of tokens have no flag that builds before and after `--spec-draft-model` share: those before get none.
    """
    if spec.speculative is None or inputs.draft is None:
        return PodPart()
    path, layers = model_file(inputs.models, inputs.draft), _layers(spec, inputs.served, inputs.draft, build)
    said = {
        "--spec-type": _type(inputs.draft.status.gguf),
        "--spec-draft-n-max": spec.speculative.max_tokens,
        "--spec-draft-n-min": spec.speculative.min_tokens,
    }
    further = {flag: str(value) for flag, value in said.items() if value is not None}
    if build.has("--spec-draft-model"):
        return PodPart(args=_words({**further, "--spec-draft-model": path, "--spec-draft-ngl": layers}))
    variables = further if build.number is None else {}
    env = tuple({"name": _VARIABLES[flag], "value": value} for flag, value in variables.items())
    return PodPart(args=_words({"--model-draft": path, "--gpu-layers-draft": layers}), env=env)


def draft_trouble(served: Served, draft: Served) -> Trouble | None:
    """Return why a Model cannot draft for another; nothing is said where a header is not known."""
    name, large, small = draft.model.metadata.name, served.status.gguf, draft.status.gguf
    if large is None or small is None:
        return None
    if small.architecture in DRAFTS:
        return _target_trouble(served, draft, small.architecture)
    differs = next(_differences(large, small), None)
    if differs is None:
        return None
    expected, found = differs
    line = f"{WHERE}: expected a model with the vocabulary of {served.model.metadata.name} ({expected})"
    fix = "name a smaller model of the same family; the engine would serve without any draft"
    return Trouble("DraftVocabularyDiffers", f"{line}, found {name} with {found}; {fix}")


def _target_trouble(served: Served, draft: Served, architecture: str | None) -> Trouble | None:
    """Return that a draft reads what another model computes: the engine aborts (measured on b11669)."""
    large, small = unpacked(layout_of(served.status)), unpacked(layout_of(draft.status))
    if large is None or small is None:
        return None
    width, layer = small.target_width or small.embedding_length, small.target_layer
    is_narrow = None not in {width, large.embedding_length} and width != large.embedding_length
    if not is_narrow and (layer or 0) <= (large.block_count or MOST_LAYERS):
        return None
    name = served.model.metadata.name
    has = f"{large.embedding_length} numbers for a token and {large.block_count} layers"
    line = f"{WHERE}: expected a draft made for {name} ({has}), found {draft.model.metadata.name}"
    of = f"made for one of {width} numbers, whose layer {layer} it reads"
    return Trouble("DraftTargetDiffers", f"{line} ({architecture}), {of}; name the one that was made for {name}")


def _differences(large: GGUFFacts, small: GGUFFacts) -> Iterator[tuple[str, str]]:
    """What was expected and what was found, in the order in which the engine compares."""
    one, other = large.tokenizer, small.tokenizer
    sizes = (large.vocabulary_size, small.vocabulary_size)
    if one and other and one.model != other.model:
        yield _told(large), _told(small)
    if sizes[0] and sizes[1] and abs(sizes[0] - sizes[1]) > MOST_DIFFERENCE:
        yield _told(large), _told(small)
    if one is None or other is None:
        return
    for flag, token in (("add_bos", "bos"), ("add_eos", "eos")):
        flags = (getattr(one, flag), getattr(other, flag))
        if None not in flags and flags[0] != flags[1]:
            yield f"{flag} {flags[0]}".lower(), f"{flag} {flags[1]}".lower()
        tokens = (getattr(one, token), getattr(other, token))
        if all(flags) and None not in tokens and tokens[0] != tokens[1]:
            yield f"{token} {tokens[0]}", f"{token} {tokens[1]}"
    if sizes[0] == sizes[1] and one.digest and other.digest and one.digest != other.digest:
        yield f"{_told(large)} of digest {one.digest}", f"{_told(small)} of digest {other.digest}"


def _told(facts: GGUFFacts) -> str:
    kind = (facts.tokenizer.model if facts.tokenizer else None) or "unknown kind"
    return f"{kind}, {facts.vocabulary_size or 'an unknown number of'} tokens"


def _type(facts: GGUFFacts | None) -> str:
    return f"draft-{facts.architecture}" if facts and facts.architecture in DRAFTS else "draft-simple"


def _words(options: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(word for option in options.items() for word in option)


def _layers(spec: InferenceServiceSpec, served: Served, draft: Served, build: Build) -> str:
    """The draft goes where the model is, unless its own Model says how many layers."""
    said = draft.spec.hardware.gpu
    if not gpus(spec, served.spec) and served.spec.hardware.accelerator != "metal":
        return "0"
    if said is None or said.layers in {None, -1}:
        every = "auto" if build.has("--spec-draft-model") else str(ALL_LAYERS)
        return "0" if said and said.enabled is False else every
    return str(said.layers)
