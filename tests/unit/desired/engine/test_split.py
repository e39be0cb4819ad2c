"""The split by rows, which newer engines have on one accelerator alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmkube.desired.engine.build import Build
from llmkube.desired.engine.split import row_trouble

Factory = Callable[..., Any]


@pytest.fixture
def rows(model_spec: Factory) -> Factory:
    def make(accelerator: str = "cuda", *, count: int = 2, build: int | None = 11669) -> Any:
        gpu = {"count": count, "sharding": {"strategy": "row"}}
        return row_trouble(model_spec(hardware={"accelerator": accelerator, "gpu": gpu}), count, Build(build))

    return make


@pytest.mark.parametrize("accelerator", ["cuda", "rocm", "vulkan"])
def test_a_split_by_rows_is_refused_where_the_engine_has_none(accelerator: str, rows: Factory) -> None:
    found = rows(accelerator)

    assert found.reason == "EngineRefuses"
    wanted = f"expected tensor or layer on {accelerator} with llama.cpp b11669, found row"
    assert found.message.startswith(f"Model spec.hardware.gpu.sharding.strategy: {wanted}; ")


@pytest.mark.parametrize(
    "case", [{"accelerator": "intel"}, {"count": 1}, {"build": 10068}, {"build": None}], ids=["intel", "1", "old", "?"]
)
def test_it_is_left_alone_where_there_may_be_one(case: dict[str, Any], rows: Factory) -> None:
    assert rows(**case) is None
