"""What is told of a Secret or a ConfigMap: what is in it, never what it says."""

from __future__ import annotations

import base64
import hashlib

import msgspec
import pytest

from llmkube.desired.referenced import (
    MOST_KEYS,
    MOST_LINES,
    MOST_MARKS,
    Entry,
    Found,
    Reference,
    ReferenceKind,
    found,
    trouble,
)
from llmkube.kube.objects import Data, ObjectMeta

KEYS = Reference("Secret", "keys")
WHERE = "spec.auth.secretRef"
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def of_secret(uid: str = "1", **entries: bytes) -> Found:
    encoded = {name: base64.b64encode(content).decode() for name, content in entries.items()}
    return found(Data(metadata=ObjectMeta(uid=uid), data=encoded), "Secret")


def test_lines_that_say_something_are_counted() -> None:
    assert of_secret(keys=b"# ours\nfirst\n\n  \nsecond").entries["keys"].lines == 2


def test_a_pem_block_is_known_by_its_label() -> None:
    config = Data(metadata=ObjectMeta(uid="1"), data={"ca.crt": PEM * 20})
    assert found(config, "ConfigMap").entries["ca.crt"].labels == ("CERTIFICATE",) * 8


def test_the_text_of_a_config_map_counts_as_it_is_and_its_binary_data_decoded() -> None:
    config = Data(metadata=ObjectMeta(uid="1"), data={"a": "YWJj"}, binary_data={"b": "YWJj"})
    assert {name: each.size for name, each in found(config, "ConfigMap").entries.items()} == {"a": 4, "b": 3}


@pytest.mark.parametrize("text", ["%%%", "YQ", "é", "\ud800"])
def test_what_is_no_base64_counts_as_empty(text: str) -> None:
    broken = Data(metadata=ObjectMeta(uid="1"), data={"keys": text})
    assert found(broken, "Secret").entries["keys"].size == 0


def test_no_text_of_a_config_map_is_an_error() -> None:
    assert found(Data(metadata=ObjectMeta(uid="1"), data={"a": "\ud800"}), "ConfigMap").entries["a"].size == 1


def test_another_content_is_another_version_and_what_is_beside_it_is_not() -> None:
    before = of_secret(keys=b"a", other=b"x").entries["keys"].version
    assert of_secret(keys=b"a", other=b"y").entries["keys"].version == before
    assert of_secret(keys=b"b", other=b"x").entries["keys"].version != before


def test_a_version_cannot_be_guessed_from_the_content_without_the_objects_uid() -> None:
    first, second = (of_secret(uid, keys=b"hunter2").entries["keys"].version for uid in ("1", "2"))
    assert first != second
    assert first not in {hashlib.sha256(each).hexdigest()[:16] for each in (b"hunter2", b"keys\0hunter2")}


def test_equal_lines_of_a_secret_are_known_as_such_and_cannot_be_guessed_without_its_uid() -> None:
    entries = of_secret(keys=b"# ours\nfirst\nsecond\n", scraper=b"second").entries
    assert entries["scraper"].marks < entries["keys"].marks
    assert len(entries["keys"].marks) == 2
    assert not entries["scraper"].marks & of_secret("2", scraper=b"second").entries["scraper"].marks
    assert hashlib.sha256(b"second").hexdigest()[:16] not in entries["scraper"].marks


def test_only_the_first_lines_are_marked_and_none_of_a_config_map() -> None:
    assert len(of_secret(keys=b"\n".join(b"%d" % each for each in range(99))).entries["keys"].marks) == MOST_MARKS
    config = Data(metadata=ObjectMeta(uid="1"), data={"template": "a\nb"})
    assert found(config, "ConfigMap").entries["template"].marks == frozenset()


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_no_more_lines_of_an_object_are_looked_at_than_the_loop_has_time_for(kind: ReferenceKind) -> None:
    encoded = base64.b64encode(b"a \n" * MOST_LINES * 4).decode()
    entries = found(Data(metadata=ObjectMeta(uid="1"), binary_data={"a": encoded, "b": encoded}), kind).entries
    assert sum(each.lines for each in entries.values()) == MOST_LINES
    assert [(each.padded, each.breaks) for each in entries.values()] == [(MOST_LINES // 2, MOST_LINES * 4)] * 2


def test_an_object_of_very_many_keys_is_told_as_such_and_not_looked_at() -> None:
    data = Data(metadata=ObjectMeta(uid="1"), data={str(number): "x" for number in range(MOST_KEYS)})
    assert len(found(data, "ConfigMap").entries) == MOST_KEYS
    there = found(msgspec.structs.replace(data, binary_data={"one more": ""}), "ConfigMap")
    assert there.entries == {}
    told = trouble("spec.chatTemplateRef", Reference("ConfigMap", "many"), "0", there)
    assert told is not None
    assert told.reason == "ConfigMapUnreadable"
    assert "found 129 keys, more than the 128 that are looked at" in told.message


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (b"-----BEGIN A-----\r\n", ("A",)),
        (b"Bag Attributes\n-----BEGIN A-----", ("A",)),
        (b"x-----BEGIN A-----\n-----BEGIN B----- \n", ("B",)),
        (b"-----BEGIN A----- x\n", ()),
        (b"-----BEGIN A" + b" " * 99, ()),
    ],
)
def test_only_what_is_a_line_of_its_own_begins_a_pem_block(content: bytes, labels: tuple[str, ...]) -> None:
    assert of_secret(ca=content).entries["ca"].labels == labels


@pytest.mark.parametrize(("content", "breaks"), [(b"one", 0), (b"one\n", 1), (b"one\r\ntwo\r\n", 2), (b"one\r", 1)])
def test_line_ends_are_counted(content: bytes, breaks: int) -> None:
    assert of_secret(keys=content).entries["keys"].breaks == breaks


@pytest.mark.parametrize(
    ("there", "reason", "words"),
    [
        (Found(problem="none"), "SecretNotFound", "expected Secret keys, found none; create it with a key api-keys"),
        (
            Found(problem="a refusal: no"),
            "SecretUnreadable",
            "Secret keys can be read, found a refusal: no; it is tried",
        ),
        (of_secret(), "SecretKeyNotFound", "expected a key api-keys in Secret keys, found no keys"),
        (of_secret(b=b"1", a=b"2"), "SecretKeyNotFound", "found a, b; add it to the Secret"),
        (of_secret(**{f"k{each}": b"1" for each in range(9)}), "SecretKeyNotFound", "k0, k1, k2, k3, k4 and 4 more"),
        (of_secret(**{"api-keys": b""}), "SecretEmpty", "found it empty"),
    ],
)
def test_what_is_missing_is_said_with_its_name_and_the_path_of_the_spec(there: Found, reason: str, words: str) -> None:
    told = trouble(WHERE, KEYS, "api-keys", there)
    assert told is not None
    assert (told.reason, told.message.startswith(WHERE)) == (reason, True)
    assert words in told.message


def test_nothing_is_said_of_a_key_that_is_there() -> None:
    assert trouble(WHERE, KEYS, "api-keys", Found({"api-keys": Entry(1, 1, 0, 0, frozenset(), (), "v")})) is None
