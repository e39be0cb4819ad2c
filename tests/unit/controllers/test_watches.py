"""An autoscaler tells its service of what it targets, and of nothing else."""

from __future__ import annotations

import pytest

from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.setup import _watch_services
from llmkube.kube.kinds import Key
from llmkube.kube.objects import (
    CustomResource,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerSpec,
    ObjectMeta,
    ScaleTarget,
)

CHAT = Key("team", "chat")


class Told:
    """A controller that notes what it is told."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def enqueue(self, key: Key, *, priority: int = 0) -> None:
        self.keys.append(key)


class Applier:
    def wrote(self, *_: object) -> bool:
        return False


@pytest.fixture
def known() -> Caches:
    return caches(None)  # type: ignore[arg-type]


@pytest.fixture
def told(known: Caches) -> Told:
    controller = Told()
    _watch_services(controller, known, Applier())  # type: ignore[arg-type]
    known.inference_services.tell(known.inference_services.store.apply(CustomResource(metadata=named("chat"))))
    controller.keys.clear()
    return controller


def named(name: str, version: int = 1) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="team", uid=name, resource_version=str(version))


def see(known: Caches, target: str, version: int, *, group: str = "apps/v1", kind: str = "Deployment") -> None:
    spec = HorizontalPodAutoscalerSpec(ScaleTarget(group, kind, target))
    seen = HorizontalPodAutoscaler(metadata=named("load", version), spec=spec)
    known.autoscalers.tell(known.autoscalers.store.apply(seen))


def test_a_service_hears_of_an_autoscaler_that_comes_to_its_deployment_turns_away_and_goes(
    known: Caches, told: Told
) -> None:
    see(known, "chat", 1)
    assert (told.keys, known.autoscalers_of_service(CHAT)) == ([CHAT], ("load",))
    see(known, "another", 2)
    assert (told.keys, known.autoscalers_of_service(CHAT)) == ([CHAT] * 2, ())
    see(known, "chat", 3)
    known.autoscalers.tell(known.autoscalers.store.delete(Key("team", "load")))
    assert (told.keys, known.autoscalers_of_service(CHAT)) == ([CHAT] * 4, ())


def test_what_an_autoscaler_says_of_itself_wakes_nobody(known: Caches, told: Told) -> None:
    see(known, "chat", 1)
    see(known, "chat", 2)
    assert told.keys == [CHAT]


@pytest.mark.parametrize(
    ("group", "kind"),
    [("apps/v1", "StatefulSet"), ("", "Deployment"), ("inference.llmkube.dev/v1alpha1", "InferenceService")],
)
def test_an_autoscaler_of_anything_else_of_that_name_is_none_of_the_deployment(
    known: Caches, told: Told, group: str, kind: str
) -> None:
    see(known, "chat", 1, group=group, kind=kind)
    assert (told.keys, known.autoscalers_of_service(CHAT)) == ([], ())
