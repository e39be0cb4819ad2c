"""Who says how many replicas there are, and how many that is."""

from __future__ import annotations

import msgspec
import pytest

from llmkube.desired.replicas import AUTOSCALED, REPLICAS, Scale, scale, scaled
from llmkube.kube.objects import Deployment

HPA = ("load",)
INTENT = {"metadata": {"name": "chat"}, "spec": {"replicas": 9, "paused": False}}


def live(replicas: int, **annotations: str) -> Deployment:
    found = {"metadata": {"name": "chat", "annotations": annotations}, "spec": {"replicas": replicas}}
    return msgspec.json.decode(msgspec.json.encode(found), type=Deployment)


def handed_over(replicas: int) -> Deployment:
    return live(replicas, **{REPLICAS: AUTOSCALED})


@pytest.mark.parametrize("found", [None, live(5), handed_over(5)])
def test_without_an_autoscaler_the_spec_says_how_many(found: Deployment | None) -> None:
    assert scale(2, (), found) == Scale(2)


@pytest.mark.parametrize("found", [None, live(5), handed_over(5)])
def test_a_spec_of_no_replicas_wins_over_an_autoscaler(found: Deployment | None) -> None:
    assert scale(0, HPA, found) == Scale(0, "load")


@pytest.mark.parametrize("found", [live(5), handed_over(5)])
def test_what_an_autoscaler_finds_or_has_set_stays(found: Deployment) -> None:
    assert scale(2, HPA, found) == Scale(5, "load", is_handed_over=True)


def test_a_new_deployment_begins_where_the_spec_says() -> None:
    assert scale(2, HPA, None) == Scale(2, "load", is_handed_over=True)


def test_what_the_spec_had_stopped_is_started_as_no_autoscaler_does_that() -> None:
    assert scale(2, HPA, live(0)) == Scale(2, "load", is_handed_over=True)


def test_what_an_autoscaler_took_down_to_nothing_is_left_there() -> None:
    assert scale(2, HPA, handed_over(0)) == Scale(0, "load", is_handed_over=True)


def test_a_deployment_that_does_not_say_how_many_has_one() -> None:
    assert scale(2, HPA, Deployment()).replicas == 1


def test_an_intent_says_how_many_unless_an_autoscaler_does() -> None:
    assert scaled(INTENT, Scale(3)) == {"metadata": {"name": "chat"}, "spec": {"replicas": 3, "paused": False}}
    handed = scaled(INTENT, Scale(3, "load", is_handed_over=True))
    assert handed == {"metadata": {"name": "chat", "annotations": {REPLICAS: AUTOSCALED}}, "spec": {"paused": False}}
    assert INTENT["spec"]["replicas"] == 9
