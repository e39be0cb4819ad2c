"""What is described but not honoured yet is named, never ignored."""

from __future__ import annotations

from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import ModelSpec
from llmkube.api.unsupported import unsupported

SOURCE = {"source": "https://h/f.gguf"}


def test_what_is_honoured_is_not_refused() -> None:
    gpu = {"accelerator": "cuda", "gpu": {"enabled": True, "count": 2, "layers": -1, "sharding": {"strategy": "row"}}}
    assert unsupported(ModelSpec.model_validate(SOURCE | {"hardware": gpu})) == []
    asked = {"refresh": "OnChange", "mmprojSource": "https://h/p.gguf", "cache": {"prefetch": False}}
    assert unsupported(ModelSpec.model_validate(SOURCE | asked)) == []
    fields = {"extraArgs": ["--seed", "1"], "networkPolicy": {}, "probes": {"liveness": {"periodSeconds": 5}}}
    assert unsupported(InferenceServiceSpec.model_validate({"modelRef": "m", **fields})) == []
