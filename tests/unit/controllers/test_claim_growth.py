"""A claim that is too small is asked to grow; what the server says to that is told, and asked again after a pause."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.controllers.conftest import HeldClock

from llmkube.api.model import ModelSpec
from llmkube.controllers.claim_growth import ClaimGrowth
from llmkube.desired.pod_trouble import Trouble
from llmkube.kube.errors import ApiError, Conflict, Forbidden, Invalid
from llmkube.kube.kinds import Key
from llmkube.kube.objects import CustomResource, ObjectMeta, PersistentVolumeClaim

GI = 2**30
MODEL = CustomResource(metadata=ObjectMeta(name="tiny", namespace="team", uid="u"))
TINY = Key("team", "tiny")
SPEC = ModelSpec(source="https://h/tiny.gguf")
NAMED = 'persistentvolumeclaims "tiny-cache" is forbidden: '
CLASS = Forbidden(403, "Forbidden", NAMED + "only dynamically provisioned pvc can be resized and the storageclass must")
QUOTA = Forbidden(403, "Forbidden", NAMED + "exceeded quota: disk, requested: requests.storage=5Gi")
POLICY = "ValidatingAdmissionPolicy 'disks' with binding 'all' denied request: no more than 2Gi"
DENIED = Invalid(422, "Invalid", NAMED + POLICY)
PAUSE = 600.0


class Applier:
    """Counts what is applied, and refuses it when it is told to."""

    def __init__(self, refuses: ApiError | None = None) -> None:
        self.applied: list[dict[str, Any]] = []
        self.refuses = refuses

    async def apply(self, _kind: object, desired: dict[str, Any], _live: object, *, owner: Key) -> bool:
        assert owner == TINY, "whose claim it is does not matter: it waits for its own write"
        self.applied.append(desired)
        if self.refuses:
            raise self.refuses
        return True


def live(uid: str = "c-1", phase: str = "Bound", **metadata: Any) -> PersistentVolumeClaim:
    made = {
        "metadata": {"name": "tiny-cache", "namespace": "team", "uid": uid, **metadata},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
        "status": {"phase": phase},
    }
    return msgspec.json.decode(msgspec.json.encode(made), type=PersistentVolumeClaim)


async def test_a_claim_grows_to_what_it_would_be_if_it_were_made_now() -> None:
    acted: Any = Applier()
    assert await ClaimGrowth(acted, HeldClock()).grow(MODEL, SPEC, live(), size_bytes=4 * GI) is None
    (applied,) = acted.applied
    assert applied["spec"]["resources"]["requests"]["storage"] == "5Gi"


@pytest.mark.parametrize("claim", [live(phase="Pending"), live(deletionTimestamp="2026-01-01T00:00:00Z")])
async def test_a_claim_that_cannot_grow_now_is_left_alone(claim: PersistentVolumeClaim) -> None:
    acted: Any = Applier()
    assert await ClaimGrowth(acted, HeldClock()).grow(MODEL, SPEC, claim, size_bytes=4 * GI) is None
    assert acted.applied == []


async def test_what_was_refused_is_not_asked_for_again_at_once_unless_it_is_more_or_of_another_claim() -> None:
    acted: Any = Applier(CLASS)
    growth = ClaimGrowth(acted, HeldClock())
    for _ in range(3):
        told = await growth.grow(MODEL, SPEC, live(), size_bytes=4 * GI)
        assert told is not None
        assert all(word in told.message for word in ("tiny-cache", CLASS.message))
    assert len(acted.applied) == 1
    await growth.grow(MODEL, SPEC, live(), size_bytes=5 * GI)
    await growth.grow(MODEL, SPEC, live(uid="c-2"), size_bytes=4 * GI)
    assert len(acted.applied) == 3
    growth.forget(TINY)
    assert growth.refused == {}


@pytest.mark.parametrize("error", [CLASS, QUOTA, DENIED], ids=["class", "quota", "policy"])
async def test_what_was_refused_is_asked_for_again_after_a_pause_and_told_the_same_until_it_is_granted(
    error: ApiError,
) -> None:
    """A quota is raised, a policy goes, and a class's allowVolumeExpansion is changed: nobody hears of it."""
    acted: Any = Applier(error)
    clock = HeldClock()
    growth = ClaimGrowth(acted, clock)
    told = await growth.grow(MODEL, SPEC, live(), size_bytes=4 * GI)
    assert growth.again(TINY, told) == PAUSE
    clock.seconds = PAUSE - 1
    assert (await growth.grow(MODEL, SPEC, live(), size_bytes=4 * GI), len(acted.applied)) == (told, 1)
    clock.seconds = PAUSE
    assert (await growth.grow(MODEL, SPEC, live(), size_bytes=4 * GI), len(acted.applied)) == (told, 2)
    assert growth.again(TINY, told) == PAUSE
    acted.refuses, clock.seconds = None, 2 * PAUSE
    assert await growth.grow(MODEL, SPEC, live(), size_bytes=4 * GI) is None
    assert (len(acted.applied), growth.again(TINY, told)) == (3, None)


@pytest.mark.parametrize(
    ("error", "advice"),
    [(CLASS, "give it a class that allows it"), (QUOTA, "raise the quota"), (DENIED, "have what refused it changed")],
    ids=["class", "quota", "policy"],
)
async def test_what_to_do_is_told_of_what_refused(error: ApiError, advice: str) -> None:
    acted: Any = Applier(error)
    told = await ClaimGrowth(acted, HeldClock()).grow(MODEL, SPEC, live(), size_bytes=4 * GI)
    assert told is not None
    assert f"{error.message}; {advice}" in told.message
    assert ("class that allows it" in told.message) is (error is CLASS)


async def test_a_trouble_that_is_no_refused_growth_is_waited_for_otherwise() -> None:
    acted: Any = Applier(QUOTA)
    growth = ClaimGrowth(acted, HeldClock())
    await growth.grow(MODEL, SPEC, live(), size_bytes=4 * GI)
    assert [growth.again(TINY, each) for each in (None, Trouble("ClaimLost", "it has no volume"))] == [None, None]


async def test_a_failure_that_is_no_refusal_is_its_keys_to_retry() -> None:
    acted: Any = Applier(Conflict(409, "Conflict", "it has changed"))
    growth = ClaimGrowth(acted, HeldClock())
    with pytest.raises(Conflict):
        await growth.grow(MODEL, SPEC, live(), size_bytes=4 * GI)
    assert growth.refused == {}
