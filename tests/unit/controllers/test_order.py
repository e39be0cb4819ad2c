"""In which order a reconciler does things, and what it never does: finalizer first, nothing on the past."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.controllers.conftest import HeldClock

from llmkube.controllers.adapter_models import AdapterModels
from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.inference import InferenceReconciler
from llmkube.controllers.inference_accessories import InferenceAccessories
from llmkube.controllers.inference_inputs import InferenceInputs
from llmkube.controllers.model import FINALIZER, ModelReconciler
from llmkube.controllers.model_sources import ModelSources
from llmkube.controllers.offloads import OffloadReader
from llmkube.controllers.referenced_objects import ReferencedObjects
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.apply import Lag
from llmkube.kube.errors import Conflict
from llmkube.kube.kinds import Key, Kind
from llmkube.kube.objects import CustomResource
from llmkube.runtime.outcome import Result

TINY = Key("team", "tiny")
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}


class World:
    """Everything that a reconciler acts on: `did` is what it did, in order."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.status: dict[str, Any] = {}
        self.behind = Lag.NONE
        self.refuses_finalizers = False

    def lag(self, *_: object) -> Lag:
        return self.behind

    def again(self, _owner: Key, lag: Lag, after: float | None) -> float | None:
        return lag.again(after)

    def forget(self, *_: object) -> None:
        self.did.append("forget")

    def leave(self, *_: object) -> None:
        """Nobody reads a log any more."""

    def request(self, *_: object, **__: object) -> None:
        self.did.append("ask the source")

    def result(self, *_: object) -> None:
        """It has not answered yet."""

    async def read(self, *_: object) -> None:
        raise AssertionError("the source is asked in the background")

    async def set_finalizer(self, *_: object) -> bool:
        self.did.append("set the finalizer")
        if self.refuses_finalizers:
            raise Conflict(409, "Conflict", "it has changed")
        return True

    async def remove_finalizer(self, *_: object) -> bool:
        self.did.append("remove the finalizer")
        return True

    async def stop(self, *_: object) -> None:
        self.did.append("stop")

    async def advance(self, _model: object, seen: Any) -> Any:
        return seen

    async def apply(self, kind: Kind[Any], manifest: dict[str, Any], *_: object, **__: object) -> object:
        self.did.append("apply")
        return msgspec.json.decode(msgspec.json.encode(manifest), type=kind.type)

    async def apply_status(self, _kind: object, _key: object, status: dict[str, Any], _live: object) -> bool:
        self.did.append("tell")
        self.status = status
        return True

    def event(self, *_: object, **__: object) -> None:
        """Nobody listens."""


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def known() -> Caches:
    return caches(None)  # type: ignore[arg-type]


def there(spec: dict[str, Any], **metadata: Any) -> CustomResource:
    obj = {"metadata": {"name": "tiny", "namespace": "team", "uid": "u", "generation": 7, **metadata}, "spec": spec}
    return msgspec.json.decode(msgspec.json.encode(obj), type=CustomResource)


async def model(world: World, known: Caches, **metadata: Any) -> Result:
    known.models.store.apply(there({"source": "https://models.example/tiny.gguf"}, **metadata))
    parts: Any = dict.fromkeys(("applier", "progress", "fetch", "collection", "recheck", "events"), world)
    asked: Any = world
    sources = ModelSources(asked, asked, OperatorSettings())
    return await ModelReconciler(caches=known, clock=HeldClock(), sources=sources, **parts).reconcile(TINY)


async def service(world: World, known: Caches, **metadata: Any) -> Result:
    known.inference_services.store.apply(there({"modelRef": "tiny"}, **metadata))
    acted: Any = world
    objects, offloads = ReferencedObjects(acted, clock=HeldClock(), notify=print), OffloadReader(acted, notify=print)
    inputs, beside = InferenceInputs(known, objects), InferenceAccessories(known, acted, acted)
    return await InferenceReconciler(
        known, inputs, beside, AdapterModels(known, acted), acted, acted, OperatorSettings(), HeldClock(), offloads
    ).reconcile(TINY)


async def test_a_model_has_its_finalizer_before_anything_is_done_for_it(world: World, known: Caches) -> None:
    await model(world, known)
    assert world.did == ["set the finalizer", "ask the source", "tell"]


async def test_nothing_is_done_for_a_model_that_could_not_be_given_its_finalizer(world: World, known: Caches) -> None:
    world.refuses_finalizers = True
    with pytest.raises(Conflict):
        await model(world, known)
    assert world.did == ["set the finalizer"]


async def test_a_model_that_is_being_deleted_is_let_go_when_its_fetch_has_ended_and_nothing_is_applied(
    world: World, known: Caches
) -> None:
    assert await model(world, known, **DELETED) == Result()
    assert world.did == ["forget", "forget", "stop", "stop", "stop", "remove the finalizer"]


async def test_for_a_service_that_is_being_deleted_nothing_is_applied(world: World, known: Caches) -> None:
    assert await service(world, known, **DELETED) == Result()
    assert world.did == ["forget"]


@pytest.mark.parametrize("reconcile", [model, service])
async def test_nothing_is_decided_while_our_own_write_has_not_come_back_and_no_worker_waits_for_it(
    world: World, known: Caches, reconcile: Any
) -> None:
    world.behind = Lag.WAIT
    assert await reconcile(world, known) == Result(requeue=True)
    assert world.did == []


@pytest.mark.parametrize("reconcile", [model, service])
async def test_what_is_decided_blindly_is_decided_again_within_ten_seconds(
    world: World, known: Caches, reconcile: Any
) -> None:
    world.behind = Lag.BLIND
    assert await reconcile(world, known) == Result(requeue_after=10.0)


@pytest.mark.parametrize("reconcile", [model, service])
async def test_the_generation_that_is_told_is_that_of_the_object_that_was_read(
    world: World, known: Caches, reconcile: Any
) -> None:
    await reconcile(world, known)
    assert world.status["observedGeneration"] == 7
    assert {each["observedGeneration"] for each in world.status["conditions"]} == {7}


def test_reading_a_kind_that_has_no_informer_is_an_error(known: Caches) -> None:
    with pytest.raises(AttributeError):
        known.secrets  # type: ignore[attr-defined]  # noqa: B018
