"""The claim of a Model: made once, the shared one by whoever comes first, and asked to grow for as long as it must."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from tests.unit.controllers.conftest import HeldClock

from llmkube.api.model import ModelSpec, ModelStatus
from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.claim_growth import ClaimGrowth
from llmkube.controllers.model_fetch import ModelFetch
from llmkube.controllers.progress import ProgressReader
from llmkube.desired.model_status import Sight
from llmkube.desired.reading import spec_of
from llmkube.desired.resolution import Known
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.apply import LONGEST_WAIT, Applier, Lag
from llmkube.kube.errors import AlreadyExists, ApiError, Forbidden, Invalid
from llmkube.kube.kinds import PVC, Key, Kind
from llmkube.kube.objects import CustomResource, Object

GI = 2**30
TINY = Key("team", "tiny")
QUOTA = Forbidden(403, "Forbidden", 'persistentvolumeclaims "tiny-cache" is forbidden: exceeded quota: disk')
IMMUTABLE = 'PersistentVolumeClaim "llmkube-models" is invalid: spec: Forbidden: spec is immutable after creation'


class Server:
    """Keeps claims, whose spec does not change before they are bound; `refuses` every apply."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.refuses: ApiError | None = None

    async def create(self, kind: Kind[Any], obj: Any, **_: Any) -> Object:
        await asyncio.sleep(0)
        if obj["metadata"]["name"] in self.claims:
            raise AlreadyExists(409, "AlreadyExists", "it is there")
        return self._keep(kind, obj)

    async def apply(self, kind: Kind[Any], obj: Any, **_: object) -> Object:
        await asyncio.sleep(0)
        if self.refuses:
            raise self.refuses
        there = self.claims.get(obj["metadata"]["name"])
        if there and there["spec"] != obj["spec"]:
            raise Invalid(422, "Invalid", IMMUTABLE)
        return self._keep(kind, obj)

    def _keep(self, kind: Kind[Any], obj: Any) -> Object:
        self.claims[obj["metadata"]["name"]] = obj
        made = {**obj, "metadata": {**obj["metadata"], "uid": "c", "resourceVersion": "7"}}
        found: Object = msgspec.json.decode(msgspec.json.encode(made), type=kind.type)
        return found


class World:
    """One operator's part that fetches, and what it knows."""

    def __init__(self) -> None:
        self.clock = HeldClock()
        self.server = Server()
        acting: Any = self.server
        self.known: Caches = caches(acting)
        self.applier = Applier(acting, "test", self.clock)
        progress = ProgressReader(acting, clock=self.clock, notify=print)
        growth = ClaimGrowth(self.applier, self.clock)
        self.fetch = ModelFetch(self.known, self.applier, progress, growth, OperatorSettings(), self.clock)

    async def advance(self, name: str, size: int, mode: str) -> Sight:
        made = {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": "Model", "spec": spec(mode)}
        metadata = {"name": name, "namespace": "team", "uid": name}
        model = msgspec.json.decode(msgspec.json.encode({**made, "metadata": metadata}), type=CustomResource)
        read = spec_of(model, ModelSpec)
        assert isinstance(read, ModelSpec)
        return await self.fetch.advance(model, Sight(1, read, ModelStatus()), read, Known(size_bytes=size))

    def bind(self, storage: str) -> None:
        """The claim of `tiny` is there, and too small."""
        owner = {"apiVersion": "v1", "kind": "Model", "name": "tiny", "uid": "tiny", "controller": True}
        made = {
            "metadata": {"name": "tiny-cache", "namespace": "team", "uid": "c", "ownerReferences": [owner]},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}},
            "status": {"phase": "Bound"},
        }
        self.known.claims.store.apply(msgspec.json.decode(msgspec.json.encode(made), type=PVC.type))


def spec(mode: str) -> dict[str, Any]:
    return {"source": "https://models.example/m.gguf", "cache": {"mode": mode}}


@pytest.fixture
def world() -> World:
    return World()


async def test_of_two_models_that_want_the_shared_claim_at_once_the_first_makes_it_and_neither_is_refused(
    world: World,
) -> None:
    large, small = await asyncio.gather(
        world.advance("large", 300 * GI, "Shared"), world.advance("small", GI, "Shared")
    )
    assert (large.held, small.held) == (None, None)
    (claim,) = world.server.claims.values()
    assert claim["spec"]["resources"]["requests"]["storage"] == "331Gi"


async def test_who_found_the_shared_claim_made_looks_again_as_it_may_go_before_anybody_has_seen_it(
    world: World,
) -> None:
    assert (await world.advance("large", 300 * GI, "Shared")).retry_in is None
    assert (await world.advance("small", GI, "Shared")).retry_in == LONGEST_WAIT
    assert world.applier.again(Key("team", "large"), Lag.NONE, None) == LONGEST_WAIT


@pytest.mark.parametrize("mode", ["PerModel", "Shared"])
async def test_a_claim_that_is_not_seen_yet_is_waited_for_by_its_maker_and_forgotten_with_it(
    world: World, mode: str
) -> None:
    for part in world.known.claims._parts:
        part.version = 6
    await world.advance("tiny", GI, mode)
    assert world.applier.lag(TINY, [world.known.claims]) is Lag.WAIT
    assert world.applier.again(TINY, Lag.NONE, None) == LONGEST_WAIT
    world.applier.forget(TINY)
    assert (world.applier._written, world.applier._made) == ({}, set())


async def test_a_model_that_waits_for_room_asks_for_it_again_after_a_pause(world: World) -> None:
    """A quota that is raised tells nobody."""
    world.bind("2Gi")
    world.server.refuses = QUOTA
    sight = await world.advance("tiny", 20 * GI, "PerModel")
    assert (sight.held and sight.held.reason, sight.retry_in) == ("ClaimCannotGrow", 600.0)
    world.clock.seconds = 599.9
    assert (await world.advance("tiny", 20 * GI, "PerModel")).retry_in == pytest.approx(1.0)
    world.clock.seconds = 600.0
    assert await world.advance("tiny", 20 * GI, "PerModel") == sight, "the same is told again"
