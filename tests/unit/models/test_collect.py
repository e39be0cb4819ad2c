"""What of a cache may go: never what something that stays refers to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmkube.models.collect import (
    DAY,
    GRACE,
    STALE,
    BlobEntry,
    CollectError,
    Inventory,
    Links,
    ModelName,
    PartialEntry,
    Pin,
    Removal,
    Wish,
    after_fetch,
    clearing,
)

NOW = 1_000_000_000.0
DIGESTS = [letter * 64 for letter in "abcdef"]
MODELS = [ModelName("team", "tiny"), ModelName("team", "big"), ModelName("other", "tiny")]

digests = st.sampled_from(DIGESTS)
times = st.floats(NOW - 60 * DAY, NOW)
files = st.lists(st.tuples(st.sampled_from(["1.gguf", "2.gguf"]), digests), max_size=2, unique_by=lambda each: each[0])
blob_lists = st.lists(st.builds(BlobEntry, digests, st.just(10), times), unique_by=lambda each: each.sha256)
link_lists = st.lists(
    st.builds(
        Links, st.sampled_from(MODELS), st.sampled_from([each[:12] for each in DIGESTS]), files.map(tuple), times
    ),
    max_size=6,
    unique_by=lambda each: (each.model, each.digest12),
)
partial_lists = st.lists(
    st.builds(PartialEntry, st.sampled_from("xyz"), st.just(5), times, st.booleans()), unique_by=lambda each: each.key
)
pin_lists = st.lists(
    st.builds(Pin, st.sampled_from("pq"), st.just("source"), files.map(tuple), times), unique_by=lambda each: each.name
)
inventories = st.builds(
    Inventory, blob_lists.map(tuple), link_lists.map(tuple), partial_lists.map(tuple), pin_lists.map(tuple)
)
wishes = st.builds(
    Wish,
    digests=st.lists(digests.map(lambda each: each[:12]), max_size=2).map(tuple),
    all_unused=st.booleans(),
    partials=st.booleans(),
    older_than=st.sampled_from([0.0, DAY, 30 * DAY]),
    force=st.booleans(),
    models=st.lists(st.sampled_from(MODELS), max_size=1).map(tuple),
)


def check(inventory: Inventory, removal: Removal) -> None:
    """What every removal holds to."""
    left = inventory.without(removal.links)
    pins = [each for each in inventory.pins if each not in removal.pins]
    referenced = {sha256 for each in [*left.links, *pins] for sha256 in each.blobs}
    assert not {blob.sha256 for blob in removal.blobs} & referenced
    assert not any(each.busy for each in removal.partials)
    assert set(removal.blobs) <= set(inventory.blobs)


@given(inventories, st.sampled_from(MODELS), st.sets(digests.map(lambda each: each[:12])))
def test_after_a_fetch_only_the_models_own_older_links_go_and_nothing_that_is_referred_to(
    inventory: Inventory, model: ModelName, keep: set[str]
) -> None:
    removal = after_fetch(inventory, model, keep=keep, now=NOW)
    check(inventory, removal)
    assert not removal.pins
    assert all(each.model == model and each.digest12 not in keep for each in removal.links)
    assert all(NOW - each.changed >= STALE for each in removal.partials)
    freed = {sha256 for each in removal.links for sha256 in each.blobs}
    assert all(blob.sha256 in freed or NOW - blob.used > GRACE for blob in removal.blobs)


@given(inventories, wishes)
def test_clearing_takes_nothing_in_use_unless_it_is_forced_by_its_digest(inventory: Inventory, wish: Wish) -> None:
    try:
        removal = clearing(inventory, wish, now=NOW)
    except CollectError:
        assert wish.digests
        return
    check(inventory, removal)
    named = {blob.sha256 for blob in removal.blobs if any(blob.sha256.startswith(each) for each in wish.digests)}
    for each in removal.links:
        assert each.model in wish.models or (wish.force and each.blobs & named)
    assert wish.force or not removal.pins
    if not (wish.all_unused or wish.digests or wish.models):
        assert not removal.blobs


@given(inventories, st.sampled_from(MODELS))
def test_what_a_model_that_is_gone_had_alone_goes_with_it(inventory: Inventory, model: ModelName) -> None:
    removal = clearing(inventory, Wish(models=(model,)), now=NOW)
    check(inventory, removal)
    assert set(removal.links) == {each for each in inventory.links if each.model == model}
    assert {blob.sha256 for blob in removal.blobs} <= {sha256 for each in removal.links for sha256 in each.blobs}


OLD = Links(MODELS[0], "a" * 12, (("m.gguf", "a" * 64),), NOW - DAY)
NEW = Links(MODELS[0], "b" * 12, (("m.gguf", "b" * 64),), NOW)
BLOBS = tuple(BlobEntry(letter * 64, 10, NOW) for letter in "abc")


def test_what_was_just_replaced_goes_at_once_and_what_never_had_a_link_stays_a_day() -> None:
    removal = after_fetch(Inventory(BLOBS, (OLD, NEW)), MODELS[0], keep={"b" * 12}, now=NOW)
    assert [blob.sha256[0] for blob in removal.blobs] == ["a"], "c may be the first part of a split model"
    later = after_fetch(Inventory(BLOBS, (NEW,)), MODELS[0], keep={"b" * 12}, now=NOW + GRACE + 1)
    assert [blob.sha256[0] for blob in later.blobs] == ["a", "c"]


def test_what_is_kept_for_services_that_still_serve_it_stays() -> None:
    assert not after_fetch(Inventory(BLOBS, (OLD, NEW)), MODELS[0], keep={"a" * 12, "b" * 12}, now=NOW)


def test_a_digest_in_use_is_refused_with_its_users() -> None:
    inventory = Inventory(BLOBS, (OLD,), (), (Pin("ahead", "source", (("m.gguf", "a" * 64),), NOW),))
    with pytest.raises(CollectError, match=r"aaaaaaaaaaaa.*found pin ahead, team/tiny; .*--force"):
        clearing(inventory, Wish(digests=("aaaaaa",)), now=NOW)
    forced = clearing(inventory, Wish(digests=("aaaaaa",), force=True), now=NOW)
    assert (forced.links, [each.name for each in forced.pins]) == ((OLD,), ["ahead"])


def test_a_digest_of_too_few_digits_is_told() -> None:
    twins = (BlobEntry("a" * 63 + "0", 1, NOW), BlobEntry("a" * 64, 1, NOW))
    with pytest.raises(CollectError, match="2 that begin so; give more digits"):
        clearing(Inventory(twins), Wish(digests=("aaaaaa",)), now=NOW)
