"""A claim that is too small is asked to grow, once for each size, and what the server says to that is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmkube.api.model import ModelSpec
from llmkube.controllers.claim_growth import ClaimGrowth
from llmkube.kube.errors import Forbidden
from llmkube.kube.kinds import Key
from llmkube.kube.objects import CustomResource, ObjectMeta, PersistentVolumeClaim

GI = 2**30
MODEL = CustomResource(metadata=ObjectMeta(name="tiny", namespace="team", uid="u"))
SPEC = ModelSpec(source="https://h/tiny.gguf")
REFUSED = Forbidden(403, "Forbidden", "only dynamically provisioned pvc can be resized")


class Applier:
    """Counts what is applied, and refuses it when it is told to."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.applied: list[dict[str, Any]] = []
        self._refuses = refuses

    async def apply(self, _kind: object, desired: dict[str, Any], _live: object) -> bool:
        self.applied.append(desired)
        if self._refuses:
            raise REFUSED
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
    assert await ClaimGrowth(acted).grow(MODEL, SPEC, live(), size_bytes=4 * GI) is None
    (applied,) = acted.applied
    assert applied["spec"]["resources"]["requests"]["storage"] == "5Gi"


@pytest.mark.parametrize("claim", [live(phase="Pending"), live(deletionTimestamp="2026-01-01T00:00:00Z")])
async def test_a_claim_that_cannot_grow_now_is_left_alone(claim: PersistentVolumeClaim) -> None:
    acted: Any = Applier()
    assert await ClaimGrowth(acted).grow(MODEL, SPEC, claim, size_bytes=4 * GI) is None
    assert acted.applied == []


async def test_a_class_that_allows_no_growth_is_asked_once_for_each_size_and_each_claim() -> None:
    acted: Any = Applier(refuses=True)
    growth = ClaimGrowth(acted)
    for _ in range(3):
        told = await growth.grow(MODEL, SPEC, live(), size_bytes=4 * GI)
        assert told is not None
        assert all(word in told.message for word in ("tiny-cache", REFUSED.message))
    assert len(acted.applied) == 1
    await growth.grow(MODEL, SPEC, live(), size_bytes=5 * GI)
    await growth.grow(MODEL, SPEC, live(uid="c-2"), size_bytes=4 * GI)
    assert len(acted.applied) == 3
    growth.forget(Key("team", "tiny"))
    assert growth.refused == {}
