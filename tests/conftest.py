"""The options of the whole test suite; fixtures live beside the tests that use them."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--control-plane",
        choices=("embedded", "real"),
        default="embedded",
        help="what tests/conformance asks: the embedded API server, or the cluster of LLMKUBE_TEST_KUBECONFIG",
    )
