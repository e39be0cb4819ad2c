"""A route that no Gateway serves is told, in the Gateway's words; one that is served is no trouble."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from llmkube.desired.route_status import not_served
from llmkube.kube.objects import ObjectMeta, Opaque

ACCEPTED = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 2}
RESOLVED = {**ACCEPTED, "type": "ResolvedRefs", "reason": "ResolvedRefs"}


def route(*conditions: dict[str, Any], status: str = "") -> Opaque:
    parents = [{"parentRef": {"name": "edge"}, "controllerName": "a.example/b", "conditions": list(conditions)}]
    raw = status or json.dumps({"parents": parents if conditions else []})
    return Opaque(metadata=ObjectMeta(name="chat", generation=2), status=msgspec.Raw(raw.encode()))


def test_a_route_that_is_not_made_or_that_its_gateway_serves_is_no_trouble() -> None:
    assert not_served(None) is None
    assert not_served(route(ACCEPTED, RESOLVED)) is None
    assert not_served(route(ACCEPTED, RESOLVED, {**ACCEPTED, "type": "a.example/Other", "status": "False"})) is None


@pytest.mark.parametrize(
    "silent",
    [
        Opaque(metadata=ObjectMeta(name="chat", generation=2)),
        route(),
        route(status="{}"),
        route(status='{"parents": "none"}'),
        route({**ACCEPTED, "observedGeneration": 1}),
    ],
)
def test_a_route_of_which_no_gateway_says_anything_has_none(silent: Opaque) -> None:
    told = not_served(silent)
    assert told is not None
    assert told.reason == "NoGateway"
    assert told.message.startswith("HTTPRoute chat: ")
    assert "spec.endpoint.route.parentRef" in told.message


@pytest.mark.parametrize(
    ("kind", "reason"), [("Accepted", "NotAllowedByListeners"), ("ResolvedRefs", "RefNotPermitted")]
)
def test_what_a_gateway_has_against_a_route_is_told_in_its_words(kind: str, reason: str) -> None:
    refused = {**ACCEPTED, "type": kind, "status": "False", "reason": reason, "message": "not here"}
    told = not_served(route(ACCEPTED, refused))
    assert told is not None
    assert told.reason == "RouteNotServed"
    assert f"Gateway edge does not serve it ({kind}=False, {reason}: not here)" in told.message


def test_words_of_another_controller_are_of_bounded_length() -> None:
    told = not_served(route({**ACCEPTED, "status": "False", "message": "x" * 100_000}))
    assert told is not None
    assert len(told.message) < 1000
