"""What is published of a model that was looked at: from the reader's facts to the API's fields, within their bounds.

Pure. A header is written by a stranger: what the API cannot hold is left out, never an error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmkube.api.model import GGUFFacts, ModelMemory, Projector, Tokenizer
from llmkube.desired.conditions import one_line
from llmkube.desired.resolution import Known, with_weights
from llmkube.desired.verdict import projector_trouble
from llmkube.gguf.errors import GGUFError
from llmkube.gguf.packed import packed
from llmkube.gguf.plan.cache import bytes_per_token
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions, PlanError

if TYPE_CHECKING:
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.resolve import Resolved
    from llmkube.gguf.tokenizer import Tokenizer as Vocabulary

CONTEXT = 8192
"""Tokens for which the engine's working memory is taken; it hardly grows with them."""
_LARGEST, _LARGEST_COUNT = 2**63 - 1, 2**31 - 1
_WORD, _LINE = 128, 1024


def known(found: Resolved) -> Known:
    """Return what a source was found to have."""
    return Known(
        size_bytes=_size(found.size_bytes),
        etag=_text(found.etag, _LINE),
        revision=_text(found.revision, _LINE),
        sha256=found.sha256,
        facts=published(found.facts) if found.facts else None,
        memory=memory(found.facts) if found.facts else None,
    )


def with_projector(model: Known, source: str, found: Resolved) -> Known:
    """Return what is known of a model with its projector; GGUFError when that is none.

    Nothing is said of a projector that only a pod can read.
    """
    if trouble := projector_trouble(source, found.facts.architecture if found.facts else None):
        raise GGUFError(trouble.reason, trouble.message)
    size = _size(found.size_bytes)
    projector = Projector(source=source, size_bytes=size, etag=_text(found.etag, _LINE), sha256=found.sha256)
    return replace(model, projector=projector, memory=model.memory and with_weights(model.memory, size or 0))


def published(facts: ModelFacts) -> GGUFFacts:
    """Return the header's facts as the API has them."""
    return GGUFFacts(
        architecture=_text(facts.architecture, _WORD),
        name=_text(facts.name, _LINE),
        parameters=_size(facts.parameters),
        quantization=_text(facts.quantization, _WORD),
        context_length=_size(facts.context_length),
        block_count=_size(facts.block_count),
        embedding_length=_size(facts.embedding_length),
        head_count=_size(facts.head_count),
        head_count_kv=_size(facts.head_count_kv),
        vocabulary_size=_size(facts.vocabulary_size),
        experts=_count(facts.experts),
        experts_used=_count(facts.experts_used),
        license=_text(facts.license, _LINE),
        chat_template=facts.chat_template,
        split_count=_count(facts.split_count),
        type=_text(facts.kind, _WORD),
        adapter_type=_text(facts.adapter, _WORD),
        tokenizer=_tokenizer(facts.tokenizer) if facts.tokenizer else None,
    )


def _tokenizer(found: Vocabulary) -> Tokenizer:
    return Tokenizer(
        model=_text(found.model, _WORD),
        add_bos=found.add_bos,
        add_eos=found.add_eos,
        bos=_count(found.bos),
        eos=_count(found.eos),
        digest=found.digest,
    )


def memory(facts: ModelFacts) -> ModelMemory:
    """Return what the model needs: each token's keys and values at f16, the rest at the engine's defaults."""
    return ModelMemory(
        weights=_size(facts.weights_bytes) or 0,
        kv_cache_per_token=_size(bytes_per_token(facts)) or 0,
        compute_estimate=_size(_working(facts)) or 0,
        layout=packed(facts),
    )


def _working(facts: ModelFacts) -> int:
    """Return the engine's working memory in bytes; 0 for a file that is no language model."""
    try:
        host = plan(facts, EngineOptions(context=min(CONTEXT, facts.context_length or CONTEXT))).host
    except PlanError:
        return 0
    return host.compute + host.output


def _text(value: str | None, limit: int) -> str | None:
    return one_line(value)[:limit] or None if value else None


def _size(value: int | None) -> int | None:
    return value if value is not None and 0 <= value <= _LARGEST else None


def _count(value: int | None) -> int | None:
    return value if value is not None and 0 <= value <= _LARGEST_COUNT else None
