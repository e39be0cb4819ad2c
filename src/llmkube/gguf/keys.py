"""Metadata below a prefix, by type. A value of a wrong type is an error that names its key; an absent one is None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.gguf.errors import GGUFError
from llmkube.gguf.values import ArrayStub

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_NUMBER = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Keys:
    """`prefix` is put before every key that is asked for."""

    metadata: Mapping[str, Any]
    prefix: str = ""

    def text(self, key: str) -> str | None:
        found = self._get(key)
        if found is not None and not isinstance(found, str):
            raise self._wrong(key, "a string", found)
        return found

    def count(self, key: str, most: int = LARGEST_NUMBER) -> int | None:
        """A whole number; the most of an array."""
        return max(self._numbers(key, most), default=None)

    def counts(self, key: str, layers: int | None) -> tuple[int, ...]:
        """One number per layer: an array, or one number for all of them."""
        numbers = self._numbers(key, LARGEST_NUMBER)
        if not isinstance(self._get(key), list):
            return numbers * (layers or 1)
        if layers is not None and len(numbers) != layers:
            raise self._wrong(key, f"one number for each of {layers} layers", list(numbers))
        return numbers

    def has(self, key: str) -> bool:
        return self._get(key) is not None

    def flag(self, key: str) -> bool | None:
        found = self._get(key)
        if found is not None and not isinstance(found, bool):
            raise self._wrong(key, "a boolean", found)
        return found

    def flags(self, key: str, layers: int | None) -> tuple[bool, ...] | None:
        """One boolean per layer; None when the key holds no array."""
        found = self._get(key)
        if not isinstance(found, list):
            return None
        if not all(isinstance(one, int) for one in found) or len(found) != (layers or len(found)):
            raise self._wrong(key, "one boolean for each layer", found)
        return tuple(bool(one) for one in found)

    def pattern(self, key: str, layers: int | None) -> tuple[bool, ...] | int | None:
        """A period, or for each layer whether its window slides."""
        by_layer = self.flags(key, layers)
        return self.count(key) if by_layer is None else by_layer

    def length(self, key: str) -> int | None:
        """How long an array is."""
        found = self._get(key)
        if isinstance(found, ArrayStub):
            return found.length
        if found is not None and not isinstance(found, list):
            raise self._wrong(key, "an array", found)
        return len(found) if found is not None else None

    def _numbers(self, key: str, most: int) -> tuple[int, ...]:
        found = self._get(key)
        values = found if isinstance(found, list) else [] if found is None else [found]
        if not all(_is_number(one) and 0 <= one <= most for one in values):
            raise self._wrong(key, f"whole numbers from 0 to {most}", found)
        return tuple(values)

    def _get(self, key: str) -> Any:
        return self.metadata.get(self.prefix + key)

    def _wrong(self, key: str, expected: str, found: Any) -> GGUFError:
        shown = f"{type(found).__name__} {repr(found)[:60]}"
        return GGUFError("Malformed", f"GGUF metadata {self.prefix + key!r}: expected {expected}, found {shown}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
