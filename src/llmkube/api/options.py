"""Options of the engine that are objects of their own."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmkube.api.fields import MAP_ATOMIC, DataKey, Digest, LabelName, ObjectName, Record, SecretName, Source
from llmkube.api.rules import Rule

CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
_Tokens = Annotated[int, Field(ge=0, le=1024, json_schema_extra={"format": "int32"})]


class ChatTemplate(Record):
    """A key of a ConfigMap in the same namespace that holds a Jinja chat template."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: DataKey = "chat-template.jinja"
    """Key of the ConfigMap."""


class Reasoning(Record):
    """How a model's thinking is treated."""

    format: Literal["auto", "none", "deepseek", "deepseek-legacy"] = "auto"
    """Where the thinking goes: none leaves it in the content, deepseek puts it in reasoning_content."""
    budget: Annotated[int, Field(ge=-1, le=1048576, json_schema_extra={"format": "int32"})] | None = None
    """Tokens that may be spent thinking: -1 without limit, 0 none."""


class Speculative(Record):
    """A small model that drafts tokens for the large one to check."""

    draft_model_ref: ObjectName
    """Name of the Model, in the same namespace, that drafts."""
    max_tokens: _Tokens | None = None
    """The most tokens to draft at a time; 3 by default."""
    min_tokens: _Tokens | None = None
    """The fewest tokens to draft at a time; 0 by default."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="minTokens",
            cel="!has(self.minTokens) || self.minTokens <= (has(self.maxTokens) ? self.maxTokens : 3)",
            holds=lambda said: said.min_tokens is None or said.min_tokens <= _most(said),
            expected="at most maxTokens (3 when not set)",
            found="%d",
            found_cel=("self.minTokens",),
            values=lambda said: (said.min_tokens,),
            fix="lower minTokens or raise maxTokens",
        ),
    )


def _most(said: Speculative) -> int:
    return 3 if said.max_tokens is None else said.max_tokens


class LoraAdapter(Record):
    """A LoRA adapter that is loaded beside the model."""

    name: LabelName
    """Name of the adapter."""
    source: Source
    """Where the adapter's GGUF is; as the source of a Model."""
    sha256: Digest | None = None
    """SHA-256 of the file."""
    source_secret_ref: Annotated[SecretName, Field(json_schema_extra=MAP_ATOMIC)] | None = None
    """Secret with credentials for the source."""
    scale: Annotated[float, Field(ge=0, le=100)] | None = None
    """How strongly it applies from the start; 0, the default, means loaded but not applied."""
