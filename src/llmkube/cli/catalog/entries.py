"""What a catalogue holds: models as data, checked field by field. The shipped files and a person's own have one schema.

A file says what a model is (the numbers of its header), where each quantisation of it lies and what its licence is;
never how much memory it needs: that is planned from the numbers.
"""

# ruff: noqa: TC001 - pydantic reads annotations at run time
from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from llmkube.api.fields import Digest, Line, Source, Word
from llmkube.cli.catalog.tasks import Task
from llmkube.cli.errors import InputError
from llmkube.gguf.outline import KNOWN
from llmkube.gguf.quantize import DEFAULTS

MODES = {"embedding": "embedding", "rerank": "rerank"}
_Count = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]
_Bytes = Annotated[int, Field(ge=1, le=2**50, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", use_attribute_docstrings=True
    )


class Quantization(_Part):
    """One file of a model, or the first of its parts."""

    name: Word
    """As llama.cpp names the file type: Q4_K_M."""
    sha256: Digest | None = None
    """Digest of the file, where it is known; of a split model as spec.sha256 of a Model has it."""
    size_bytes: _Bytes | None = None
    """Bytes of the file, where they are known."""

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.name not in DEFAULTS:
            raise ValueError(f"expected a quantization among {', '.join(DEFAULTS)}, found {self.name!r}")
        return self


class Entry(_Part):
    """A model of the catalogue."""

    id: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")]
    """What it is called here, and the resources that are made for it unless they are named."""
    description: Line
    """What it is good for, in one sentence."""
    tasks: Annotated[tuple[Task, ...], Field(min_length=1, max_length=6)]
    """What it is for; embedding and rerank set the engine's mode."""
    license: Word
    """As the GGUF header spells it: apache-2.0, llama3.1."""
    source: Source
    """Where it is. {quantization} stands for the quantisation's name, {lower} for the same in lower case."""
    mmproj: Source | None = None
    """Where the projector of a model that sees is."""
    quantizations: Annotated[tuple[Quantization, ...], Field(min_length=1, max_length=32)]
    """What there is of it; the first is taken unless another is asked for."""
    notes: Line | None = None
    """What else a person should know."""
    architecture: Word
    """As the header names it: llama, qwen3moe."""
    parameters: Annotated[int, Field(ge=1, le=2**50, strict=True)]
    """Number of parameters, all experts counted."""
    vocabulary: _Count
    """Number of tokens that the model knows."""
    tied: bool
    """Whether its output layer is its token embedding."""
    header: Annotated[dict[Word, _Count | Annotated[list[_Count], Field(max_length=1024)]], Field(max_length=64)]
    """The header's numbers, by their keys below the architecture's name: block_count, attention.head_count, …"""

    @model_validator(mode="after")
    def _can_be_planned(self) -> Self:
        if self.architecture not in KNOWN:
            raise ValueError(f"expected an architecture among {', '.join(sorted(KNOWN))}, found {self.architecture!r}")
        for key in ("block_count", "embedding_length", "context_length", "attention.head_count"):
            if not isinstance(self.header.get(key), int) or self.header[key] == 0:
                raise ValueError(f"header.{key}: expected a number above 0, found {self.header.get(key)!r}")
        return self

    @property
    def context_length(self) -> int:
        """The context that the model was trained for, in tokens."""
        found = self.header["context_length"]
        return found if isinstance(found, int) else max(found)

    @property
    def mode(self) -> str | None:
        """The engine's mode; None for its default, chat."""
        return next((MODES[task] for task in self.tasks if task in MODES), None)

    def chosen(self, name: str | None) -> Quantization:
        """The quantisation of this name in any case, the first for None; InputError when there is none."""
        if name is None:
            return self.quantizations[0]
        found = next((one for one in self.quantizations if one.name.lower() == name.lower()), None)
        if found is None:
            there = ", ".join(one.name for one in self.quantizations)
            raise InputError(f"{self.id}: expected a quantization among {there}, found {name!r}")
        return found

    def source_of(self, quantization: Quantization) -> str:
        """The `source` of a Model."""
        name = quantization.name
        return self.source.replace("{quantization}", name).replace("{lower}", name.lower())


class Catalogue(_Part):
    """A file of models."""

    models: Annotated[tuple[Entry, ...], Field(max_length=10_000)]
    """In the order in which they are listed."""


def manifest(entry: Entry) -> dict[str, Any]:
    """The entry as its file would have it."""
    return entry.model_dump(mode="json", by_alias=True, exclude_none=True)
