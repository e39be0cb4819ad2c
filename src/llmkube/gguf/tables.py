"""ggml's own enums and block sizes, by number, from the package gguf.

That package drags numpy in (half a second, 30 MB): it is imported when the first header is read, never before.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

GUESSED = 1024
"""Added to the number of a file type that was not stated but guessed."""
Layout = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Tables:
    """`layouts`: number of a tensor's type -> its name, values of a block, bytes of a block."""

    layouts: Mapping[int, Layout]
    file_types: Mapping[int, str]


@functools.cache
def tables() -> Tables:
    """Return the tables; the first call imports."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

    layouts = {int(kind): (str(kind.name), *GGML_QUANT_SIZES[kind]) for kind in GGMLQuantizationType}
    file_types = {
        int(one): one.name.removeprefix("MOSTLY_").removeprefix("ALL_") for one in LlamaFileType if one < GUESSED
    }
    return Tables(layouts, file_types)
