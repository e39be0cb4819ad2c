"""What the operator decides for the engine, on a real one: batches for embeddings, thinking, and the plan it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.component.local.local_mode import asked, model, service

from llmkube.gguf.packed import VERSION

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
LONG = "hello world " * 600


def test_a_text_longer_than_the_engines_own_batch_is_embedded(local: LocalMode, models: ModelServer) -> None:
    spec = {"mode": "embedding", "contextSize": 2048, "extraArgs": ["--pooling", "mean"]}
    local.apply(model("vectors", models.url("smollm2.gguf")), service("vectors", "vectors", **spec))
    endpoint = local.until_ready("vectors")["status"]["endpoint"]
    found = asked(endpoint, "/v1/embeddings", {"input": LONG})
    assert found["usage"]["prompt_tokens"] > 1000
    assert len(found["data"][0]["embedding"]) == 576
    local.llmkube("delete", "vectors")


def test_the_plan_is_told_with_why_it_fits_and_the_pod_asks_for_it(local: LocalMode, models: ModelServer) -> None:
    spec = {"contextSize": 1024, "parallel": 2, "reasoning": {"format": "none", "budget": 0}}
    local.apply(model("thinker", models.url("smollm2.gguf")), service("thinker", "thinker", **spec))
    plan = local.until_ready("thinker")["status"]["plan"]
    (container,) = local.pods("thinker")[0]["spec"]["containers"]
    host = plan["memory"]["host"]
    assert container["resources"]["requests"]["memory"] == f"{-(-host // 2**20)}Mi"
    assert 500 < host / 2**20 < 1024  # 92 MiB of weights, 45 for each 2048 tokens, 512 of prompts, and the process
    assert (plan["contextSize"], plan["gpuLayers"], plan["totalLayers"]) == (1024, 0, 31)
    assert plan["message"].startswith("All 31 layers on the CPU; ")
    words = container["args"]
    assert words[words.index("--reasoning-budget") + 1] == "0"
    assert local.model("thinker")["status"]["memory"]["layout"].startswith(VERSION)
    local.llmkube("delete", "thinker")
