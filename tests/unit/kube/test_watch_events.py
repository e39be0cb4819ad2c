"""One line of a watch."""

from __future__ import annotations

import json
import random

import pytest

from llmkube.controllers.indexes import POD_INDEXES, by_model
from llmkube.kube.errors import TransportError
from llmkube.kube.kinds import DEPLOYMENT, INFERENCE_SERVICE, POD
from llmkube.kube.objects import Pod
from llmkube.kube.watch_events import Added, Bookmark, Deleted, Failed, Modified, decode


@pytest.mark.parametrize(("said", "kind"), [("ADDED", Added), ("MODIFIED", Modified), ("DELETED", Deleted)])
def test_what_happened_is_read_whether_it_comes_before_the_object_or_after(said: str, kind: type) -> None:
    for line in (
        '{"type": "%s", "object": {"metadata": {"name": "a", "resourceVersion": "7"}}}',
        '{"object": {"metadata": {"name": "a", "resourceVersion": "7"}}, "type": "%s"}',
    ):
        event = decode((line % said).encode(), POD)
        assert isinstance(event, kind)
        assert isinstance(event.object, Pod)
        assert event.object.metadata.name == "a"


def test_a_bookmark_of_any_kind_has_metadata_alone() -> None:
    about = b'{"kind":"Deployment","spec":{"replicas":null},"metadata":{"resourceVersion":"7"}}'
    event = decode(b'{"type":"BOOKMARK","object":%s}' % about, DEPLOYMENT)
    assert isinstance(event, Bookmark)
    assert event.object.metadata.resource_version == "7"


def test_an_error_is_no_object_of_the_kind_even_where_their_fields_have_the_same_names() -> None:
    line = b'{"type":"ERROR","object":{"kind":"Status","status":"Failure","reason":"Expired","code":410}}'
    event = decode(line, POD)
    assert isinstance(event, Failed)
    assert (event.object.code, event.object.reason) == (410, "Expired")


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"RENAMED","object":{}}',
        b'{"type":"ADDED"}',
        b'{"object":{}}',
        b'{"type":"ADDED","object":[]}',
        b"<html>",
    ],
)
def test_what_is_no_event_is_shown_and_what_is_wrong_with_it(line: bytes) -> None:
    with pytest.raises(TransportError, match="expected a watch event in JSON, found b'") as raised:
        decode(line, POD)
    assert line.decode() in str(raised.value)


def damaged(line: bytes, chance: random.Random) -> bytes:
    """Bytes that were changed, lost, doubled or torn off on their way."""
    content = bytearray(line)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(content)), chance.randint(1, 20)
        match chance.randrange(4):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + length]
            case 2:
                content[at:at] = content[at : at + length] * chance.choice((1, 1, 500))
            case _:
                del content[max(at, 1) :]
        content = content or bytearray(b" ")
    return bytes(content)


@pytest.mark.parametrize("seed", range(20))
def test_an_event_that_was_damaged_on_its_way_is_refused_or_can_be_looked_at_as_any_other(seed: int) -> None:
    chance = random.Random(seed)
    metadata = {
        "name": "a",
        "namespace": "team",
        "labels": {"größe": "模型"},
        "annotations": {},
        "resourceVersion": "7",
    }
    pod = {"metadata": metadata, "spec": {"volumes": [{"name": "m", "persistentVolumeClaim": {"claimName": "c"}}]}}
    service = {"metadata": metadata, "spec": {"modelRef": "tiny", "loraAdapters": [{"name": "größe"}]}}
    for _ in range(300):
        for kind, indexes, obj in ((POD, POD_INDEXES.values(), pod), (INFERENCE_SERVICE, [by_model], service)):
            line = json.dumps({"type": "MODIFIED", "object": obj}, ensure_ascii=chance.random() < 0.5).encode()
            try:
                event = decode(damaged(line, chance), kind)
            except TransportError:
                continue
            if isinstance(event, Added | Modified | Deleted):
                assert all(isinstance(value, str) for index in indexes for value in index(event.object))
