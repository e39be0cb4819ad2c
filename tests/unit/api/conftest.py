"""Documents that are valid, to be broken one field at a time."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def model() -> dict[str, Any]:
    return {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "small"},
        "spec": {"source": "https://example.com/small.gguf"},
    }


@pytest.fixture
def service() -> dict[str, Any]:
    return {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": "small"},
        "spec": {"modelRef": "small"},
    }
