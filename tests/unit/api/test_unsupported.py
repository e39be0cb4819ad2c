"""What is described but not honoured yet is named, never ignored."""

from __future__ import annotations

from typing import Any

import pytest

from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import ModelSpec
from llmkube.api.unsupported import unsupported

SOURCE = {"source": "https://h/f.gguf"}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (SOURCE | {"hardware": {"gpu": {"sharding": {"strategy": "row"}}}}, "spec.hardware.gpu.sharding.strategy"),
        (
            SOURCE | {"hardware": {"gpu": {"count": 1, "sharding": {"layerSplit": ["0-9"]}}}},
            "spec.hardware.gpu.sharding.layerSplit",
        ),
    ],
)
def test_a_model_that_asks_for_more_than_is_done_is_told_where(spec: dict[str, Any], path: str) -> None:
    lines = unsupported(ModelSpec.model_validate(spec))
    assert [line.partition(": ")[0] for line in lines] == [path]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reasoning", {}),
    ],
)
def test_a_service_that_asks_for_more_than_is_done_is_told_where(field: str, value: Any) -> None:
    lines = unsupported(InferenceServiceSpec.model_validate({"modelRef": "m", field: value}))
    assert [line.partition(": ")[0] for line in lines] == [f"spec.{field}"]


def test_what_is_honoured_is_not_refused() -> None:
    gpu = {"accelerator": "cuda", "gpu": {"enabled": True, "count": 2, "layers": -1, "sharding": {"strategy": "layer"}}}
    assert unsupported(ModelSpec.model_validate(SOURCE | {"hardware": gpu})) == []
    asked = {"refresh": "OnChange", "mmprojSource": "https://h/p.gguf", "cache": {"prefetch": False}}
    assert unsupported(ModelSpec.model_validate(SOURCE | asked)) == []
    assert unsupported(InferenceServiceSpec.model_validate({"modelRef": "m", "extraArgs": ["--seed", "1"]})) == []
