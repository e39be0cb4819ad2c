"""One line of a watch."""

from __future__ import annotations

import pytest

from llmkube.kube.errors import TransportError
from llmkube.kube.kinds import DEPLOYMENT, POD
from llmkube.kube.objects import Pod
from llmkube.kube.watch_events import Added, Bookmark, Deleted, Failed, Modified, decode


@pytest.mark.parametrize(("said", "kind"), [("ADDED", Added), ("MODIFIED", Modified), ("DELETED", Deleted)])
def test_what_happened_is_read_whether_it_comes_before_the_object_or_after(said: str, kind: type) -> None:
    for line in (
        '{"type": "%s", "object": {"metadata": {"name": "a"}}}',
        '{"object": {"metadata": {"name": "a"}}, "type": "%s"}',
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
