"""The store: what is known, and what changed."""

from __future__ import annotations

import random

import pytest

from llmkube.kube.kinds import Key
from llmkube.kube.objects import Object, ObjectMeta, OwnerReference
from llmkube.kube.store import Delta, Store


def thing(name: str, version: int = 1, *, uid: str = "", owner: str = "", namespace: str = "default") -> Object:
    owners = (OwnerReference("v1", "Kind", "owner", owner, controller=True),) if owner else ()
    metadata = ObjectMeta(
        name=name, namespace=namespace, uid=uid or name, resource_version=str(version), owner_references=owners
    )
    return Object(metadata=metadata)


def replace(store: Store[Object], listed: list[Object], *, namespace: str | None = None) -> list[Delta[Object]]:
    """A whole list, taken in at once."""
    return [delta for step in store.replacing(listed, namespace=namespace) for delta in step()]


def test_an_object_that_comes_is_an_addition_and_then_a_change() -> None:
    store: Store[Object] = Store()
    first, second = thing("a", 1), thing("a", 2)
    assert store.apply(first) == [Delta(None, first)]
    assert store.apply(second) == [Delta(first, second)]
    assert store.get(Key("default", "a")) == second


def test_an_older_version_never_replaces_a_newer_one() -> None:
    store: Store[Object] = Store()
    store.apply(thing("a", 10))
    assert store.apply(thing("a", 9)) == []
    assert store.list() == [thing("a", 10)]


def test_a_new_uid_under_an_old_key_is_a_deletion_and_an_addition() -> None:
    store: Store[Object] = Store()
    old, new = thing("a", 5, uid="one"), thing("a", 6, uid="two")
    store.apply(old)
    assert store.apply(new) == [Delta(old, None), Delta(None, new)]


def test_a_list_deletes_what_it_lacks_and_repeats_nothing() -> None:
    store: Store[Object] = Store()
    kept, lost, new = thing("kept"), thing("lost"), thing("new")
    replace(store, [kept, lost])
    assert replace(store, [kept, new]) == [Delta(lost, None), Delta(None, new)]
    assert store.list() == [kept, new]


def test_a_list_of_one_namespace_leaves_the_others_alone() -> None:
    store: Store[Object] = Store()
    here, there = thing("a", namespace="here"), thing("a", namespace="there")
    replace(store, [here], namespace="here")
    replace(store, [there], namespace="there")
    assert replace(store, [], namespace="here") == [Delta(here, None)]
    assert store.list() == [there]


def test_a_long_list_is_taken_in_by_steps_each_of_which_tells_what_it_changed() -> None:
    store: Store[Object] = Store()
    replace(store, [thing("gone"), thing("kept")])
    seen = []
    for step in store.replacing([thing("kept"), *(thing(f"n{number}") for number in range(1000))]):
        before = len(store)
        deltas = step()
        assert len(store) - before == sum((each.new is not None) - (each.old is not None) for each in deltas)
        seen.append(len(deltas))
    assert seen == [99, *[100] * 9, 2], "a deletion, one that is there already, and 1,000 additions"


def test_a_list_is_believed_even_when_its_versions_went_back() -> None:
    """A restored etcd."""
    store: Store[Object] = Store()
    store.apply(thing("a", 100))
    replace(store, [thing("a", 3)])
    assert store.list() == [thing("a", 3)]


def test_an_index_follows_every_change_and_keeps_no_empty_sets() -> None:
    store: Store[Object] = Store({"uid": lambda obj: (obj.metadata.uid,)})
    store.apply(thing("a", 1, owner="x"))
    store.apply(thing("a", 2, owner="y"))
    assert store.by_index("owner", "x") == []
    assert store.by_index("owner", "y") == [thing("a", 2, owner="y")]
    store.delete(Key("default", "a"))
    assert all(not values for values in store._indexed.values())


@pytest.mark.parametrize("seed", range(20))
def test_every_index_finds_what_a_scan_finds_whatever_came_in_whichever_order(seed: int) -> None:
    chance = random.Random(seed)
    digits = {"digits": lambda obj: set(obj.metadata.uid) - {"0"}}
    store: Store[Object] = Store(digits)
    for number in range(1, 200):
        one = thing(
            chance.choice("abc"), number, uid=f"{chance.randrange(100):02}", owner=chance.choice(("", "x", "y"))
        )
        chance.choice((store.apply, store.apply, store.apply, store.remove))(one)
        for value in map(str, range(10)):
            scanned = [each for each in store.list() if value in set(each.metadata.uid) - {"0"}]
            assert store.by_index("digits", value) == scanned
            assert store.keys("digits", value) == [Key("default", each.metadata.name) for each in scanned]
        owned = {each.metadata.name for each in store.list() if each.metadata.owner_references}
        assert {each.name for value in "xy" for each in store.keys("owner", value)} == owned
    replace(store, [])
    assert not store._values
    assert all(not values for values in store._indexed.values())


@pytest.mark.parametrize("text", ["", "latest", "-1", "1e3", "9" * 5000], ids=lambda text: text[:9])
def test_a_version_that_is_no_number_of_64_bits_is_taken_as_it_comes(text: str) -> None:
    store: Store[Object] = Store()
    odd = Object(metadata=ObjectMeta(name="a", namespace="default", uid="a", resource_version=text))
    store.apply(thing("a", 7))
    assert store.apply(odd) == [Delta(thing("a", 7), odd)]
    assert store.apply(thing("a", 8)) == [Delta(odd, thing("a", 8))]


def test_an_index_that_nobody_declared_is_an_error() -> None:
    with pytest.raises(KeyError):
        Store[Object]().by_index("model", "a")


def test_deleting_what_is_not_there_is_nothing() -> None:
    assert Store[Object]().delete(Key("default", "a")) == []
