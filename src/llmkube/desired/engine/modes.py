"""Whether a model can do what the mode of a service asks of it, by its header: llama-server starts with any of them.

    pooling(spec: InferenceServiceSpec, facts: ModelFacts | None) -> int | None       what the engine will do
    mode_trouble(spec: InferenceServiceSpec, facts: ModelFacts | None) -> Trouble | None
    mode_remark(spec: InferenceServiceSpec, facts: ModelFacts | None) -> Trouble | None    told, and stops nothing

What it answers then was measured on b11669, and all of it looks like a service that works: scores without a head that
ranks are the first number of a vector; a reranker's embedding is one number and what the memory held after it; a model
without pooling answers 400 to /v1/embeddings, and one that has vectors only 500 to every chat. Nothing is said of a
model whose header is not known, or that only an engine of the person's own can load. Pure.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from llmkube.desired.architectures import KNOWN
from llmkube.desired.pod_trouble import Trouble
from llmkube.gguf.plan.layers import WITHOUT_OUTPUT

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.gguf.facts import ModelFacts

NONE, MEAN, CLS, LAST, RANK = range(5)
"""llama.cpp's pooling types (include/llama.h)."""
_NAMES = ("none", "mean", "cls", "last", "rank")
_HEAD = frozenset({"cls.weight", "cls.output.weight"})
"""What turns a text's vector into a score (src/llama-graph.cpp, build_pooling). A header's pooling type alone does not:
files of before it was told have the head only, and bad conversions have the type only."""


def pooling(spec: InferenceServiceSpec, facts: ModelFacts | None) -> int | None:
    """Return how the engine makes one vector of a text's: as the mode or the last --pooling says, else the header."""
    said = _said(spec)
    if said is not None:
        return said
    return RANK if spec.mode == "rerank" else facts.pooling if facts else None


def mode_trouble(spec: InferenceServiceSpec, facts: ModelFacts | None) -> Trouble | None:
    """Return why nothing of use would be answered."""
    if facts is None or facts.architecture not in KNOWN:
        return None
    match spec.mode:
        case "rerank":
            return _of_rerank(spec, facts)
        case "embedding":
            return _of_embedding(spec, facts)
        case _:
            return _of_chat(spec, facts)


def mode_remark(spec: InferenceServiceSpec, facts: ModelFacts | None) -> Trouble | None:
    """Return that a model which can talk was made for something else."""
    if facts is None or facts.architecture not in KNOWN or spec.mode != "chat" or facts.pooling in {None, NONE}:
        return None
    line = f"spec.mode: chat asked for and served, but {_told(spec, facts)} was made for something else"
    return Trouble("ModeUnusual", f"{line}: what it says may mean nothing; set spec.mode to {_made_for(facts)}")


def _of_rerank(spec: InferenceServiceSpec, facts: ModelFacts) -> Trouble | None:
    said = _said(spec)
    if said not in {None, RANK}:
        line = f"spec.extraArgs: expected no --pooling but rank in the mode rerank, found {_name(said)}"
        return _refused(f"{line}; remove it", "answer 501 to /v1/rerank")
    if facts.weights.names & _HEAD:
        return None
    line = _expected(spec, facts, f"a reranker, with a head that scores ({' or '.join(sorted(_HEAD))})")
    return _refused(f"{line} and no such head; name a reranker in spec.modelRef", "answer scores that mean nothing")


def _of_embedding(spec: InferenceServiceSpec, facts: ModelFacts) -> Trouble | None:
    line = _expected(spec, facts, "a model that makes one vector of a text (pooling mean, cls or last)")
    found = pooling(spec, facts)
    if found == RANK:
        fix = "set spec.mode to rerank, or name an embedding model in spec.modelRef"
        return _refused(f"{line}; {fix}", "answer one number and what its memory held after it")
    if found in {None, NONE} and _said(spec) is None:
        fix = "name an embedding model in spec.modelRef, or say how in spec.extraArgs, e.g. --pooling mean"
        return _refused(f"{line}; {fix}", "answer 400 to /v1/embeddings")
    return None


def _of_chat(spec: InferenceServiceSpec, facts: ModelFacts) -> Trouble | None:
    if facts.architecture not in WITHOUT_OUTPUT:
        return None
    line = _expected(spec, facts, "a model that writes text")
    return _refused(
        f"{line}, which makes vectors only; set spec.mode to {_made_for(facts)}", "answer 500 to every chat"
    )


def _expected(spec: InferenceServiceSpec, facts: ModelFacts, what: str) -> str:
    return f"spec.mode: expected {what} for the mode {spec.mode}, found {_told(spec, facts)}"


def _refused(line: str, otherwise: str) -> Trouble:
    return Trouble("ModeUnsupported", f"{line}. The engine would {otherwise}")


def _told(spec: InferenceServiceSpec, facts: ModelFacts) -> str:
    return f"Model {spec.model_ref} ({facts.architecture}, pooling {_name(facts.pooling)})"


def _name(number: int | None) -> str:
    if number is None:
        return "none"
    return _NAMES[number] if 0 <= number < len(_NAMES) else str(number)


def _made_for(facts: ModelFacts) -> str:
    return "rerank" if facts.weights.names & _HEAD else "embedding"


def _said(spec: InferenceServiceSpec) -> int | None:
    """What extraArgs say last; a word that is no pooling type ends the engine, which says so."""
    found = [value for flag, value in pairwise(spec.extra_args) if flag == "--pooling" and value in _NAMES]
    return _NAMES.index(found[-1]) if found else None
