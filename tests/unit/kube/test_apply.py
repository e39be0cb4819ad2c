"""What was applied last is known from the object itself."""

from __future__ import annotations

import msgspec

from llmkube.kube.apply import APPLIED_HASH, Applier, is_applied, owner_of, with_hash
from llmkube.kube.errors import NotFound
from llmkube.kube.kinds import DEPLOYMENT, Key
from llmkube.kube.objects import Deployment, ObjectMeta

OWNER = {"apiVersion": "v1", "kind": "Model", "name": "m", "uid": "u", "controller": True, "blockOwnerDeletion": True}
MANIFEST = {
    "metadata": {"name": "web", "namespace": "default", "labels": {"a": "b"}, "ownerReferences": [OWNER]},
    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "c", "image": "x"}]}}},
}


def live_of(manifest: dict, **spec: object) -> Deployment:
    """As the API server gives it back, with what others added."""
    obj = {**manifest, "spec": {**manifest["spec"], **spec, "revisionHistoryLimit": 10}}
    return msgspec.json.decode(msgspec.json.encode(obj), type=Deployment)


def test_what_was_applied_is_not_applied_again_even_by_another_process() -> None:
    assert is_applied(with_hash(MANIFEST), live_of(with_hash(MANIFEST)))


def test_a_field_that_somebody_changed_is_applied_again() -> None:
    assert not is_applied(with_hash(MANIFEST), live_of(with_hash(MANIFEST), replicas=3))


def test_a_field_that_is_no_longer_wanted_is_taken_away_by_an_apply() -> None:
    fewer = {**MANIFEST, "spec": {"template": MANIFEST["spec"]["template"]}}
    assert not is_applied(with_hash(fewer), live_of(with_hash(MANIFEST)))


def test_the_hash_is_an_annotation_beside_those_that_are_wanted() -> None:
    wanted = with_hash({"metadata": {"name": "a", "annotations": {"x": "y"}}})
    assert set(wanted["metadata"]["annotations"]) == {"x", APPLIED_HASH}


def test_a_write_belongs_to_the_controlling_owner() -> None:
    assert owner_of(MANIFEST) == Key("default", "m")
    assert owner_of({"metadata": {"name": "a", "namespace": "n"}}) == Key("n", "a")


class Time:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Server:
    """Answers every apply with the next version."""

    def __init__(self) -> None:
        self.version = 10

    async def apply(self, *_: object, **__: object) -> Deployment:
        self.version += 1
        return Deployment(metadata=ObjectMeta(name="web", namespace="default", resource_version=str(self.version)))


class Seen:
    name = DEPLOYMENT.resource
    version = 10


async def test_an_owner_is_behind_until_its_own_write_came_back() -> None:
    applier, seen = Applier(Server(), "test", Time()), Seen()  # type: ignore[arg-type]
    assert not applier.behind(Key("default", "m"), [seen])  # type: ignore[list-item]
    assert await applier.apply(DEPLOYMENT, MANIFEST, None)
    assert applier.behind(Key("default", "m"), [seen])  # type: ignore[list-item]
    seen.version = 11
    assert not applier.behind(Key("default", "m"), [seen])  # type: ignore[list-item]
    assert applier.writes == 1


async def test_an_informer_that_is_cut_off_does_not_stop_work_for_ever() -> None:
    time = Time()
    applier, seen = Applier(Server(), "test", time), Seen()  # type: ignore[arg-type]
    await applier.apply(DEPLOYMENT, MANIFEST, None)
    time.seconds = 11.0
    assert not applier.behind(Key("default", "m"), [seen])  # type: ignore[list-item]
    assert applier.waits_given_up == 1


class Gone:
    """Has none of the objects that a cache still holds."""

    async def patch(self, *_: object, **__: object) -> Deployment:
        raise NotFound(404, "NotFound", "gone")


async def test_the_finalizer_of_an_object_that_is_gone_needs_no_removing() -> None:
    applier = Applier(Gone(), "test", Time())  # type: ignore[arg-type]
    cached = Deployment(metadata=ObjectMeta(name="web", namespace="default", finalizers=("mine",)))
    assert not await applier.remove_finalizer(DEPLOYMENT, cached, "mine")
    assert applier.writes == 0
