"""Which keys a change of an object wants reconciled, and how urgently."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from tests.unit.runtime.conftest import HeldClock

from llmkube.kube.informer import Informer
from llmkube.kube.kinds import DEPLOYMENT, INFERENCE_SERVICE, MODEL, Key
from llmkube.kube.objects import Deployment, ObjectMeta, OwnerReference
from llmkube.runtime.controller import Controller
from llmkube.runtime.outcome import Result
from llmkube.runtime.queue import WorkQueue
from llmkube.runtime.watches import MADE_SETTLE, mapped, owned, primary

OURS = INFERENCE_SERVICE.api_version


class Recorder(Controller):
    """Notes what is enqueued."""

    def __init__(self) -> None:
        super().__init__("c", reconcile=self._nothing, queue=WorkQueue(HeldClock()))
        self.wanted: list[tuple[str, int]] = []
        self.waits: list[float | None] = []

    async def _nothing(self, _: Key) -> Result:
        return Result()

    def enqueue(self, key: Key, *, after: float | None = None, priority: int = 0) -> None:
        self.wanted.append((str(key), priority))
        self.waits.append(after)


@pytest.fixture
def controller() -> Recorder:
    return Recorder()


@pytest.fixture
def informer() -> Informer[Deployment]:
    return Informer(None, DEPLOYMENT)  # type: ignore[arg-type]


def deployment(**metadata: Any) -> Deployment:
    return Deployment(metadata=ObjectMeta(**{"namespace": "team", "name": "chat", "uid": "1", **metadata}))


def owner(name: str, *, kind: str = "InferenceService", version: str = OURS, controller: bool = True) -> OwnerReference:
    return OwnerReference(api_version=version, kind=kind, name=name, uid="u", controller=controller)


def tell(
    informer: Informer[Deployment], old: Deployment | None, new: Deployment | None, *, initial: bool = False
) -> None:
    for handler in informer._handlers:
        handler(old, new, initial=initial)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"generation": 2}, True),
        ({"labels": {"a": "b"}}, True),
        ({"annotations": {"a": "b"}}, True),
        ({"deletion_timestamp": "2026-01-01T00:00:00Z"}, True),
        ({"uid": "2"}, True),
        ({"finalizers": ("f",)}, False),
        ({}, False),
    ],
    ids=["spec", "labels", "annotations", "deletion", "made anew", "finalizers", "status"],
)
def test_of_its_own_writes_a_controller_hears_only_what_a_person_may_have_changed(
    controller: Recorder, informer: Informer[Deployment], change: dict[str, Any], *, wanted: bool
) -> None:
    primary(controller, informer, is_ours=lambda _: True, is_observed=lambda _: True)
    tell(informer, deployment(resource_version="1"), deployment(resource_version="2", **change))
    assert bool(controller.wanted) is wanted


def test_a_status_that_somebody_else_wrote_is_a_change(controller: Recorder, informer: Informer[Deployment]) -> None:
    primary(controller, informer, is_ours=lambda _: False, is_observed=lambda _: True)
    tell(informer, deployment(resource_version="1"), deployment(resource_version="2"))
    assert controller.wanted == [("team/chat", 0)]


def test_a_status_that_may_be_the_echo_of_a_write_not_yet_answered_waits_and_a_new_spec_does_not(
    controller: Recorder, informer: Informer[Deployment]
) -> None:
    primary(controller, informer, is_ours=lambda _: False, is_observed=lambda _: True, settle=0.1)
    versions = [deployment(resource_version=str(each), generation=each // 2) for each in (2, 3, 4)]
    for old, new in pairwise(versions):
        tell(informer, old, new)
    assert controller.waits == [0.1, None]


def test_what_comes_and_goes_is_wanted(controller: Recorder, informer: Informer[Deployment]) -> None:
    primary(controller, informer, is_ours=lambda _: True, is_observed=lambda _: True)
    tell(informer, None, deployment())
    tell(informer, deployment(), None)
    assert controller.wanted == [("team/chat", 0)] * 2


def test_the_initial_list_and_a_resync_are_of_low_priority(
    controller: Recorder, informer: Informer[Deployment]
) -> None:
    primary(controller, informer, is_ours=lambda _: True, is_observed=lambda _: True)
    tell(informer, None, deployment(), initial=True)
    same = deployment(resource_version="1")
    tell(informer, same, same)
    assert controller.wanted == [("team/chat", -100)] * 2


def test_what_was_asked_for_while_nobody_led_comes_before_what_was_as_it_should_be(
    controller: Recorder, informer: Informer[Deployment]
) -> None:
    primary(controller, informer, is_ours=lambda _: False, is_observed=lambda found: found.metadata.generation < 2)
    for each in (deployment(name="same"), deployment(name="edited", generation=2)):
        tell(informer, None, each, initial=True)
    tell(informer, None, deployment(name="deleted", deletion_timestamp="2026-01-01T00:00:00Z"), initial=True)
    assert controller.wanted == [("team/same", -100), ("team/edited", 0), ("team/deleted", 0)]


def test_the_controlling_owner_of_before_and_of_now_is_wanted(
    controller: Recorder, informer: Informer[Deployment]
) -> None:
    owned(controller, informer, INFERENCE_SERVICE)
    old, new = (deployment(owner_references=(owner(name),)) for name in ("a", "b"))
    tell(informer, old, new)
    assert {key for key, _ in controller.wanted} == {"team/a", "team/b"}


@pytest.mark.parametrize(
    "reference",
    [
        owner("a", controller=False),
        owner("a", kind="Model"),
        owner("a", version="other.example/v1"),
    ],
    ids=["no controller", "another kind", "another group"],
)
def test_who_does_not_control_it_is_not_wanted(
    controller: Recorder, informer: Informer[Deployment], reference: OwnerReference
) -> None:
    owned(controller, informer, INFERENCE_SERVICE)
    tell(informer, None, deployment(owner_references=(reference,)))
    assert controller.wanted == []


def test_an_owner_of_another_version_of_the_kind_is_the_owner(
    controller: Recorder, informer: Informer[Deployment]
) -> None:
    owned(controller, informer, MODEL)
    reference = owner("a", kind="Model", version=f"{MODEL.group}/v2")
    tell(informer, None, deployment(owner_references=(reference,)))
    assert controller.wanted == [("team/a", 0)]


def test_what_refers_to_it_is_wanted_once(controller: Recorder, informer: Informer[Deployment]) -> None:
    mapped(controller, informer, lambda each: [Key("team", "x"), Key("team", each.metadata.resource_version)])
    tell(informer, deployment(resource_version="1"), deployment(resource_version="2"))
    assert sorted(key for key, _ in controller.wanted) == ["team/1", "team/2", "team/x"]


def test_changes_of_what_settles_wait_for_each_other_and_the_initial_list_and_a_deletion_do_not(
    controller: Recorder, informer: Informer[Deployment]
) -> None:
    owned(controller, informer, INFERENCE_SERVICE, settle=0.1)
    mapped(controller, informer, lambda _: [Key("team", "b")], settle=0.1)
    old, new = (deployment(owner_references=(owner("a"),), resource_version=each) for each in "12")
    tell(informer, None, old, initial=True)
    tell(informer, None, old)
    tell(informer, old, new)
    tell(informer, new, None)
    of_owner = [wait for (key, _), wait in zip(controller.wanted, controller.waits, strict=True) if key == "team/a"]
    of_other = [wait for (key, _), wait in zip(controller.wanted, controller.waits, strict=True) if key == "team/b"]
    assert of_owner == [None, MADE_SETTLE, 0.1, None], "what is new its owner has made, and others answer it first"
    assert of_other == [None, 0.1, 0.1, None]


def test_an_object_whose_part_is_empty_is_as_good_as_none(controller: Recorder, informer: Informer[Deployment]) -> None:
    mapped(controller, informer, lambda _: [Key("team", "b")], part=lambda each: each.metadata.annotations)
    none, some = deployment(annotations={}), deployment(annotations={"a": "b"})
    told = []
    for old, new in ((None, none), (none, some), (some, some), (some, none), (none, None), (None, some), (some, None)):
        tell(informer, old, new)
        told.append(len(controller.wanted))
    assert told == [0, 1, 1, 2, 2, 3, 4]
