"""What was applied last is known from the object itself."""

from __future__ import annotations

import msgspec
import pytest

from llmkube.kube.applied import APPLIED_HASH, is_applied, with_hash
from llmkube.kube.apply import Applier, Lag, owner_of, with_replicas
from llmkube.kube.errors import AlreadyExists, NotFound
from llmkube.kube.kinds import DEPLOYMENT, SERVICE, Key
from llmkube.kube.objects import Deployment, ObjectMeta

OWNER = {"apiVersion": "v1", "kind": "Model", "name": "m", "uid": "u", "controller": True, "blockOwnerDeletion": True}
WHO = Key("default", "m")
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
    """Answers every write with the next version, but a create when it `has` such an object."""

    def __init__(self) -> None:
        self.version = 10
        self.has = False

    async def create(self, *_: object, **__: object) -> Deployment:
        if self.has:
            raise AlreadyExists(409, "AlreadyExists", 'deployments.apps "web" already exists')
        return await self.apply()

    async def apply(self, *_: object, **__: object) -> Deployment:
        self.version += 1
        return Deployment(metadata=ObjectMeta(name="web", namespace="default", resource_version=str(self.version)))


class Seen:
    name = DEPLOYMENT.resource
    known = 10

    def version_in(self, namespace: str) -> int:
        assert namespace == WHO.namespace
        return self.known


async def test_an_owner_waits_until_its_own_write_came_back() -> None:
    applier, seen = Applier(Server(), "test", Time()), Seen()  # type: ignore[arg-type]
    assert applier.lag(WHO, [seen]) is Lag.NONE  # type: ignore[list-item]
    assert await applier.apply(DEPLOYMENT, MANIFEST, None)
    assert applier.lag(WHO, [seen]) is Lag.WAIT  # type: ignore[list-item]
    seen.known = 11
    assert applier.lag(WHO, [seen]) is Lag.NONE  # type: ignore[list-item]
    assert applier.writes == 1


async def test_an_informer_that_is_cut_off_does_not_stop_work_and_what_was_decided_blindly_is_decided_again() -> None:
    time = Time()
    applier, seen = Applier(Server(), "test", time), Seen()  # type: ignore[arg-type]
    await applier.apply(DEPLOYMENT, MANIFEST, None)
    time.seconds = 11.0
    for _ in range(2):
        assert applier.lag(WHO, [seen]) is Lag.BLIND  # type: ignore[list-item]
    seen.known = 11
    assert applier.lag(WHO, [seen]) is Lag.NONE  # type: ignore[list-item]
    assert applier.waits_given_up == 2


async def test_an_answer_with_an_older_version_does_not_hide_what_was_written_before_it() -> None:
    server, seen = Server(), Seen()
    applier = Applier(server, "test", Time())  # type: ignore[arg-type]
    await applier.apply(DEPLOYMENT, MANIFEST, None)
    server.version = 4
    await applier.apply(DEPLOYMENT, MANIFEST, None)
    assert applier.lag(WHO, [seen]) is Lag.WAIT  # type: ignore[list-item]


async def test_a_fresh_write_is_waited_for_also_while_another_kind_is_cut_off() -> None:
    time = Time()
    applier, seen = Applier(Server(), "test", time), Seen()  # type: ignore[arg-type]
    await applier.apply(DEPLOYMENT, MANIFEST, None)
    time.seconds = 11.0
    await applier.apply(SERVICE, MANIFEST, None)
    services = Seen()
    services.name = SERVICE.resource
    assert applier.lag(WHO, [seen, services]) is Lag.WAIT  # type: ignore[list-item]


def test_a_blind_decision_is_repeated_soon_and_any_other_when_it_says() -> None:
    assert [Lag.BLIND.again(each) for each in (None, 600.0, 3.0)] == [10.0, 10.0, 3.0]
    assert [Lag.NONE.again(each) for each in (None, 600.0)] == [None, 600.0]


async def test_an_owner_looks_again_soon_after_it_made_something_until_that_is_seen() -> None:
    """A list that is taken after it was made and deleted tells of neither."""
    applier, seen = Applier(Server(), "test", Time()), Seen()  # type: ignore[arg-type]
    await applier.apply(DEPLOYMENT, MANIFEST, live_of(MANIFEST))
    assert applier.again(WHO, Lag.NONE, None) is None
    await applier.apply(DEPLOYMENT, MANIFEST, None)
    assert [applier.again(WHO, Lag.NONE, each) for each in (None, 600.0, 3.0)] == [10.0, 10.0, 3.0]
    seen.known = 12
    assert applier.lag(WHO, [seen]) is Lag.NONE  # type: ignore[list-item]
    assert applier.again(WHO, Lag.NONE, None) is None
    await applier.apply(DEPLOYMENT, MANIFEST, None)
    applier.forget(WHO)
    assert applier.again(WHO, Lag.NONE, None) is None


SHARED = {"metadata": {"name": "web", "namespace": "default"}, "spec": {}}
"""Nobody controls it."""


@pytest.mark.parametrize("write", ["apply", "create"])
async def test_what_nobody_controls_is_waited_for_and_looked_for_again_by_who_wrote_it_and_forgotten_with_it(
    write: str,
) -> None:
    applier, seen = Applier(Server(), "test", Time()), Seen()  # type: ignore[arg-type]
    if write == "apply":
        await applier.apply(DEPLOYMENT, SHARED, None, owner=WHO)
    else:
        await applier.create(DEPLOYMENT, SHARED, owner=WHO)
    assert applier.lag(WHO, [seen]) is Lag.WAIT  # type: ignore[list-item]
    assert applier.again(WHO, Lag.NONE, None) == 10.0
    applier.forget(WHO)
    assert (applier._written, applier._made, applier.writes) == ({}, set(), 1)


async def test_what_is_there_already_is_not_made_and_nothing_is_waited_for() -> None:
    server = Server()
    server.has = True
    applier = Applier(server, "test", Time())  # type: ignore[arg-type]
    assert await applier.create(DEPLOYMENT, SHARED, owner=WHO) is None
    assert (applier._written, applier._made, applier.writes) == ({}, set(), 0)


async def test_what_was_written_for_an_owner_that_is_gone_is_forgotten() -> None:
    applier = Applier(Server(), "test", Time())  # type: ignore[arg-type]
    await applier.apply(DEPLOYMENT, MANIFEST, None)
    applier.forget(WHO)
    assert applier.lag(WHO, [Seen()]) is Lag.NONE  # type: ignore[list-item]


async def test_a_write_is_known_again_though_an_object_of_another_kind_and_the_same_name_was_written_after_it() -> None:
    applier = Applier(Server(), "test", Time())  # type: ignore[arg-type]
    written = await applier.apply(DEPLOYMENT, SHARED, None)
    await applier.apply(SERVICE, SHARED, None)
    assert written is not None
    assert applier.wrote(DEPLOYMENT, written)
    assert not applier.wrote(SERVICE, written)  # type: ignore[arg-type]
    applier.forget(Key("default", "web"))
    assert not applier.wrote(DEPLOYMENT, written)


class Gone:
    """Has none of the objects that a cache still holds."""

    async def patch(self, *_: object, **__: object) -> Deployment:
        raise NotFound(404, "NotFound", "gone")


async def test_the_finalizer_of_an_object_that_is_gone_needs_no_removing() -> None:
    applier = Applier(Gone(), "test", Time())  # type: ignore[arg-type]
    cached = Deployment(metadata=ObjectMeta(name="web", namespace="default", finalizers=("mine",)))
    assert not await applier.remove_finalizer(DEPLOYMENT, cached, "mine")
    assert applier.writes == 0


def test_replicas_that_somebody_else_sets_are_said_for_one_version_and_are_no_part_of_the_hash() -> None:
    wanted = with_hash(without_replicas(MANIFEST))
    live = msgspec.structs.replace(live_of(wanted, replicas=5), metadata=ObjectMeta(resource_version="7"))
    said = with_replicas(wanted, 5, live)
    assert (said["spec"]["replicas"], said["metadata"]["resourceVersion"]) == (5, "7")
    assert said["metadata"]["annotations"] == wanted["metadata"]["annotations"]
    assert "resourceVersion" not in with_replicas(wanted, 2, None)["metadata"]


def test_a_count_that_somebody_else_changed_is_no_reason_to_write() -> None:
    wanted = with_hash(without_replicas(MANIFEST))
    assert is_applied(wanted, live_of(wanted, replicas=7))


def without_replicas(manifest: dict) -> dict:
    return {**manifest, "spec": {name: value for name, value in manifest["spec"].items() if name != "replicas"}}
