"""An HTTPRoute and a PodMonitor on a control plane that serves their published definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.process import Operator

    Serving = Callable[..., Object]

pytestmark = [pytest.mark.usefixtures("foreign_kinds", "steady"), pytest.mark.timeout(200)]
ROUTE = {"kind": "HTTPRoute", "hosts": ["chat.example.com"], "parentRef": {"name": "edge"}}


@pytest.fixture
def flags() -> tuple[str, ...]:
    return ("--scrape", "podmonitor")


def test_both_are_as_their_definitions_want_them_and_pruned(
    api: Api, here: str, serving: Serving, operator: Operator, until: Until
) -> None:
    serving(endpoint={"route": ROUTE})
    route = until(lambda: api.get("httproutes", here, "chat"))
    assert route["spec"]["rules"][0]["backendRefs"][0]["weight"] == 1, "the definition's own defaults"
    assert until(lambda: api.get("podmonitors", here, "chat"))["spec"]["podMetricsEndpoints"][0]["port"] == "http"
    sent = operator.settled()
    api.patch("httproutes", here, "chat", {"metadata": {"labels": {"a": "b"}}})
    assert operator.settled() == sent
    api.patch("inferenceservices", here, "chat", {"spec": {"endpoint": {"route": None}}})
    until(lambda: api.items("httproutes", here), lambda left: left == [])
