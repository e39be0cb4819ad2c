"""What `hardware` comes to."""

from __future__ import annotations

from typing import Any

import pytest

from llmkube.api.hardware import Hardware


@pytest.mark.parametrize(
    ("gpu", "count"),
    [(None, 0), ({}, 0), ({"enabled": True}, 1), ({"count": 3}, 3), ({"enabled": False, "count": 3}, 0)],
)
def test_gpus_are_used_when_they_are_asked_for(gpu: dict[str, Any] | None, count: int) -> None:
    assert Hardware.model_validate({"gpu": gpu}).gpu_count == count


@pytest.mark.parametrize(
    ("hardware", "vendor"),
    [
        ({"accelerator": "cuda"}, "nvidia"),
        ({"accelerator": "rocm"}, "amd"),
        ({"accelerator": "intel"}, "intel"),
        ({"accelerator": "vulkan"}, "nvidia"),
        ({"accelerator": "vulkan", "gpu": {"vendor": "amd"}}, "amd"),
    ],
)
def test_the_vendor_is_the_accelerators_unless_the_spec_says(hardware: dict[str, Any], vendor: str) -> None:
    assert Hardware.model_validate(hardware).gpu_vendor == vendor
