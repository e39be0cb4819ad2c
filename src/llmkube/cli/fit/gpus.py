"""The GPUs that `--gpu` knows, as data; what an engine finds free on one; and one of any other size."""

from __future__ import annotations

import difflib
import functools
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from llmkube.api.quantity import format_bytes
from llmkube.cli.errors import InputError
from llmkube.gguf.plan.fit import reserve_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1024 * 1024
_PREFIXES = re.compile(r"^(?:nvidia|amd|intel|geforce|tesla|radeon|instinct|quadro|-)+")


class GPU(BaseModel):
    """A GPU of the table, or one that only its size is known of."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")
    name: str
    vendor: Literal["nvidia", "amd", "intel"] | None
    memory_mib: Annotated[int, Field(alias="memoryMiB", ge=1)]
    source: Literal["smi", "rocm", "log", "sheet", "given"]
    aliases: tuple[str, ...] = ()
    shared: bool = False
    note: str | None = None

    @property
    def memory(self) -> int:
        """All of its memory, in bytes."""
        return self.memory_mib * MIB

    def free(self, reserve: int | None = None) -> int:
        """Bytes for an engine, the reserve taken off."""
        return max(0, self.memory - (reserve_of(self.memory) if reserve is None else reserve))


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")
    gpus: tuple[GPU, ...]


@functools.cache
def known() -> tuple[GPU, ...]:
    """Return the table, in its order."""
    import yaml

    text = (files("llmkube.cli.fit") / "gpus.yaml").read_text(encoding="utf-8")
    return _Table.model_validate(yaml.safe_load(text)).gpus


def named(name: str) -> GPU:
    """Return the GPU of a name as people write it; InputError with names that look alike when there is none."""
    by_name = _names()
    found = by_name.get(_folded(name))
    if found is not None:
        return found
    close = difflib.get_close_matches(_folded(name), by_name, n=5, cutoff=0.5)
    alike = sorted({by_name[each].name for each in close}) or [each.name for each in known()]
    raise InputError(
        f"--gpu: expected a GPU of the table, found {name!r}; did you mean {', '.join(alike)}? "
        "Any other is told by its memory: --gpu-memory 24Gi"
    )


def sized(memory: int) -> GPU:
    """Return a GPU of so many bytes."""
    return GPU(name=f"{format_bytes(memory)} GPU", vendor=None, memory_mib=max(1, memory // MIB), source="given")


def larger(gpu: GPU) -> tuple[GPU, ...]:
    """Return the GPUs of the table with more memory, of the same kind and vendor; the smallest first."""
    others = [each for each in known() if each.shared == gpu.shared and each.vendor == (gpu.vendor or "nvidia")]
    return tuple(sorted((each for each in others if each.memory > gpu.memory), key=lambda each: each.memory))


@functools.cache
def _names() -> Mapping[str, GPU]:
    return {_folded(name): each for each in known() for name in (each.name, *each.aliases)}


def _folded(name: str) -> str:
    """`NVIDIA GeForce RTX 4090` and `rtx_4090` are `rtx4090`; `80GB` is `80g`."""
    text = re.sub(r"[\s_-]+", "-", name.strip().lower())
    return re.sub(r"(\d)gb\b", r"\1g", _PREFIXES.sub("", text)).replace("-", "")
