"""How images are pulled is said, so that no default of an earlier image stays."""

from __future__ import annotations

import pytest

from llmkube.desired.images import pull_policy


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("llama.cpp", "Always"),
        ("ghcr.io/ggml-org/llama.cpp:latest", "Always"),
        ("localhost:5000/llama.cpp", "Always"),
        ("localhost:5000/llama.cpp:server-b11669", "IfNotPresent"),
        ("ghcr.io/ggml-org/llama.cpp:latest@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_a_moving_tag_is_pulled_for_every_pod_and_a_pinned_image_once(image: str, policy: str) -> None:
    assert pull_policy(image) == policy
