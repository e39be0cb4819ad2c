"""hack/demo as a person runs it, and a model of one's own catalogue served by local mode."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.component.local.local_mode import until

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).parents[3]
FACTS = {
    "context_length": 8192,
    "block_count": 30,
    "embedding_length": 576,
    "feed_forward_length": 1536,
    "attention.head_count": 9,
    "attention.head_count_kv": 3,
}


@pytest.mark.engine
def test_the_demo_shows_the_verdict_and_the_plan_before_the_model_is_fetched_and_then_serves_it(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"KUBECONFIG", "LLMKUBE_HOME"}}
    command = [sys.executable, "hack/quickstart.py", "--once"]

    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, "HOME": str(tmp_path), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    before, _, after = done.stdout.partition("llmkube local up")
    assert re.search(r"ARCHITECTURE +llama", before)
    assert re.search(r"LICENSE +apache-2.0", before)
    assert re.search(r"DEVICE +MEMORY +NEEDS", before)
    assert "It fits." in before
    sent, whole = (float(each) for each in re.findall(r"sent ([\d.]+) MB, of a file of ([\d.]+) MB", before)[0])
    assert sent < whole / 10
    assert "What the operator decided" in after
    assert re.search(r"weights +92\.\d MiB", after)


def test_a_model_of_ones_own_catalogue_is_deployed_from_a_mirror(
    local: LocalMode, models: ModelServer, tmp_path: Path
) -> None:
    entry = {
        "id": "house.model",
        "description": "Ours.",
        "tasks": ["chat"],
        "license": "apache-2.0",
        "source": "hf://house/models/smollm2.gguf",
        "quantizations": [{"name": "Q4_1"}],
        "architecture": "llama",
        "parameters": 134_515_008,
        "vocabulary": 49_152,
        "tied": True,
        "header": FACTS,
    }
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"models": [entry]}))
    mirror = models.url("smollm2.gguf").removesuffix("/smollm2.gguf")

    local.llmkube("catalog", "deploy", "house.model", "--catalog", str(own), "--mirror", mirror, "--no-wait")

    ready = until(lambda: local.model("house-model"), lambda model: model["status"]["phase"] == "Ready")
    assert ready["spec"]["source"] == models.url("smollm2.gguf")
    assert ready["status"]["gguf"]["quantization"] == ready["spec"]["quantization"] == "Q4_1"
    assert local.service("house-model")["spec"]["modelRef"] == "house-model"
