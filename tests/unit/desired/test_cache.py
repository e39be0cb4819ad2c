"""The claim: which one, how large, whose, and what is applied over one that is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from llmkube.api import quantity
from llmkube.desired.cache import claim, claim_name, ephemeral_size, is_too_small, may_grow
from llmkube.kube.diff import covers
from llmkube.kube.objects import ObjectMeta, PersistentVolumeClaim

Factory = Callable[..., Any]
GI = 2**30


def live_claim(**spec: Any) -> PersistentVolumeClaim:
    return PersistentVolumeClaim(metadata=ObjectMeta(name="tiny-cache"), spec=msgspec.Raw(msgspec.json.encode(spec)))


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ({}, "tiny-cache"),
        ({"mode": "Shared"}, "llmkube-models"),
        ({"mode": "Existing", "claimName": "mine"}, "mine"),
        ({"mode": "Ephemeral"}, None),
    ],
)
def test_each_mode_has_its_claim(cache: dict[str, str], expected: str | None, model_spec: Factory) -> None:
    assert claim_name(model_spec(cache=cache), "tiny") == expected


@pytest.mark.parametrize("cache", [{"mode": "Existing", "claimName": "mine"}, {"mode": "Ephemeral"}])
def test_a_claim_that_is_not_ours_is_not_made(cache: dict[str, str], resource: Factory, model_spec: Factory) -> None:
    assert claim(resource(), model_spec(cache=cache), size_bytes=GI) is None


def test_a_claim_of_its_own_goes_with_its_model(resource: Factory, model_spec: Factory) -> None:
    made = claim(resource(uid="u-9"), model_spec(), size_bytes=GI)
    assert made is not None
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u-9"
    assert made["metadata"]["labels"]["app.kubernetes.io/component"] == "cache"
    assert made["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}


def test_a_shared_claim_belongs_to_no_model_and_is_the_same_for_all(resource: Factory, model_spec: Factory) -> None:
    spec = model_spec(cache={"mode": "Shared"})
    first, second = (claim(resource(name=name), spec, size_bytes=size) for name, size in (("a", 1), ("b", GI)))
    assert first == second
    assert first is not None
    assert "ownerReferences" not in first["metadata"]


@pytest.mark.parametrize("size", [0, 1, 92 * 2**20, GI, 10 * GI - 1, 400 * GI, 2**45])
def test_a_claim_has_whole_gibibytes_and_room_beyond_the_file(
    size: int, resource: Factory, model_spec: Factory
) -> None:
    made = claim(resource(), model_spec(), size_bytes=size)
    assert made is not None
    storage = made["spec"]["resources"]["requests"]["storage"]
    assert storage.endswith("Gi")
    assert size + size // 10 < quantity.to_int(storage) <= size + size // 10 + 2 * GI


def test_what_the_person_says_of_the_claim_counts(resource: Factory, model_spec: Factory) -> None:
    said = {"storageClassName": "fast", "accessMode": "ReadWriteMany", "size": "7Gi"}
    made = claim(resource(), model_spec(cache=said), size_bytes=100 * GI)
    assert made is not None
    assert made["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "7Gi"}},
        "storageClassName": "fast",
    }


def test_a_live_claim_is_asked_for_more_room_and_for_no_other_change(resource: Factory, model_spec: Factory) -> None:
    live = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "3Gi"}},
        "storageClassName": "standard",
        "volumeName": "pv-1",
        "volumeMode": "Filesystem",
    }
    changed = model_spec(cache={"accessMode": "ReadWriteMany", "storageClassName": "fast", "size": "9Gi"})
    made = claim(resource(), changed, size_bytes=50 * GI, live=live_claim(**live))
    assert made is not None
    kept = {name: live[name] for name in ("accessModes", "storageClassName")}
    assert made["spec"] == kept | {"resources": {"requests": {"storage": "9Gi"}}}
    less = claim(resource(), model_spec(cache={"size": "1Gi"}), size_bytes=GI, live=live_claim(**live))
    assert less is not None
    assert covers(live, less["spec"])


def test_a_claim_may_grow_when_it_is_ours_and_smaller_than_one_made_now(model_spec: Factory) -> None:
    live = live_claim(resources={"requests": {"storage": "2Gi"}})
    assert may_grow(model_spec(), live, size_bytes=2 * GI)
    assert may_grow(model_spec(cache={"mode": "Shared"}), live, size_bytes=GI)
    assert not may_grow(model_spec(), live, size_bytes=GI)
    assert not may_grow(model_spec(cache={"size": "2Gi"}), live, size_bytes=9 * GI)
    assert not may_grow(model_spec(cache={"mode": "Existing", "claimName": "mine"}), live, size_bytes=9 * GI)


def test_a_live_claim_that_cannot_hold_the_model_is_told() -> None:
    live = live_claim(resources={"requests": {"storage": "2Gi"}})
    assert is_too_small(live, size_bytes=2 * GI + 1)
    assert not is_too_small(live, size_bytes=2 * GI)
    assert is_too_small(live_claim(resources={"requests": {"storage": "much"}}), size_bytes=1)


def test_an_ephemeral_volume_is_as_large_as_said_or_needed(model_spec: Factory) -> None:
    assert ephemeral_size(model_spec(cache={"mode": "Ephemeral", "size": "5Gi"}), size_bytes=GI) == "5Gi"
    assert ephemeral_size(model_spec(cache={"mode": "Ephemeral"}), size_bytes=GI) == "2Gi"
