"""Names, labels and references: valid for the API server, distinct for distinct parents, and never changing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from llmkube.desired.labels import model_labels, owner_reference, selector, selector_text, service_labels
from llmkube.desired.naming import child_name, dns_label, short_hash

Factory = Callable[..., Any]
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?")
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LONGEST = ["a" * 253, ".".join(["ab-c"] * 50), "a" * 53 + "." + "b" * 199, "a" * 54 + "-" + "b" * 198]


def test_a_short_name_is_kept_and_gets_its_suffix() -> None:
    assert child_name("tiny", "cache") == "tiny-cache"
    assert child_name("tiny") == "tiny"


@pytest.mark.parametrize("name", LONGEST)
@pytest.mark.parametrize("suffix", ["", "cache", "fetch-0123abcd"])
def test_a_name_of_253_characters_gives_valid_names(name: str, suffix: str) -> None:
    given = child_name(name, suffix)
    assert len(given) <= 63
    assert SUBDOMAIN.fullmatch(given)
    assert given.endswith(suffix)


def test_a_name_that_just_fits_is_kept_and_one_more_character_is_hashed() -> None:
    assert child_name("a" * 57, "cache") == "a" * 57 + "-cache"
    assert child_name("a" * 58, "cache") == f"{'a' * 48}-{short_hash('a' * 58)}-cache"


def test_long_names_that_differ_only_at_their_end_stay_apart() -> None:
    assert child_name("a" * 200 + "x", "cache") != child_name("a" * 200 + "y", "cache")


def test_a_suffix_that_leaves_no_room_is_an_error_and_no_collision() -> None:
    with pytest.raises(ValueError, match="shorter suffix"):
        child_name("a" * 60, "b" * 60)


def test_where_one_part_ends_and_the_next_begins_counts_in_a_hash() -> None:
    assert short_hash("ab", "c") != short_hash("a", "bc")
    assert re.fullmatch(r"[0-9a-f]{8}", short_hash("a"))


@pytest.mark.parametrize("name", [*LONGEST, "a.b", "7b", "7.b", "chat"])
def test_a_service_name_is_a_dns_label_whatever_the_resource_is_called(name: str) -> None:
    assert DNS_LABEL.fullmatch(dns_label(name))
    assert len(dns_label(name)) <= 63


def test_a_valid_service_name_is_kept_and_others_stay_apart() -> None:
    assert dns_label("chat") == "chat"
    assert len({dns_label(name) for name in ("a.b", "a-b", "a.b.c", "a-b.c", "a.b-c")}) == 5


@pytest.mark.parametrize("name", ["tiny", *LONGEST])
def test_every_label_has_a_value_that_the_api_server_takes(name: str) -> None:
    for value in (model_labels(name, "fetch") | service_labels(name)).values():
        assert len(value) <= 63
        assert LABEL_VALUE.fullmatch(value)


def test_selectors_hold_identity_alone() -> None:
    expected = {
        "app.kubernetes.io/name": "llmkube",
        "app.kubernetes.io/instance": "chat",
        "app.kubernetes.io/component": "inference",
    }
    assert selector("chat", "inference") == expected
    assert selector_text("chat", "inference") == ",".join(f"{key}={value}" for key, value in expected.items())
    assert expected.items() <= service_labels("chat").items()


def test_the_owner_is_the_controller_and_blocks_its_deletion(resource: Factory) -> None:
    assert owner_reference(resource(name="tiny", uid="u-7")) == {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "Model",
        "name": "tiny",
        "uid": "u-7",
        "controller": True,
        "blockOwnerDeletion": True,
    }
