"""How large a context is, by what is asked for and what the model was trained for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmkube.api.model import GGUFFacts
from llmkube.desired.engine.batch import effective_context

Factory = Callable[..., Any]


@pytest.mark.parametrize(
    ("asked", "trained", "expected"),
    [
        ({"contextSize": 2048}, 4096, (2048, False)),
        ({"contextSize": 4096}, 4096, (4096, False)),
        ({"contextSize": 32768}, 4096, (4096, True)),
        ({"contextSize": 8192, "parallel": 2}, 4096, (8192, False)),
        ({"contextSize": 8193, "parallel": 2}, 4096, (8192, True)),
        ({"contextSize": 32768}, None, (32768, False)),
        ({}, 4096, (4096, False)),
        ({}, 131072, (8192, False)),
        ({"parallel": 4}, 131072, (32768, False)),
        ({}, None, (8192, False)),
    ],
)
def test_a_context_above_the_trained_one_is_clamped_and_said(
    asked: dict[str, Any], trained: int | None, expected: tuple[int, bool], isvc_spec: Factory
) -> None:
    assert effective_context(isvc_spec(**asked), GGUFFacts(context_length=trained)) == expected


def test_a_context_is_known_before_the_header_is(isvc_spec: Factory) -> None:
    assert effective_context(isvc_spec(), None) == (8192, False)
