"""Speculative decoding: a small Model drafts tokens that the large one checks.

    draft_part(spec: InferenceServiceSpec, inputs: Inputs, build: Build) -> PodPart
    draft_trouble(served: Served, draft: Served) -> Trouble | None

A draft with another vocabulary is refused here: the engine says so in its log and then serves without any draft, which
nobody would notice. Without `--spec-type` it loads the draft and does not use it (measured on b11669); builds that had
no such flag used it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.arguments import ALL_LAYERS
from llmkube.desired.model_volume import model_file
from llmkube.desired.pod_part import PodPart
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resources import gpus

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
_TYPES: Mapping[str, str] = {"eagle3": "draft-eagle3", "dflash": "draft-dflash"}
"""Architectures that draft from what the large model computes, and share its vocabulary by being made for it."""


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
    if large is None or small is None or small.architecture in _TYPES:
        return None
    differs = next(_differences(large, small), None)
    if differs is None:
        return None
    expected, found = differs
    line = f"{WHERE}: expected a model with the vocabulary of {served.model.metadata.name} ({expected})"
    fix = "name a smaller model of the same family; the engine would serve without any draft"
    return Trouble("DraftVocabularyDiffers", f"{line}, found {name} with {found}; {fix}")


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
    return _TYPES.get((facts.architecture if facts else None) or "", "draft-simple")


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
