"""What models are for: apart from the schema, so that `--help` does not have to load it."""

from __future__ import annotations

from typing import Literal, get_args

Task = Literal["chat", "code", "reasoning", "vision", "embedding", "rerank"]
TASKS: tuple[str, ...] = get_args(Task)
